/* motion_report's dumps of a motion queue and of a stepper, against the move that was asked for. */
#include "tests/sim/job_rig.h"

#include "base/strbuf.h"
#include "server/toolhead/motion_report.h"

#include <math.h>

struct dumps {
    struct strbuf trapq, stepper, later, unknown;
};

static struct dumps dumps;

static enum err dump_all(struct printer *printer, struct err_info *info)
{
    enum err e = motion_report_dump_trapq(printer, "toolhead", -(double)INFINITY, &dumps.trapq, info);
    if (!e)
        e = motion_report_dump_stepper(printer, "stepper_x", -(double)INFINITY, &dumps.stepper, info);
    if (!e)
        e = motion_report_dump_trapq(printer, "toolhead", 1e6, &dumps.later, info);
    struct err_info unknown = {""};
    assert_int_equal(motion_report_dump_stepper(printer, "stepper_q", 0.0, &dumps.unknown, &unknown), ERR_NOT_FOUND);
    assert_string_equal(unknown.text, "Unknown stepper 'stepper_q'");
    assert_int_equal(motion_report_dump_trapq(printer, "nobody", 0.0, &dumps.unknown, &unknown), ERR_NOT_FOUND);
    return e;
}

static void a_move_is_in_both_dumps(void **unused)
{
    (void)unused;
    struct rig *rig = job_rig_start(CONFIG_BASE "[force_move]\nenable_force_move: True\n");
    script(rig, "SET_KINEMATIC_POSITION X=0 Y=0 Z=0\nG1 X50 F6000\nG1 X20\nM400");
    rig_run(rig, 0.5);
    ask(rig, dump_all);
    /* 100 mm/s at 3000 mm/s^2: two moves of three segments, which add up to 50 and -30 mm. */
    const char *p = strstr(dumps.trapq.data, "\"data\":[");
    assert_non_null(p);
    double sum_mm = 0.0, way_mm = 0.0, end_s = 0.0;
    unsigned segments = 0;
    for (p = strchr(p, '[') + 1; *p == '[' || *p == ','; segments++) {
        double v[10];
        int bytes = 0;
        assert_int_equal(sscanf(p + (*p == ','), "[%lf,%lf,%lf,%lf,[%lf,%lf,%lf],[%lf,%lf,%lf]]%n", &v[0], &v[1], &v[2], &v[3],
                                &v[4], &v[5], &v[6], &v[7], &v[8], &v[9], &bytes), 10);
        p += (*p == ',') + bytes;
        const double length = v[2] * v[1] + 0.5 * v[3] * v[1] * v[1];
        assert_true(fabs(fabs(v[7]) - 1.0) < 1e-12 && v[8] == 0.0 && v[9] == 0.0);
        assert_true(fabs(v[4] - sum_mm) < 1e-6); /* where the one before it ended */
        assert_true(v[0] >= end_s - 1e-9 && fabs(v[3]) <= 3000.0 + 1e-6 && v[2] <= 100.0 + 1e-6);
        end_s = v[0] + v[1];
        sum_mm += v[7] * length;
        way_mm += length;
    }
    assert_int_equal(segments, 6);
    assert_true(fabs(sum_mm - 20.0) < 1e-6 && fabs(way_mm - 80.0) < 1e-6);
    /* The steps: 80 a mm, 4000 forwards and 2400 back. */
    p = strstr(dumps.stepper.data, "\"data\":[");
    assert_non_null(p);
    long forward = 0, back = 0;
    for (p = strchr(p, '[') + 1; *p == '[' || *p == ',';) {
        unsigned long interval;
        int count, add, bytes = 0;
        assert_int_equal(sscanf(p + (*p == ','), "[%lu,%d,%d]%n", &interval, &count, &add, &bytes), 3);
        p += (*p == ',') + bytes;
        forward += count > 0 ? count : 0;
        back -= count < 0 ? count : 0;
    }
    assert_int_equal(forward, 4000);
    assert_int_equal(back, 2400);
    assert_non_null(strstr(dumps.stepper.data, "\"first_position\":0"));
    double first_s = 0.0, last_s = 0.0;
    assert_int_equal(sscanf(strstr(dumps.stepper.data, "\"first_time\":"), "\"first_time\":%lf,\"last_time\":%lf", &first_s, &last_s), 2);
    assert_true(last_s <= end_s && last_s > end_s - 0.01 && last_s - first_s > 0.8 && last_s - first_s < 0.9);
    assert_non_null(strstr(dumps.later.data, "\"data\":[]"));
    strbuf_deinit(&dumps.trapq);
    strbuf_deinit(&dumps.stepper);
    strbuf_deinit(&dumps.later);
    strbuf_deinit(&dumps.unknown);
    rig_destroy(rig);
}

int main(void)
{
    strbuf_init(&dumps.trapq);
    strbuf_init(&dumps.stepper);
    strbuf_init(&dumps.later);
    strbuf_init(&dumps.unknown);
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_move_is_in_both_dumps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
