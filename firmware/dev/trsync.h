/* Trigger synchronisation: when a trsync fires, everything that signed up stops at once. */
#ifndef FIRMWARE_DEV_TRSYNC_H
#define FIRMWARE_DEV_TRSYNC_H

#include "firmware/core/mcu.h"

struct trsync;
struct trsync_signal {
    struct trsync_signal *next;
    void (*fire)(struct mcu *m, struct trsync_signal *signal, unsigned reason); /* NULL: not signed up */
};

/* The trsync object `oid`, or NULL after a fault. */
struct trsync *trsync_find(struct mcu *m, uint32_t oid);
/* Call signal->fire once when `ts` fires. Forgotten at the next start. Fault if the signal is signed up already. */
void trsync_add_signal(struct mcu *m, struct trsync *ts, struct trsync_signal *signal,
                       void (*fire)(struct mcu *, struct trsync_signal *, unsigned));
/* Fire unless it has fired already or was never armed. */
void trsync_fire(struct mcu *m, struct trsync *ts, unsigned reason);

#endif
