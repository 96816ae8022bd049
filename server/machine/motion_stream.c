/* Waiting for the engine's one ordered stream, and naming what enters it. */
#include "server/machine/motion_stream.h"

#include "motion/engine.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/machine/printer.h"

struct engine_source motion_source(const struct printer *printer)
{
    const struct gcode_source *source = gcode_source(printer->gcode);
    struct engine_source out = ENGINE_SOURCE_NONE;
    if (source->file_offset != GCODE_NO_OFFSET)
        out.file_offset = (int64_t)source->file_offset;
    out.state = gcode_move_cookie(printer->gcode_move);
    return out;
}

enum err motion_wait_room(struct printer *printer, struct err_info *info)
{
    enum err e = engine_wait_room(printer->engine);
    if (e == ERR_SHUTDOWN)
        return err_set(info, e, "%s", printer_state_message(printer));
    return e ? err_set(info, e, "The wait was cancelled") : OK;
}

bool motion_may_retry(struct printer *printer, enum err *e, struct err_info *info)
{
    if (*e != ERR_FULL)
        return false;
    *e = motion_wait_room(printer, info);
    return *e == OK;
}

enum err motion_wait_executed(struct printer *printer, struct err_info *info)
{
    return engine_wait_executed(printer->engine, motion_source(printer), info);
}
