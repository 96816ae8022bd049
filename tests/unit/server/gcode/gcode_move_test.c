/* The modal state: what words mean, offsets, factors, saved states, transforms, executed states. */
#include "base/mem.h"
#include "base/rng.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MOVES_MAX 64

struct move {
    double pos[GCODE_AXIS_COUNT_MAX], speed_mm_s;
    uint32_t cookie;
};

/* A toolhead that remembers what it was told. */
struct bench {
    struct gcode *g;
    struct gcode_move *gm;
    struct gcode_transform toolhead;
    double pos[GCODE_AXIS_COUNT_MAX];
    struct move moves[MOVES_MAX];
    size_t count;
    bool refuses;
    char console[4096];
};

static enum err take_move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct bench *b = ctx;
    if (b->refuses)
        return err_set(info, ERR_LIMIT, "Move out of range");
    assert_true(b->count < MOVES_MAX);
    struct move *move = &b->moves[b->count++];
    memcpy(move->pos, pos, sizeof move->pos);
    move->speed_mm_s = speed_mm_s;
    move->cookie = gcode_move_cookie(b->gm);
    memcpy(b->pos, pos, sizeof b->pos);
    return OK;
}

static void tell_position(void *ctx, double *pos)
{
    memcpy(pos, ((struct bench *)ctx)->pos, sizeof ((struct bench *)ctx)->pos);
}

static void on_output(void *ctx, const char *text)
{
    struct bench *b = ctx;
    size_t used = strlen(b->console);
    snprintf(b->console + used, sizeof b->console - used, "%s\n", text);
}

static int setup(void **state)
{
    struct bench *b = MEM_NEW(struct bench);
    b->g = gcode_create();
    gcode_set_ready(b->g, true, "Printer is ready");
    gcode_add_output(b->g, on_output, b);
    b->gm = gcode_move_create(b->g);
    assert_int_equal(gcode_move_register(b->gm, NULL), OK);
    b->toolhead = (struct gcode_transform){"toolhead", b, take_move, tell_position, NULL};
    gcode_move_set_toolhead(b->gm, &b->toolhead);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    gcode_move_destroy(b->gm);
    gcode_destroy(b->g);
    mem_free(b);
    return 0;
}

static enum err run(struct bench *b, const char *text)
{
    b->count = 0;
    b->console[0] = 0;
    return gcode_run_script(b->g, text, strlen(text), NULL);
}

/* The last move of a script, and how many it made. */
static void expect_move(struct bench *b, const char *script, size_t count, double x, double y, double z, double e,
                        double speed_mm_s)
{
    assert_int_equal(run(b, script), OK);
    assert_int_equal(b->count, count);
    const struct move *last = &b->moves[count - 1];
    const double want[4] = {x, y, z, e};
    for (int i = 0; i < 4; i++)
        assert_true(fabs(last->pos[i] - want[i]) < 1e-9);
    assert_true(fabs(last->speed_mm_s - speed_mm_s) < 1e-9);
}

static void expect_position(struct bench *b, const char *script, const char *m114)
{
    assert_int_equal(run(b, script), OK);
    b->console[0] = 0;
    assert_int_equal(gcode_run_script(b->g, "M114", 4, NULL), OK);
    b->console[strlen(b->console) - 1] = 0;
    assert_string_equal(b->console, m114);
}

static void words(void **state)
{
    struct bench *b = *state;
    expect_move(b, "G1 X10 Y20", 1, 10, 20, 0, 0, 25);
    expect_move(b, "G1 Z1.5 F6000", 1, 10, 20, 1.5, 0, 100);
    expect_move(b, "G0 X5", 1, 5, 20, 1.5, 0, 100);
    expect_move(b, "G1 E2", 1, 5, 20, 1.5, 2, 100);
    expect_move(b, "M83\nG1 E2\nG1 E0.5", 2, 5, 20, 1.5, 4.5, 100);
    expect_move(b, "M82\nG1 E1", 1, 5, 20, 1.5, 1, 100);
    expect_move(b, "G91\nG1 X1 Y-2 Z3 E4", 1, 6, 18, 4.5, 5, 100); /* G91 makes E relative too */
    expect_move(b, "G90\nG1 X1", 1, 1, 18, 4.5, 5, 100);
    expect_move(b, "G1", 1, 1, 18, 4.5, 5, 100);
    expect_move(b, "G1 F60", 1, 1, 18, 4.5, 5, 1);
}

