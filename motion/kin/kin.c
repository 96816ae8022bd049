#include "motion/kin/kin.h"

#include "base/check.h"
#include "motion/kin/kin_delta.h"
#include "motion/plan/segq.h"

#include <string.h>

/* Rails of the kinds that are linear: position of rail i = matrix[i] . (x, y, z), and the way back. */
struct linear_kind {
    const char *name;
    double rail[3][3], inverse[3][3];
    uint8_t home_rails[3]; /* which rails move for each axis */
};

static const struct linear_kind linear_kinds[] = {
    [KIN_NONE] = {"none", {{0}}, {{0}}, {0, 0, 0}},
    [KIN_CARTESIAN] = {"cartesian", {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}, {1, 2, 4}},
    [KIN_COREXY] = {"corexy", {{1, 1, 0}, {1, -1, 0}, {0, 0, 1}}, {{.5, .5, 0}, {.5, -.5, 0}, {0, 0, 1}}, {3, 3, 4}},
    [KIN_COREXZ] = {"corexz", {{1, 0, 1}, {0, 1, 0}, {1, 0, -1}}, {{.5, 0, .5}, {0, 1, 0}, {.5, 0, -.5}}, {5, 2, 5}},
    [KIN_HYBRID_COREXY] = {"hybrid_corexy",
                           {{1, -1, 0}, {0, 1, 0}, {0, 0, 1}},
                           {{1, 1, 0}, {0, 1, 0}, {0, 0, 1}},
                           {1, 3, 4}},
    [KIN_HYBRID_COREXZ] = {"hybrid_corexz",
                           {{1, 0, -1}, {0, 1, 0}, {0, 0, 1}},
                           {{1, 0, 1}, {0, 1, 0}, {0, 0, 1}},
                           {1, 2, 5}},
};

static const char *const unsupported[] = {"rotary_delta", "deltesian", "polar", "winch", "generic_cartesian"};

enum err kin_kind_parse(const char *text, enum kin_kind *kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(linear_kinds); i++) {
        if (strcmp(linear_kinds[i].name, text) == 0) {
            *kind = (enum kin_kind)i;
            return OK;
        }
    }
    if (strcmp(text, "delta") == 0) {
        *kind = KIN_DELTA;
        return OK;
    }
    for (size_t i = 0; i < ARRAY_COUNT(unsupported); i++)
        if (strcmp(unsupported[i], text) == 0)
            return ERR_UNSUPPORTED;
    return ERR_NOT_FOUND;
}

const char *kin_kind_name(enum kin_kind kind)
{
    return kind == KIN_DELTA ? "delta" : linear_kinds[kind].name;
}

static enum err check_config(const struct kin_config *c, struct err_info *info)
{
    if (c->kind == KIN_NONE)
        return OK;
    if (!(c->max_velocity_mm_s > 0.0) || !(c->max_accel_mm_s2 > 0.0))
        return err_set(info, ERR_LIMIT, "max_velocity and max_accel must be above 0");
    if (!(c->max_z_velocity_mm_s > 0.0) || !(c->max_z_accel_mm_s2 > 0.0))
        return err_set(info, ERR_LIMIT, "max_z_velocity and max_z_accel must be above 0");
    return OK;
}

enum err kin_init(struct kin *k, const struct kin_config *config, struct err_info *info)
{
    enum err err = check_config(config, info);
    if (err != OK)
        return err;
    memset(k, 0, sizeof *k);
    k->config = *config;
    kin_clear_homed(k, SEG_X | SEG_Y | SEG_Z);
    if (config->kind == KIN_DELTA)
        return kin_delta_init(k, info);
    const struct linear_kind *lk = &linear_kinds[config->kind];
    for (int i = 0; i < KIN_RAIL_COUNT; i++)
        kin_func_linear(&k->func[i], lk->rail[i][0], lk->rail[i][1], lk->rail[i][2]);
    return OK;
}

