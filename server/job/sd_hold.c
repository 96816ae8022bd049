/* Stopping at the commit horizon, and going on.
 *
 * The reader is ahead of the boards. When a client pauses, the engine brakes and keeps what was not executed (the
 * tail); the modal state is set back to the one in force where the toolhead stands, so that the user's PAUSE sees and
 * saves what is true there. To go on, the toolhead must stand where it stood; then the tail is played and the modal
 * state of the reader comes back. Filament that was moved meanwhile moves the origin of E with it. */
#include "server/job/sdcard_private.h"

#include "base/fiber.h"
#include "server/job/exclude_object.h"
#include "server/job/pause_resume.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <string.h>

#define SAME_PLACE_MM 1e-6

static void on_engine(void *ctx, const struct engine_event *event)
{
    struct sdcard *sd = ctx;
    if (event->kind != ENGINE_EVENT_HELD)
        return;
    sd->is_held_event = true;
    sd->held = event->source;
    memcpy(sd->tail.pos, event->pos, sizeof(sd->tail.pos));
    if (sd->holder)
        fiber_wake(sd->holder);
}

/* Wait for HELD. A cancel of the waiting fiber does not undo the hold: the wait is short and goes on. */
static enum err wait_held(struct sdcard *sd)
{
    while (!sd->is_held_event) {
        if (printer_is_shutdown(sd->obj.printer))
            return ERR_SHUTDOWN;
        sd->holder = fiber_current();
        enum err err = fiber_park(host_ns_add_s(fiber_now(), 0.1)); /* also looks for a shutdown */
        sd->holder = NULL;
        if (err == ERR_CANCELLED)
            return err;
    }
    return OK;
}

/* Another fiber is at it. */
static enum err wait_other(struct sdcard *sd)
{
    enum err err = OK;
    while (!err && sd->is_holding)
        err = fiber_sleep(0.01);
    return err;
}

enum err sdcard_hold(struct sdcard *sd, struct err_info *info)
{
    struct engine *engine = sd->obj.printer->engine;
    if (sd->is_holding)
        return wait_other(sd);
    if (sd->tail.is_held)
        return OK;
    if (!sd->has_listener) {
        engine_listen(engine, on_engine, sd);
        sd->has_listener = true;
    }
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(engine, pos);
    sd->tail.read_e_mm = pos[GCODE_E];
    sd->is_held_event = false;
    sd->is_holding = true;
    enum err err = engine_hold(engine, info);
    if (!err)
        err = wait_held(sd);
    sd->is_holding = false;
    if (err)
        return err;
    sd->tail.is_held = true;
    exclude_object_suspend(sd->obj.printer);
    err = toolhead_show_executed(printer_toolhead(sd->obj.printer), &sd->held);
    (void)err; /* a state too old to be known: the reader's is shown */
    return OK;
}

/* The toolhead back to where it was held, should it stand elsewhere. */
static enum err go_back(struct sdcard *sd, struct err_info *info)
{
    double pos[ENGINE_AXES_MAX];
    engine_commanded_position(sd->obj.printer->engine, pos);
    bool is_there = true;
    for (int i = 0; i < 3; i++) {
        is_there = is_there && fabs(pos[i] - sd->tail.pos[i]) <= SAME_PLACE_MM;
        pos[i] = sd->tail.pos[i];
    }
    for (int i = 4; i < ENGINE_AXES_MAX; i++) {
        is_there = is_there && fabs(pos[i] - sd->tail.pos[i]) <= SAME_PLACE_MM;
        pos[i] = sd->tail.pos[i];
    }
    return is_there ? OK
                    : toolhead_move(printer_toolhead(sd->obj.printer), pos,
                                    pause_resume_recover_velocity(sd->obj.printer), info);
}

enum err sd_release(struct sdcard *sd, struct err_info *info)
{
    struct printer *printer = sd->obj.printer;
    if (!sd->tail.is_held)
        return OK;
    enum err err = go_back(sd, info);
    while (!err && (err = engine_release(printer->engine, info)) == ERR_FULL)
        err = motion_wait_room(printer, info);
    if (err)
        return err;
    sd->tail.is_held = false;
    exclude_object_resume(printer);
    toolhead_show_read(printer_toolhead(printer));
    double pos[ENGINE_AXES_MAX];
    struct gcode_modal modal;
    struct gcode_move *gm = printer_gcode_move(printer);
    engine_commanded_position(printer->engine, pos);
    gcode_move_get_modal(gm, &modal);
    modal.base_pos[GCODE_E] += pos[GCODE_E] - sd->tail.read_e_mm;
    gcode_move_set_modal(gm, &modal); /* the position comes from the end of the tail */
    return OK;
}

bool sdcard_is_held(const struct sdcard *sd)
{
    return sd->tail.is_held;
}

void sdcard_drop_tail(struct sdcard *sd)
{
    struct printer *printer = sd->obj.printer;
    if (!sd->tail.is_held)
        return;
    sd->tail.is_held = false;
    enum err ignored = engine_drop_tail(printer->engine, NULL); /* refused only if nothing is held: a stopped engine */
    (void)ignored;
    exclude_object_forget(printer);
    toolhead_forget_read(printer_toolhead(printer));
    gcode_move_reset_position(printer_gcode_move(printer));
}