static void bad_moves(void **state)
{
    struct bench *b = *state;
    static const char *const unparsable[] = {"G1 Xfoo", "G1 X", "G1 X1.2.3", "G1 F", "G1 X-", "G1 E1e5"};
    for (size_t i = 0; i < sizeof unparsable / sizeof unparsable[0]; i++) {
        char want[128];
        /* "E1e5" is E1 and then E5: letters end numbers. */
        enum err e = run(b, unparsable[i]);
        if (strcmp(unparsable[i], "G1 E1e5") == 0) {
            assert_int_equal(e, OK);
            assert_true(b->moves[0].pos[GCODE_E] == 5.0);
            continue;
        }
        snprintf(want, sizeof want, "!! Unable to parse move '%s'\n", unparsable[i]);
        assert_int_equal(e, ERR_INVALID);
        assert_string_equal(b->console, want);
        assert_int_equal(b->count, 0);
    }
    assert_int_equal(run(b, "G1 X1 F0"), ERR_INVALID);
    assert_string_equal(b->console, "!! Invalid speed in 'G1 X1 F0'\n");
    assert_int_equal(run(b, "G1 X1 F-5"), ERR_INVALID);
    assert_int_equal(run(b, "G20"), ERR_UNSUPPORTED);
    assert_string_equal(b->console, "!! Machine does not support G20 (inches) command\n");
    assert_int_equal(run(b, "G21"), OK);
    /* A refused move leaves the position where the toolhead is. */
    expect_move(b, "G1 X7 Y8 E0", 1, 7, 8, 0, 0, 25);
    b->refuses = true;
    assert_int_equal(run(b, "G1 X9 Y9 F600"), ERR_LIMIT);
    b->refuses = false;
    expect_move(b, "G91\nG1 X1", 1, 8, 8, 0, 0, 10);
}

static void origin(void **state)
{
    struct bench *b = *state;
    expect_position(b, "G1 X10 Y10 Z5 E3\nG92 X0 E0", "X:0.000 Y:10.000 Z:5.000 E:0.000");
    expect_move(b, "G1 X1 E1", 1, 11, 10, 5, 4, 25);
    expect_position(b, "G92", "X:0.000 Y:0.000 Z:0.000 E:0.000");
    expect_move(b, "G1 X-1 Y2", 1, 10, 12, 5, 4, 25);
    assert_int_equal(run(b, "G92 Xa"), ERR_INVALID);
    gcode_move_homed(b->gm, 1);
    expect_position(b, "", "X:10.000 Y:2.000 Z:0.000 E:0.000");
}

static void factors(void **state)
{
    struct bench *b = *state;
    expect_move(b, "G1 X1 F600", 1, 1, 0, 0, 0, 10);
    expect_move(b, "M220 S50\nG1 X2", 1, 2, 0, 0, 0, 5);
    expect_move(b, "G1 X3 F1200", 1, 3, 0, 0, 0, 10);
    expect_move(b, "M220\nG1 X4", 1, 4, 0, 0, 0, 20);
    expect_move(b, "G1 E10", 1, 4, 0, 0, 10, 20);
    expect_position(b, "M221 S150", "X:4.000 Y:0.000 Z:0.000 E:10.000"); /* the word stays, the motor's unit changes */
    expect_move(b, "G1 E12", 1, 4, 0, 0, 13, 20);
    expect_move(b, "M83\nG1 E2", 1, 4, 0, 0, 16, 20);
    expect_position(b, "G92 E1", "X:4.000 Y:0.000 Z:0.000 E:1.000");
    expect_move(b, "M82\nG1 E2", 1, 4, 0, 0, 17.5, 20);
    assert_int_equal(run(b, "M220 S0"), ERR_INVALID);
    assert_string_equal(b->console, "!! Error on 'M220 S0': S must be above 0.0\n");
    assert_int_equal(run(b, "M221 S-1"), ERR_INVALID);
    gcode_move_extruder_changed(b->gm);
    expect_position(b, "", "X:4.000 Y:0.000 Z:0.000 E:0.000");
    expect_move(b, "G1 E1", 1, 4, 0, 0, 18.5, 20);
}

static void offsets(void **state)
{
    struct bench *b = *state;
    struct gcode_move_status status;
    expect_position(b, "G1 X10 Z5\nSET_GCODE_OFFSET Z=0.2", "X:10.000 Y:0.000 Z:4.800 E:0.000");
    expect_move(b, "G1 Z5", 1, 10, 0, 5.2, 0, 25);
    expect_move(b, "SET_GCODE_OFFSET Z_ADJUST=0.1 MOVE=1", 1, 10, 0, 5.3, 0, 25);
    expect_move(b, "SET_GCODE_OFFSET X=1 Y=-1 MOVE=1 MOVE_SPEED=7", 1, 11, -1, 5.3, 0, 7);
    gcode_move_get_status(b->gm, &status);
    assert_true(status.homing_origin[0] == 1.0 && status.homing_origin[1] == -1.0);
    assert_true(fabs(status.homing_origin[2] - 0.3) < 1e-12);
    assert_int_equal(run(b, "SET_GCODE_OFFSET Z=5 X=bad"), ERR_INVALID);
    gcode_move_get_status(b->gm, &status);
    assert_true(fabs(status.homing_origin[2] - 0.3) < 1e-12); /* nothing half done */
    assert_int_equal(run(b, "SET_GCODE_OFFSET Z=1 MOVE=1 MOVE_SPEED=0"), ERR_INVALID);
    b->pos[2] = 0.0;
    gcode_move_homed(b->gm, 4);
    expect_move(b, "G1 Z1", 1, 11, -1, 1.3, 0, 25);
}

