/* SAVE_CONFIG on the simulated printer: the file is rewritten, the printer comes back with the new values, and a
 * failure changes nothing. */
#include "tests/sim/job_rig.h"

#include "base/mem.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/machine/printer.h"

static bool is_starting(void *ctx)
{
    return printer_state(rig_printer(ctx)) == PRINTER_STARTUP;
}

static void set(struct rig *rig, const char *section, const char *option, const char *value)
{
    struct err_info info;
    assert_int_equal(config_set_autosave(rig_printer(rig)->config, section, option, value, &info), OK);
    rig_run(rig, 1.0);
}

static char *read_config(struct rig *rig)
{
    char *path = mem_sprintf("%s/printer.cfg", rig_dir(rig));
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = mem_alloc(65536);
    (void)!fread(text, 1, 65535, f);
    (void)fclose(f);
    mem_free(path);
    return text;
}

static void test_restarts_into_new_values(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    expect_status(rig, "configfile", "save_config_pending", "false");
    expect_status(rig, "configfile", "save_config_pending_items", "{}");
    script(rig, "SAVE_CONFIG"); /* nothing to write: no restart */
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    set(rig, "extruder", "pid_Kp", "33.125");
    set(rig, "stepper_z", "position_endstop", "0.500");
    config_remove_autosave(rig_printer(rig)->config, "bed_mesh default"); /* never was */
    rig_run(rig, 1.0);
    expect_status(rig, "configfile", "save_config_pending", "true");
    expect_status(rig, "configfile", "save_config_pending_items",
                  "{\"extruder\": {\"pid_kp\": \"33.125\"}, \"stepper_z\": {\"position_endstop\": \"0.500\"}}");
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"pid_kp\": 22.0"));
    script(rig, HOME);
    rig_begin_script(rig, "G1 X50 F6000\nSAVE_CONFIG");
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    rig_run(rig, 2.0);
    expect_status(rig, "configfile", "save_config_pending", "false");
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"pid_kp\": 33.125"));
    assert_non_null(strstr(rig_status(rig, "configfile", "settings"), "\"position_endstop\": 0.5"));
    char *text = read_config(rig);
    assert_non_null(strstr(text, "#pid_Kp: 22\n"));
    assert_non_null(strstr(text, "\n#*# [stepper_z]\n#*# position_endstop = 0.500\n"));
    mem_free(text);
    char *command = mem_sprintf("ls %s | grep -q '^printer-[0-9]\\{8\\}_[0-9]\\{6\\}.cfg$'", rig_dir(rig));
    assert_int_equal(system(command), 0);
    mem_free(command);
    rig_destroy(rig);
}

static void test_failure_changes_nothing(void **state)
{
    (void)state;
    struct rig *rig = job_rig_start(CONFIG_BASE);
    char *path = mem_sprintf("%s/printer.cfg", rig_dir(rig)), *gone = mem_sprintf("%s/gone.cfg", rig_dir(rig));
    set(rig, "extruder", "pid_Kp", "33.125");
    assert_int_equal(rename(path, gone), 0);
    assert_int_equal(rig_script(rig, "SAVE_CONFIG", 10), ERR_IO);
    assert_non_null(strstr(rig_error(rig), "Unable to parse existing config on SAVE_CONFIG"));
    assert_int_equal(printer_state(rig_printer(rig)), PRINTER_READY);
    assert_int_equal(rename(gone, path), 0);
    rig_run(rig, 1.0);
    expect_status(rig, "configfile", "save_config_pending", "true");
    rig_begin_script(rig, "SAVE_CONFIG"); /* works once the cause is gone */
    assert_true(rig_run_until(rig, is_starting, rig, 20) && rig_wait_ready(rig));
    mem_free(path);
    mem_free(gone);
    rig_destroy(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restarts_into_new_values),
        cmocka_unit_test(test_failure_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
