/* Any bytes as a script: lexer, dispatch, parameters of every kind, modal state. Positions stay finite, errors have words,
 * and what a line did does not depend on the line after it. */
#include "base/check.h"
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct rig {
    struct gcode *g;
    double pos[GCODE_AXIS_COUNT_MAX];
    size_t moves;
};

static enum err take_move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    struct rig *rig = ctx;
    for (size_t i = 0; i < GCODE_AXIS_COUNT_MAX; i++)
        if (!(fabs(pos[i]) < 1e12))
            return err_set(info, ERR_LIMIT, "Move out of range");
    CHECK(speed_mm_s > 0.0);
    memcpy(rig->pos, pos, sizeof rig->pos);
    rig->moves++;
    return OK;
}

static void tell_position(void *ctx, double *pos)
{
    memcpy(pos, ((struct rig *)ctx)->pos, sizeof ((struct rig *)ctx)->pos);
}

/* Asks its command everything that can be asked. */
static enum err ask_all(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct rig *rig = ctx;
    size_t total = strlen(gcode_name(cmd)) + strlen(gcode_line(cmd)) + strlen(gcode_rawparams(cmd));
    CHECK(total <= 3 * (GCODE_LINE_BYTES_MAX + 1));
    for (size_t i = 0; i < gcode_param_count(cmd); i++) {
        const char *name, *value;
        double number = 0.0;
        long whole = 0;
        gcode_param_at(cmd, i, &name, &value);
        CHECK(gcode_has(cmd, name) && strcmp(gcode_get(cmd, name), value) == 0);
        if (gcode_opt_double(cmd, name, GCODE_RANGE(-1e9, 1e9), &number, info) == OK)
            CHECK(isfinite(number));
        enum err ignored = gcode_opt_int(cmd, name, GCODE_MIN(0.0), &whole, info);
        (void)ignored;
    }
    if (gcode_depth(rig->g) < 3 && gcode_has(cmd, "RUN"))
        return gcode_run_script(rig->g, gcode_get(cmd, "RUN"), strlen(gcode_get(cmd, "RUN")), info);
    return OK;
}

static void check_output(void *ctx, const char *text)
{
    (void)ctx;
    CHECK(strlen(text) < 1u << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rig rig = {.g = gcode_create()};
    struct gcode_transform toolhead = {"fuzz", &rig, take_move, tell_position, NULL};
    gcode_set_ready(rig.g, true, "Printer is ready");
    gcode_add_output(rig.g, check_output, NULL);
    struct gcode_move *gm = gcode_move_create(rig.g);
    CHECK(gcode_move_register(gm, NULL) == OK);
    gcode_move_set_toolhead(gm, &toolhead);
    static const struct gcode_def defs[] = {{"M204", NULL, false, ask_all, false},
                                            {"T0", NULL, true, ask_all, false},
                                            {"SET_PIN", "Set", false, ask_all, false},
                                            {"M117", NULL, false, ask_all, true}};
    for (size_t i = 0; i < sizeof defs / sizeof defs[0]; i++)
        CHECK(gcode_register(rig.g, &defs[i], &rig, NULL) == OK);
    static const struct gcode_def shared = {"SET_FAN", "Fan", false, ask_all, false};
    CHECK(gcode_register_mux(rig.g, &shared, "FAN", "a", &rig, NULL) == OK);

    (void)gcode_has_emergency((const char *)data, size);
    const char *p = (const char *)data, *end = p + size;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t len_bytes = (size_t)((line_end ? line_end : end) - p);
        struct err_info info = {""};
        struct gcode_source source = {(uint64_t)(p - (const char *)data), 0};
        enum err e = gcode_run_line(rig.g, p, len_bytes, &source, &info);
        CHECK(e == OK || info.text[0]);
        CHECK(gcode_depth(rig.g) == 0 && !gcode_is_busy(rig.g));
        p += len_bytes + 1;
    }
    gcode_run_console(rig.g, (const char *)data, size);
    struct gcode_move_status status;
    gcode_move_get_status(gm, &status);
    for (size_t i = 0; i < 4; i++)
        CHECK(isfinite(status.position[i]));
    gcode_move_destroy(gm);
    gcode_destroy(rig.g);
    return 0;
}