static void saved_states(void **state)
{
    struct bench *b = *state;
    expect_move(b, "G1 X10 Y10 Z1 E5 F600\nSAVE_GCODE_STATE NAME=a", 1, 10, 10, 1, 5, 10);
    expect_move(b, "G91\nM83\nG1 X5 E-2 F6000\nRESTORE_GCODE_STATE NAME=a\nG1 X11 E5.5", 2, 11, 10, 1, 3.5, 10);
    expect_move(b, "G1 X50 Y50 Z9\nRESTORE_GCODE_STATE NAME=a MOVE=1", 2, 10, 10, 1, 3.5, 10);
    expect_move(b, "G1 X50\nRESTORE_GCODE_STATE NAME=a MOVE=1 MOVE_SPEED=3", 2, 10, 10, 1, 3.5, 3);
    assert_int_equal(run(b, "RESTORE_GCODE_STATE NAME=b"), ERR_NOT_FOUND);
    assert_string_equal(b->console, "!! Unknown g-code state: b\n");
    assert_int_equal(run(b, "RESTORE_GCODE_STATE"), ERR_NOT_FOUND);
    assert_string_equal(b->console, "!! Unknown g-code state: default\n");
    assert_int_equal(run(b, "SAVE_GCODE_STATE\nG1 X0\nRESTORE_GCODE_STATE MOVE=1"), OK);
    assert_true(b->pos[0] == 10.0);
    for (int i = 0; i < GCODE_SAVED_STATE_COUNT_MAX + 10; i++) {
        char script[64];
        snprintf(script, sizeof script, "SAVE_GCODE_STATE NAME=n%d", i);
        if (run(b, script)) {
            assert_non_null(strstr(b->console, "Too many saved g-code states"));
            return;
        }
    }
    fail();
}

static void status(void **state)
{
    struct bench *b = *state;
    struct gcode_move_status now;
    assert_int_equal(run(b, "G1 X1 F3000\nM220 S200\nM221 S50\nG91\nM83"), OK);
    gcode_move_get_status(b->gm, &now);
    assert_true(fabs(now.speed_factor - 2.0) < 1e-12);
    assert_true(fabs(now.speed_mm_min - 3000.0) < 1e-9);
    assert_true(now.extrude_factor == 0.5);
    assert_false(now.is_absolute_coord || now.is_absolute_extrude);
    assert_string_equal(now.axis_letters, "XYZE");
}

/* --- transforms --- */

struct shift {
    struct gcode_transform link;
    double by;
};

static enum err shift_move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct shift *shift = ctx;
    double moved[GCODE_AXIS_COUNT_MAX];
    memcpy(moved, pos, sizeof moved);
    moved[2] = moved[2] * 2.0 + shift->by;
    return shift->link.next->move(shift->link.next->ctx, moved, speed_mm_s, info);
}

static void shift_position(void *ctx, double *pos)
{
    struct shift *shift = ctx;
    shift->link.next->get_position(shift->link.next->ctx, pos);
    pos[2] = (pos[2] - shift->by) / 2.0;
}

static void transforms_form_a_chain(void **state)
{
    struct bench *b = *state;
    struct err_info info;
    struct shift one = {.by = 1}, ten = {.by = 10};
    one.link = (struct gcode_transform){"one", &one, shift_move, shift_position, NULL};
    ten.link = (struct gcode_transform){"ten", &ten, shift_move, shift_position, NULL};
    assert_int_equal(gcode_move_add_transform(b->gm, &one.link, false, &info), OK);
    assert_int_equal(gcode_move_add_transform(b->gm, &ten.link, false, &info), ERR_EXISTS);
    assert_string_equal(info.text, "G-Code move transform already specified");
    assert_int_equal(gcode_move_add_transform(b->gm, &ten.link, true, &info), OK);
    expect_move(b, "G1 Z3", 1, 0, 0, (3 * 2 + 10) * 2 + 1, 0, 25);
    gcode_move_reset_position(b->gm);
    expect_position(b, "", "X:0.000 Y:0.000 Z:3.000 E:0.000");
    gcode_move_remove_transform(b->gm, &one.link);
    gcode_move_reset_position(b->gm);
    expect_position(b, "", "X:0.000 Y:0.000 Z:11.500 E:0.000");
    gcode_move_remove_transform(b->gm, &ten.link);
    expect_move(b, "G1 Z3", 1, 0, 0, 3, 0, 25);
}

