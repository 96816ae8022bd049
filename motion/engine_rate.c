/* What the boards can step: moves are slowed to it, before anything of them is sent.
 *
 * A board that is asked for more steps than it can make stops with "Rescheduled timer in the past" or "Timer too close". How many it
 * can make follows from its clock and from the ticks a step costs it: alone, and when several steppers move at once. The
 * ticks are those of Klipper's published step-rate benchmarks (docs/Benchmarks.md there: "1 stepper", "3 stepper"), for
 * 32-bit boards the slowest of them.
 *
 * Most machines never come near, so a move is looked at closely only if its speed is above one that is harmless in any
 * direction. */
#include "engine_int.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define GAIN_MAX 12.0 /* carriage travel per toolhead travel: where a delta's moves end (kin_delta.c) */

static const struct step_cost {
    const char *mcu; /* start of the dictionary's MCU */
    double ticks_alone, ticks_three; /* per step of one; per step of each of three */
} costs[] = {
    {"at", 102.0, 486.0},     /* AVR: atmega..., at90usb... */
    {"linux", 160.0, 380.0},
    {"rp2040", 3.0, 14.0},    /* of a clock of 12 MHz */
    {"", 70.0, 306.0},
};

static const struct step_cost *cost_of(const struct board *board)
{
    struct board_constant mcu;
    const char *name = board_constant_find(board, "MCU", &mcu, NULL) == OK ? mcu.text : "";
    size_t i = 0;
    while (strncmp(name, costs[i].mcu, strlen(costs[i].mcu)) != 0)
        i++;
    return &costs[i];
}

/* Largest travel of the stepper per mm of toolhead travel, in any direction. */
static double gain_max(const struct kin_func *f)
{
    if (f->kind == KIN_FUNC_NONE)
        return 0.0;
    if (f->kind == KIN_FUNC_LINEAR)
        return sqrt(f->c[0] * f->c[0] + f->c[1] * f->c[1] + f->c[2] * f->c[2]);
    return GAIN_MAX;
}

void rate_init(struct engine *e)
{
    for (unsigned i = 0; i < e->stepper_count; i++) {
        struct engine_stepper *s = e->steppers[i];
        s->step_rate_max_hz = board_freq_hz(s->board->board) / cost_of(s->board->board)->ticks_alone;
    }
    e->harmless_mm_s = INFINITY;
    for (unsigned b = 0; b < e->mboard_count; b++) {
        struct motion_board *mb = &e->mboards[b];
        mb->step_rate_max_hz = 3.0 * board_freq_hz(mb->board) / cost_of(mb->board)->ticks_three;
        double steps_per_mm = 0.0;
        for (unsigned i = 0; i < mb->stepper_count; i++) {
            const struct engine_stepper *s = mb->steppers[i];
            if (!s->is_on_toolhead)
                continue;
            const double own = gain_max(&e->kin.func[s->rail]) / s->read_step_dist_mm;
            steps_per_mm += own;
            if (own > 0.0)
                e->harmless_mm_s = fmin(e->harmless_mm_s, s->step_rate_max_hz / own);
        }
        if (steps_per_mm > 0.0) /* half is left to extruders */
            e->harmless_mm_s = fmin(e->harmless_mm_s, 0.5 * mb->step_rate_max_hz / steps_per_mm);
    }
}

/* Fastest the stepper of the toolhead moves per mm of the move: at its ends and in the middle. */
static double gain_of(const struct kin_func *f, const struct move *m)
{
    const double still[3] = {0.0, 0.0, 0.0};
    double gain = 0.0;
    for (int k = 0; k < 3; k++) {
        double pos[3], motion[3];
        for (int i = 0; i < 3; i++)
            pos[i] = m->start_mm[i] + 0.5 * k * (m->end_mm[i] - m->start_mm[i]);
        kin_func_motion(f, pos, m->r, still, motion);
        gain = fmax(gain, fabs(motion[1]));
    }
    return isfinite(gain) ? gain : 0.0;
}

