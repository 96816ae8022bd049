#include "motion/steps/tap.h"

#include <math.h>

static double dot(const double a[3], const double b[3])
{
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/* `advance` NULL: no pressure advance for this tap. */
static void tap_load(struct tap *tap, const struct segq *q, const struct advance_list *advance)
{
    if (tap->index < q->end) {
        const struct seg *s = segq_at(q, tap->index);
        const double r = dot(tap->w, s->r);
        tap->start_s = s->t0_s - tap->tau_s;
        tap->end_s = seg_end_s(s) - tap->tau_s;
        tap->sum = (struct quad){dot(tap->w, s->pos_mm), r * s->v0_mm_s, r * s->ha_mm_s2};
        if (advance && (s->flags & SEG_ADVANCE)) {
            const double k = advance_at(advance, s->t0_s);
            tap->sum.p += k * tap->sum.v;
            tap->sum.v += k * 2.0 * tap->sum.h;
        }
        return;
    }
    /* Behind the newest segment: at rest where it ends. */
    tap->start_s = q->end_s - tap->tau_s;
    tap->end_s = INFINITY;
    tap->sum = (struct quad){dot(tap->w, q->end_mm), 0.0, 0.0};
}

void tap_advance(struct tap *tap, const struct segq *q, const struct advance_list *advance, double t_s)
{
    while (tap->end_s <= t_s && tap->index < q->end) {
        tap->index++;
        tap_load(tap, q, advance);
    }
}

void tap_seek(struct tap *tap, const struct segq *q, const struct advance_list *advance, double t_s)
{
    const double seen_s = t_s + tap->tau_s;
    const uint64_t found = segq_find(q, seen_s > tap->from_s ? seen_s : tap->from_s);
    tap->index = found < q->end ? found : q->end;
    tap_load(tap, q, advance);
    tap_advance(tap, q, advance, t_s);
}
