/* A random print for tests of the engine: moves of all sizes, travels, retractions, fan changes, dwells; as a fiber that
 * appends it, and with shapers and pressure advance if the machine is told so. */
#ifndef TESTS_UNIT_MOTION_ENGINE_PATH_H
#define TESTS_UNIT_MOTION_ENGINE_PATH_H

#include "tests/unit/motion/engine_rig.h"

#define PATH_MOVES 120

struct path_move {
    double pos[4], speed;
    bool has_fan, has_dwell;
};

struct path {
    struct path_move moves[PATH_MOVES];
    double max_speed_mm_s;
    bool has_filters;  /* shapers on x and y, pressure advance */
    bool has_mesh;     /* as a bed mesh sends it: pieces of at most 5 mm that follow a curved bed */
    bool is_done;
};

static inline void path_make(struct path *path, struct rng *rng, bool is_round_bed)
{
    const double shift = is_round_bed ? -60 : 0, max = is_round_bed ? 60 : 200;
    double pos[4] = {50 + shift, 50 + shift, 1, 0};
    if (path->max_speed_mm_s == 0)
        path->max_speed_mm_s = 300;
    path->is_done = false;
    for (int i = 0; i < PATH_MOVES; i++) {
        const double kind = rng_unit(rng);
        const double size = kind < 0.3 ? 0.3 : kind < 0.8 ? 10 : 80;
        struct path_move *m = &path->moves[i];
        if (kind > 0.95) {
            pos[3] += rng_unit(rng) < 0.5 ? -0.8 : 0.8; /* retract or not */
        } else {
            const double from[2] = {pos[0], pos[1]};
            for (int a = 0; a < 2; a++)
                pos[a] = fmin(fmax(pos[a] + rng_range(rng, -size, size), shift), max);
            if (rng_unit(rng) < 0.1)
                pos[2] = 1 + rng_unit(rng);
            pos[3] += rng_unit(rng) * 0.04 * hypot(pos[0] - from[0], pos[1] - from[1]);
        }
        memcpy(m->pos, pos, sizeof pos);
        m->speed = rng_range(rng, 20, path->max_speed_mm_s);
        m->has_fan = rng_unit(rng) < 0.1;
        m->has_dwell = rng_unit(rng) < 0.03;
    }
}

static inline double path_bed(double x, double y)
{
    return 0.2 * sin(x / 30) + 0.15 * cos(y / 25);
}

/* One move of the path from where the stream ends, in one piece or as the mesh cuts it. */
static inline void path_go(struct machine *m, const struct path *path, int i, struct engine_source source)
{
    const struct path_move *p = &path->moves[i];
    double from[ENGINE_AXES_MAX];
    struct err_info info = {{0}};
    engine_commanded_position(m->engine, from);
    if (i > 0)
        memcpy(from, path->moves[i - 1].pos, sizeof p->pos);
    const int n = path->has_mesh ? 1 + (int)(hypot(p->pos[0] - from[0], p->pos[1] - from[1]) / 5) : 1;
    for (int k = 1; k <= n; k++) {
        double at[4];
        for (int a = 0; a < 4; a++)
            at[a] = k == n ? p->pos[a] : from[a] + (p->pos[a] - from[a]) * k / n;
        if (path->has_mesh)
            at[2] += path_bed(at[0], at[1]);
        if (machine_move(m, at[0], at[1], at[2], at[3], p->speed, source, &info) != OK)
            fail_msg("move %d: %s %s", i, info.text, engine_fault_text(m->engine));
    }
}

static inline void path_set_filters(struct machine *m)
{
    const struct engine_shaper shapers[3] = {{.kind = ENGINE_SHAPER_MZV, .freq_hz = 45, .damping_ratio = 0.1},
                                             {.kind = ENGINE_SHAPER_EI, .freq_hz = 38, .damping_ratio = 0.1}};
    AWAIT(m, engine_set_shapers(m->engine, shapers, ENGINE_SOURCE_NONE, &await_info));
    AWAIT(m, engine_set_pressure_advance(m->engine, m->stepper[MOTOR_E], 0.05, 0.04, ENGINE_SOURCE_NONE, &await_info));
}

static inline void path_play(struct machine *m, struct path *path)
{
    if (path->has_filters)
        path_set_filters(m);
    for (int i = 0; i < PATH_MOVES; i++) {
        const struct engine_source source = {1000 + i, (uint32_t)i + 1, (uint32_t)i};
        const struct path_move *p = &path->moves[i];
        path_go(m, path, i, source);
        if (p->has_fan)
            AWAIT(m, engine_output(m->engine, m->fan, (const int64_t[]){m->fan_oid, 0, i % 2}, 3, source, &await_info));
        if (p->has_dwell)
            AWAIT(m, engine_dwell(m->engine, 0.05, source, &await_info));
    }
    path->is_done = true;
}

/* Where the print ends. */
static inline void path_end(const struct path *path, double pos[4])
{
    memcpy(pos, path->moves[PATH_MOVES - 1].pos, 4 * sizeof *pos);
    if (path->has_mesh)
        pos[2] += path_bed(pos[0], pos[1]);
}

/* The fastest an axis moved, over stretches of 4 ms [mm/s]. */
static inline double speed_max(const struct machine *m, int axis)
{
    const struct motor *motor = &m->motor[axis];
    double best = 0;
    size_t from = 0;
    for (size_t i = 0; i < motor->step_count; i++) {
        while (motor->steps[i].time_s - motor->steps[from].time_s > 0.004)
            from++;
        const double dt = motor->steps[i].time_s - motor->steps[from].time_s;
        if (dt > 0.002)
            best = fmax(best, (fabs((double)(motor->steps[i].count - motor->steps[from].count)) - 1) * motor_step_mm[axis] / dt);
    }
    return best;
}

/* Largest change of speed beyond what the acceleration allows [mm/s]: over windows of 10 ms, corners of 5 mm/s aside. */
static inline double jump_max(const struct machine *m, int axis)
{
    const double h = 0.01, end = m->motor[axis].step_count ? m->motor[axis].steps[m->motor[axis].step_count - 1].time_s : 0;
    double best = 0, p0 = 0, p1 = 0, p2;
    const double begin = m->motor[axis].step_count ? m->motor[axis].steps[0].time_s - 0.1 : 0;
    p0 = p1 = motor_mm_at(m, axis, begin);
    for (double t = begin; t < end + 0.1; t += h) {
        p2 = motor_mm_at(m, axis, t);
        best = fmax(best, fabs((p2 - p1) - (p1 - p0)) / h);
        p0 = p1;
        p1 = p2;
    }
    return best;
}

#endif
