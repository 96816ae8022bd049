/* The same seed gives the same bytes to the boards: a whole print, heating and homing included, run twice. */
#include "server/machine/printer.h"
#include "tests/sim/harness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define PRINT_LIMIT_S 3600.0

static char *read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long size = ftell(file);
    rewind(file);
    char *text = calloc(1, (size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    fclose(file);
    return text;
}

static bool is_over(void *ctx)
{
    const char *state = rig_status(ctx, "print_stats", "state");
    return state && strcmp(state, "\"printing\"") != 0;
}

/* Print the example; the digest of all bytes the board was sent, and when it was over. */
static uint64_t print_once(uint64_t seed, double *end_s)
{
    struct rig *rig =
        rig_create(&(struct rig_options){.config_path = TEST_SOURCE_DIR "/examples/printer.cfg", .seed = seed});
    assert_true(rig_wait_ready(rig));
    rig_digest_begin(rig);
    char *text = read_text(TEST_SOURCE_DIR "/examples/gcodes/ring-tower.gcode");
    rig_add_gcode(rig, "ring-tower.gcode", text);
    free(text);
    assert_int_equal(rig_script(rig, "SDCARD_PRINT_FILE FILENAME=ring-tower.gcode", 10.0), 0);
    rig_run(rig, 1.0);
    assert_true(rig_run_until(rig, is_over, rig, PRINT_LIMIT_S));
    if (strcmp(rig_status(rig, "print_stats", "state"), "\"complete\"") != 0)
        fail_msg("the print ended as %s: %s%s", rig_status(rig, "print_stats", "state"), rig_console(rig),
                 printer_state_message(rig_printer(rig)));
    *end_s = rig_now_s(rig);
    uint64_t digest = rig_digest(rig);
    rig_destroy(rig);
    return digest;
}

static void test_same_seed_same_bytes(void **state)
{
    (void)state;
    double first_s, second_s;
    uint64_t first = print_once(7, &first_s), second = print_once(7, &second_s);
    assert_true(first_s > 60.0);
    assert_true(first_s == second_s);
    assert_int_equal(first, second);
}

static void test_another_seed_is_another_run(void **state)
{
    (void)state;
    double first_s, second_s;
    assert_int_not_equal(print_once(7, &first_s), print_once(8, &second_s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bytes),
        cmocka_unit_test(test_another_seed_is_another_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
