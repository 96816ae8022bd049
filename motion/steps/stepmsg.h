/* The records that step generation produces: one per command to a board. */
#ifndef MOTION_STEPS_STEPMSG_H
#define MOTION_STEPS_STEPMSG_H

#include <stdint.h>

enum stepmsg_kind {
    STEPMSG_QUEUE, /* queue_step interval count add */
    STEPMSG_DIR    /* set_next_step_dir dir */
};

struct stepmsg {
    uint64_t req_clock;   /* must be there by then: the clock from which the first interval counts */
    uint64_t first_clock; /* of the first step; DIR: as the message after it */
    uint64_t last_clock;  /* of the last step; a move slot is taken until then */
    uint32_t interval;
    uint16_t count; /* 0 for DIR */
    int16_t add;
    uint8_t kind;
    uint8_t dir;     /* value on the wire, inversion applied: DIR the new one, QUEUE the one in force */
    uint16_t source; /* the stepper's number, config.source */
};

/* Clock of step k in [1, count] of a queue message. */
static inline uint64_t stepmsg_clock(uint64_t base_clock, uint32_t interval, int16_t add, uint32_t k)
{
    return base_clock + (uint64_t)((int64_t)interval * k + (int64_t)add * ((int64_t)k * (k - 1) / 2));
}

#endif