/* --- executed states --- */

static void moves_carry_the_state_before_them(void **state)
{
    struct bench *b = *state;
    struct gcode_modal modal;
    assert_int_equal(run(b, "G1 X1 F600\nG1 X2 F1200\nM83\nG1 X3\nG1 X4\nG92 X0\nG1 X1"), OK);
    assert_int_equal(b->count, 5);
    const double speeds[5] = {25, 10, 20, 20, 20};
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(gcode_move_modal_of(b->gm, b->moves[i].cookie, &modal), OK);
        assert_true(fabs(modal.speed_mm_s - speeds[i]) < 1e-9);
        assert_int_equal(modal.is_absolute_extrude, i < 2);
        assert_true(modal.base_pos[0] == (i == 4 ? 4.0 : 0.0));
    }
    assert_int_equal(b->moves[2].cookie, b->moves[3].cookie); /* nothing changed in between */
    uint32_t second = b->moves[1].cookie;
    for (int i = 0; i < GCODE_MODAL_HISTORY_COUNT - 10; i++)
        assert_int_equal(run(b, i % 2 ? "G1 F600" : "G1 F601"), OK);
    assert_int_equal(gcode_move_modal_of(b->gm, second, &modal), OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(run(b, i % 2 ? "G1 F600" : "G1 F601"), OK);
    assert_int_equal(gcode_move_modal_of(b->gm, second, &modal), ERR_NOT_FOUND);
    assert_int_equal(gcode_move_modal_of(b->gm, 0, &modal), ERR_NOT_FOUND);
    assert_int_equal(gcode_move_modal_of(b->gm, gcode_move_cookie(b->gm) + 1, &modal), ERR_NOT_FOUND);
}

/* A random program in words relative to wherever the origin is, against a model that keeps absolute positions only. */
static void random_programs(void **state)
{
    struct bench *b = *state;
    struct rng rng;
    rng_init(&rng, 11);
    double want[4] = {0}, base[4] = {0}, factor = 1.0;
    bool absolute = true, absolute_e = true;
    for (int round = 0; round < 20000; round++) {
        char line[128];
        unsigned axis = (unsigned)rng_below(&rng, 4);
        double value = (double)((int64_t)rng_below(&rng, 20001) - 10000) / 1000.0;
        double percent = 50.0 + (double)rng_below(&rng, 101);
        switch (rng_below(&rng, 9)) {
        case 0:
            snprintf(line, sizeof line, "G9%d", absolute ? 1 : 0);
            absolute = !absolute;
            break;
        case 1:
            snprintf(line, sizeof line, "M8%d", absolute_e ? 3 : 2);
            absolute_e = !absolute_e;
            break;
        case 2:
            snprintf(line, sizeof line, "G92 %c%.3f", "XYZE"[axis], value);
            base[axis] = want[axis] - (axis == 3 ? value * factor : value);
            break;
        case 3:
            snprintf(line, sizeof line, "SET_GCODE_OFFSET %c_ADJUST=%.3f", "XYZE"[axis], value);
            base[axis] += value;
            break;
        case 4:
            snprintf(line, sizeof line, "M221 S%.1f", percent);
            base[3] = want[3] - (want[3] - base[3]) / factor * (percent / 100.0);
            factor = percent / 100.0;
            break;
        default:
            snprintf(line, sizeof line, "G1 %c%.3f", "XYZE"[axis], value);
            bool is_absolute = absolute && (axis != 3 || absolute_e);
            value = axis == 3 ? value * factor : value;
            want[axis] = is_absolute ? base[axis] + value : want[axis] + value;
        }
        assert_int_equal(run(b, line), OK);
        for (int i = 0; i < 4; i++)
            assert_true(fabs(b->pos[i] - want[i]) < 1e-6);
        memcpy(want, b->pos, sizeof want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_moves, setup, teardown),
        cmocka_unit_test_setup_teardown(origin, setup, teardown),
        cmocka_unit_test_setup_teardown(factors, setup, teardown),
        cmocka_unit_test_setup_teardown(offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(saved_states, setup, teardown),
        cmocka_unit_test_setup_teardown(status, setup, teardown),
        cmocka_unit_test_setup_teardown(transforms_form_a_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(moves_carry_the_state_before_them, setup, teardown),
        cmocka_unit_test_setup_teardown(random_programs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
