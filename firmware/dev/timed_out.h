/* What digital and PWM outputs have in common: values that take effect at given clocks, and the promise that a value
 * other than the safe one never lasts longer than max_duration without the host's word. */
#ifndef FIRMWARE_DEV_TIMED_OUT_H
#define FIRMWARE_DEV_TIMED_OUT_H

#include "firmware/core/mcu.h"

struct timed_out;
/* Show `value` from `clock` (now) on. Returns whether it is a state that must be refreshed within max_duration. */
typedef bool timed_out_apply_fn(struct mcu *m, struct timed_out *out, uint32_t value, uint32_t clock);

struct timed_out {
    struct timer timer; /* runs at end_clock */
    struct move_queue queue;
    timed_out_apply_fn *apply;
    const struct fault *missed, *exceeds;
    uint32_t max_duration; /* 0: none */
    uint32_t end_clock;    /* when the next value takes effect or the present one expires */
    bool is_limited;       /* the present value expires */
    bool has_end;          /* the timer is in use */
};

/* From the config command; the output itself has been set up. */
void timed_out_init(struct mcu *m, struct timed_out *out, uint32_t max_duration, timed_out_apply_fn *apply,
                    const struct fault *missed, const struct fault *exceeds);
void timed_out_queue(struct mcu *m, struct timed_out *out, uint32_t clock, uint32_t value);
/* Show `value` at once and count its duration from now; the queue is empty. */
void timed_out_set(struct mcu *m, struct timed_out *out, uint32_t value);
bool timed_out_is_pending(const struct timed_out *out); /* values wait in the queue */
/* Forget everything queued (shutdown). */
void timed_out_stop(struct mcu *m, struct timed_out *out);

#endif
