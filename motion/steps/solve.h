/* The step solver: when does the stepper's position cross the half-way points of its step grid?
 *
 * State: grid index n (position origin + n*step) and direction. A step up is due where the position reaches
 * origin + (n + 1/2) step, a step down where it reaches origin + (n - 1/2) step; against the present direction only if
 * it goes SOLVE_HYSTERESIS_MM beyond. Exact: pieces on which the position is one polynomial are split where it turns;
 * each monotone part is solved for all its crossings. docs/design/step-solving.md. Internal to motion/steps. */
#ifndef MOTION_STEPS_SOLVE_H
#define MOTION_STEPS_SOLVE_H

#include "motion/steps/solve_cross.h"
#include "motion/steps/tap.h"

#include <stdbool.h>

#define SOLVE_HYSTERESIS_MM 1e-8
#define SOLVE_BLOCK         256 /* steps handed over at a time */

/* Receives steps in order of time: `count` clocks [ticks, whole numbers] of steps in direction dir (+1, -1).
 * `is_committed`: meaningful if the direction changes with these: did the stepper really reach the place of the step
 * before, so that it must not be taken for a glitch? */
struct solver;
typedef void solve_sink_fn(void *ctx, int dir, const double *clocks, int count, bool is_committed);

struct solver {
    /* bound to */
    bool is_bound;
    struct filter filter;
    struct advance_list advance;
    struct tap taps[TAPS_MAX];
    int tap_count;
    bool is_seek_due;  /* taps must be placed anew */
    bool is_lost;      /* the kinematics have no position for the motion asked for */
    uint64_t cut_seen; /* segq.cut_count when they were placed */
    double t_s;        /* solved up to here */
    /* grid */
    double origin_mm, step_mm, inv_step;
    int64_t n;
    int dir;
    bool is_committed;
    /* smoothed pressure advance: position and speed at t_s, carried from piece to piece */
    double smooth_p, smooth_v;
    int smooth_age; /* pieces since they were computed afresh */
    /* clock of stepper time t: base_clock + (t - base_s) * hz */
    double base_s, base_clock, hz;
    solve_sink_fn *sink;
    void *ctx;
    crossings_fn *cross;
    /* steps not handed over yet, all in one direction */
    double clocks[SOLVE_BLOCK + CROSSINGS_GROUP];
    int block_count, block_dir;
    bool is_block_committed; /* is_committed as the block's first step found it */
};

void solver_init(struct solver *s, double step_mm, double hz, solve_sink_fn *sink, void *ctx);
/* Follow a queue through `filter` (NULL: follow nothing) from t_s on. */
void solver_bind(struct solver *s, const struct filter *filter, double advance_k_s, double t_s);
/* Grid point 0 is `pos_mm`; direction as after start (downwards). */
void solver_set_position(struct solver *s, double pos_mm);

/* Solve up to until_s or until about `step_max` steps have been made; s->t_s says how far. Returns the number of steps.
 * view  the queue it is bound to, as of when the work was handed out */
int solver_run(struct solver *s, const struct segq *view, double until_s, int step_max);

/* --- shared by the pieces' solvers --- */

/* Half-way points above and below the present grid point. */
static inline double solver_up_mm(const struct solver *s)
{
    return s->origin_mm + ((double)s->n + 0.5) * s->step_mm;
}
static inline double solver_down_mm(const struct solver *s)
{
    return s->origin_mm + ((double)s->n - 0.5) * s->step_mm;
}
/* Steps in direction d (+1, -1) when the position moves monotonely to end_mm; 0: none. */
int solver_count(const struct solver *s, int d, double end_mm);
/* After a monotone part that ended at end_mm with `count` steps in direction d: update grid and direction. */
void solver_advance(struct solver *s, int d, int count, double end_mm);
/* Room for the clocks of `count` <= SOLVE_BLOCK steps in direction d, which the caller fills in; CROSSINGS_GROUP more may
 * be overwritten. */
double *solver_put(struct solver *s, int d, int count);

/* One piece from t_s on, du long, position given by a quadratic. Returns the number of steps. */
int solve_quadratic(struct solver *s, double t_s, double du, const struct quad *q);
/* Position given by c[0] + c[1] u + .. + c[4] u^4. */
int solve_quartic(struct solver *s, double t_s, double du, const double c[5]);
/* Nonlinear kinematics of x, y, z, each a quadratic. */
int solve_kin(struct solver *s, double t_s, double du, const struct quad xyz[3]);

#endif