/* Steps of `s` per mm of the move. */
static double steps_per_mm(const struct engine *e, const struct engine_stepper *s, const struct move *m)
{
    const struct engine_queue *q = s->read_queue;
    if (!q)
        return 0.0;
    if (q->kind == QUEUE_TOOLHEAD)
        return m->is_kinematic ? gain_of(&e->kin.func[s->rail], m) / s->read_step_dist_mm : 0.0;
    for (unsigned i = 0; i + MOVE_EXTRA < m->axes_count; i++)
        if (m->extra_queue[i] == q->index)
            return fabs(m->r[MOVE_EXTRA + i]) / s->read_step_dist_mm;
    return 0.0;
}

static void note(struct engine *e, struct engine_stepper *s, const char *board, double limit_hz, double from_mm_s, double to_mm_s)
{
    if (s->is_rate_told)
        return;
    s->is_rate_told = true;
    snprintf(e->warning, sizeof e->warning,
             "Moves are slowed down: at %.0f mm/s stepper '%s' is beyond what mcu '%s' can do (%.0f steps a second); this one "
             "goes at %.1f mm/s. Fewer microsteps allow more.",
             from_mm_s, s->name, board, limit_hz, to_mm_s);
}

void rate_limit_move(struct engine *e, struct move *m)
{
    const double v = fm_sqrt(m->max_cruise_v2);
    double extra = 0.0;
    for (unsigned i = MOVE_EXTRA; i < m->axes_count; i++)
        extra = fmax(extra, fabs(m->r[i]));
    if (m->is_kinematic ? v <= e->harmless_mm_s && v * extra <= e->harmless_mm_s * 0.1 : v <= e->harmless_mm_s * 0.1)
        return;
    double speed = v, limit_hz = 0.0, total[ENGINE_BOARDS_MAX] = {0.0};
    struct engine_stepper *worst = NULL, *last[ENGINE_BOARDS_MAX] = {NULL};
    unsigned moving[ENGINE_BOARDS_MAX] = {0};
    for (unsigned i = 0; i < e->stepper_count; i++) {
        struct engine_stepper *s = e->steppers[i];
        const double per_mm = steps_per_mm(e, s, m);
        const size_t b = (size_t)(s->board - e->mboards);
        total[b] += per_mm;
        if (per_mm > 0.0) {
            last[b] = s;
            moving[b]++;
        }
        if (per_mm * speed > s->step_rate_max_hz) {
            speed = s->step_rate_max_hz / per_mm;
            limit_hz = s->step_rate_max_hz;
            worst = s;
        }
    }
    for (unsigned b = 0; b < e->mboard_count; b++) {
        if (moving[b] < 2 || total[b] * speed <= e->mboards[b].step_rate_max_hz)
            continue;
        speed = e->mboards[b].step_rate_max_hz / total[b];
        limit_hz = e->mboards[b].step_rate_max_hz;
        worst = last[b];
    }
    if (!worst)
        return;
    move_limit_speed(m, speed, m->accel_mm_s2);
    note(e, worst, board_name(worst->board->board), limit_hz, v, speed);
}

enum err rate_check(const struct engine_stepper *s, double speed_mm_s, double accel_mm_s2, double distance_mm,
                    struct err_info *info)
{
    const double peak = accel_mm_s2 > 0.0 ? fmin(speed_mm_s, sqrt(fabs(distance_mm) * accel_mm_s2)) : speed_mm_s;
    if (peak / s->read_step_dist_mm <= s->step_rate_max_hz || distance_mm == 0.0)
        return OK;
    return err_set(info, ERR_LIMIT, "Stepper '%s' can't move at %.0f mm/s: mcu '%s' makes at most %.0f steps a second", s->name,
                   peak, board_name(s->board->board), s->step_rate_max_hz);
}

bool engine_take_warning(struct engine *e, char text[ENGINE_WARNING_MAX])
{
    if (!e->warning[0])
        return false;
    memcpy(text, e->warning, sizeof e->warning);
    e->warning[0] = '\0';
    return true;
}
