/* The life of a printer: start, restart, errors, faults of boards. */
#include "tests/sim/harness.h"

#include "server/machine/printer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_ready(void **state)
{
    (void)state;
    struct rig *rig = rig_create(&(struct rig_options){.config_path = TEST_SHARED_DIR "/sim/centre.cfg", .seed = 1, .is_verbose = true});
    assert_true(rig_wait_ready(rig));
    print_message("startup %.3f s\n", printer_startup_s(rig_printer(rig)));
    rig_run(rig, 2.0);
    assert_string_equal(rig_status(rig, "webhooks", "state"), "\"ready\"");
    print_message("%s\n", rig_status(rig, "extruder", "temperature"));
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
