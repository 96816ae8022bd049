/* What gcode_move.c and gcode_move_commands.c share. */
#ifndef SERVER_GCODE_GCODE_MOVE_PRIVATE_H
#define SERVER_GCODE_GCODE_MOVE_PRIVATE_H

#include "base/strmap.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

struct saved_state {
    struct gcode_modal modal;
    double last_pos[GCODE_AXIS_COUNT_MAX];
};

struct gcode_move {
    struct gcode *g;
    struct gcode_transform *toolhead, *front;
    struct gcode_modal modal;
    double last_pos[GCODE_AXIS_COUNT_MAX]; /* where the last move ends, before transforms [mm] */
    size_t axis_count;
    char letters[GCODE_AXIS_COUNT_MAX + 1]; /* of the axes: "XYZE..." */
    struct strmap saved;                    /* of struct saved_state */

    struct gcode_modal *history; /* by cookie modulo GCODE_MODAL_HISTORY_COUNT */
    uint32_t cookie;             /* the newest in history; 0: none yet */
    uint32_t cookie_before;      /* of the state before the move being sent */
    bool is_modal_new;           /* modal has changed since the newest cookie */
    unsigned is_sending;         /* a move is on its way down the chain */
    double sent_factor;          /* modal.speed_factor when it was sent */

    gcode_describe_fn *describe;
    void *describe_ctx;
};

/* Send the move to last_pos down the chain. */
enum err move_send(struct gcode_move *gm, double speed_mm_s, struct err_info *info);
uint32_t move_cookie_now(struct gcode_move *gm);
void move_on_error(void *ctx, enum err code, const char *text);

#endif