enum err kin_forward(const struct kin *k, const double rail_mm[KIN_RAIL_COUNT], double pos_mm[3])
{
    if (k->config.kind == KIN_DELTA)
        return kin_delta_forward(k, rail_mm, pos_mm);
    const struct linear_kind *lk = &linear_kinds[k->config.kind];
    for (int i = 0; i < 3; i++)
        pos_mm[i] = lk->inverse[i][0] * rail_mm[0] + lk->inverse[i][1] * rail_mm[1] + lk->inverse[i][2] * rail_mm[2];
    return OK;
}

void kin_inverse(const struct kin *k, const double pos_mm[3], double rail_mm[KIN_RAIL_COUNT])
{
    for (int i = 0; i < KIN_RAIL_COUNT; i++)
        rail_mm[i] = kin_func_position(&k->func[i], pos_mm);
}

void kin_set_homed(struct kin *k, unsigned axes)
{
    for (int i = 0; i < 3; i++) {
        if (!(axes & (unsigned)SEG_X << i))
            continue;
        k->is_homed[i] = true;
        k->limit_min_mm[i] = k->config.rail[i].position_min_mm;
        k->limit_max_mm[i] = k->config.rail[i].position_max_mm;
    }
}

void kin_clear_homed(struct kin *k, unsigned axes)
{
    for (int i = 0; i < 3; i++) {
        if (!(axes & (unsigned)SEG_X << i))
            continue;
        k->is_homed[i] = false;
        k->limit_min_mm[i] = 1.0;
        k->limit_max_mm[i] = -1.0;
    }
}

void kin_set_range(struct kin *k, unsigned axis, double min_mm, double max_mm)
{
    CHECK(axis < 3);
    k->is_homed[axis] = true;
    k->limit_min_mm[axis] = min_mm;
    k->limit_max_mm[axis] = max_mm;
}

enum err kin_move_error(const struct move *m, bool is_unhomed, struct err_info *info)
{
    const double e = m->axes_count > MOVE_EXTRA ? m->end_mm[MOVE_EXTRA] : 0.0;
    return err_set(info, is_unhomed ? ERR_STATE : ERR_LIMIT, "%s: %.3f %.3f %.3f [%.3f]",
                   is_unhomed ? "Must home axis first" : "Move out of range", m->end_mm[0], m->end_mm[1], m->end_mm[2],
                   e);
}

/* Of the axes that move, the first that is outside says why. */
static enum err check_range(const struct kin *k, const struct move *m, struct err_info *info)
{
    for (int i = 0; i < 3; i++) {
        const double end = m->end_mm[i];
        if (m->r[i] != 0.0 && !(end >= k->limit_min_mm[i] && end <= k->limit_max_mm[i]))
            return kin_move_error(m, k->limit_min_mm[i] > k->limit_max_mm[i], info);
    }
    return OK;
}

void kin_limit_z(const struct kin *k, struct move *m)
{
    if (m->r[2] == 0.0)
        return;
    const double ratio = 1.0 / (m->r[2] < 0.0 ? -m->r[2] : m->r[2]); /* length per mm of z */
    move_limit_speed(m, k->config.max_z_velocity_mm_s * ratio, k->config.max_z_accel_mm_s2 * ratio);
}

enum err kin_check_move(struct kin *k, struct move *m, struct err_info *info)
{
    if (!m->is_kinematic || k->config.kind == KIN_NONE)
        return OK;
    if (k->config.kind == KIN_DELTA)
        return kin_delta_check_move(k, m, info);
    enum err err = check_range(k, m, info);
    if (err == OK)
        kin_limit_z(k, m);
    return err;
}

void kin_axis_range(const struct kin *k, double min_mm[3], double max_mm[3])
{
    if (k->config.kind == KIN_DELTA) {
        kin_delta_axis_range(k, min_mm, max_mm);
        return;
    }
    for (int i = 0; i < 3; i++) {
        min_mm[i] = k->config.rail[i].position_min_mm;
        max_mm[i] = k->config.rail[i].position_max_mm;
    }
}

unsigned kin_home_rails(const struct kin *k, int axis)
{
    return k->config.kind == KIN_DELTA ? 7 : linear_kinds[k->config.kind].home_rails[axis];
}
