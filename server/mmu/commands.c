/* The commands of the multi-material unit that every print meets, and those of Klipper that it stands around. */
#include "base/check.h"
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/job/pause_resume.h"
#include "server/job/print_stats.h"
#include "server/machine/printer.h"
#include "server/mmu/private.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

#define DEFAULT_MESSAGE "MMU_PAUSE was called"

static struct mmu *mmu_of(void *ctx)
{
    return ctx;
}

static enum err run(struct mmu *m, const char *script, struct err_info *info)
{
    return gcode_run_script(m->obj.printer->gcode, script, strlen(script), info);
}

static enum err run_wrapped(struct mmu *m, const char *name, struct gcode_command *cmd, struct err_info *info)
{
    char *script = mem_sprintf("%s %s", name, gcode_rawparams(cmd));
    enum err err = run(m, script, info);
    mem_free(script);
    return err;
}

/* --- the unit's own --- */

static enum err cmd_pause_locked(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct mmu *m = mmu_of(ctx);
    const char *message = gcode_get(cmd, "MSG");
    long is_forced = 0;
    enum err err = gcode_opt_int(cmd, "FORCE_IN_PRINT", GCODE_RANGE(0, 1), &is_forced, info);
    if (err)
        return err;
    return mmu_do_pause(m, message && *message ? message : DEFAULT_MESSAGE, is_forced != 0, info);
}

static enum err cmd_unlock(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    struct mmu *m = mmu_of(ctx);
    mmu_raise(m, MMU_EVENT_ACTIVITY, false, NULL);
    return mmu_do_unlock(m, info);
}

static enum err cmd_print_start(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct mmu *m = mmu_of(ctx);
    enum print_state state = print_stats_state(print_stats_of(m->obj.printer));
    if (gcode_has(cmd, "AUTOMATIC") && state != PRINT_PRINTING && state != PRINT_PAUSED)
        return OK; /* the file that was seen has gone before this had its turn */
    mmu_begin_print(m);
    return OK;
}

static enum err cmd_print_end(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct mmu *m = mmu_of(ctx);
    const char *state = gcode_get(cmd, "STATE");
    enum mmu_event event;
    long is_idle = 0;
    if (!mmu_end_event(state ? state : "complete", &event))
        return err_set(info, ERR_INVALID,
                       "Unknown STATE '%.100s': must be complete, error, cancelled, ready or standby", state);
    enum err err = gcode_opt_int(cmd, "IDLE_TIMEOUT", GCODE_RANGE(0, 1), &is_idle, info);
    if (err)
        return err;
    mmu_raise(m, MMU_EVENT_ACTIVITY, false, NULL);
    if (mmu_state_is_end(m->job.state))
        return OK;
    err = toolhead_wait_moves(printer_toolhead(m->obj.printer), info);
    if (!err)
        mmu_raise(m, is_idle ? MMU_EVENT_IDLE : event, false, NULL);
    return err;
}

/* --- around the user's own --- */

static enum err cmd_pause(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct mmu *m = mmu_of(ctx);
    mmu_fix_started(m);
    bool is_first = !m->has_position && mmu_state_is_in_print(m->job.state);
    if (is_first)
        mmu_remember(m);
    enum err err = run_wrapped(m, "__PAUSE", cmd, info);
    if (is_first && !pause_resume_is_paused(m->obj.printer) && !mmu_state_is_paused(m->job.state))
        mmu_forget(m); /* the macro chose not to pause */
    return err;
}

static enum err cmd_resume(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    return mmu_do_resume(mmu_of(ctx), gcode_rawparams(cmd), info);
}

static enum err cmd_clear_pause(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct mmu *m = mmu_of(ctx);
    enum err err = run_wrapped(m, "__CLEAR_PAUSE", cmd, info);
    if (!err && !mmu_state_is_paused(m->job.state)) /* a locked job keeps its position whatever happens */
        mmu_forget(m);
    return err;
}

static enum err cmd_cancel(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct mmu *m = mmu_of(ctx);
    mmu_fix_started(m);
    enum err err = run_wrapped(m, "__CANCEL_PRINT", cmd, info);
    if (err)
        return err;
    mmu_forget(m);
    mmu_raise(m, MMU_EVENT_END_CANCELLED, false, NULL);
    return OK;
}

enum err mmu_wrap_commands(struct mmu *m, struct err_info *info)
{
    static const struct {
        const char *name, *renamed, *help;
        gcode_handler_fn *fn;
    } wraps[] = {
        {"PAUSE", "__PAUSE", "Pause the print", cmd_pause},
        {"RESUME", "__RESUME", "Unlock the job if need be and go on with the print", cmd_resume},
        {"CLEAR_PAUSE", "__CLEAR_PAUSE", "Forget the pause without going on", cmd_clear_pause},
        {"CANCEL_PRINT", "__CANCEL_PRINT", "Cancel the print", cmd_cancel},
    };
    struct gcode *g = m->obj.printer->gcode;
    for (size_t i = 0; i < ARRAY_COUNT(wraps); i++) {
        struct gcode_def def = {.name = wraps[i].name, .help = wraps[i].help, .fn = wraps[i].fn};
        enum err err = gcode_rename(g, wraps[i].name, wraps[i].renamed, info);
        if (!err)
            err = gcode_register(g, &def, m, info);
        if (err)
            return err;
    }
    return OK;
}

/* --- the table --- */

static const struct command_param pause_params[] = {
    {"MSG", "str", DEFAULT_MESSAGE, NULL},
    {"FORCE_IN_PRINT", "int", "0", ">=0 <=1"},
    {NULL, NULL, NULL, NULL},
};
static const struct command_param end_params[] = {
    {"STATE", "str", "complete", "complete|error|cancelled|ready|standby"},
    {"IDLE_TIMEOUT", "int", "0", ">=0 <=1"},
    {NULL, NULL, NULL, NULL},
};

const struct command_desc mmu_commands[] = {
    {.name = "MMU_PAUSE",
     .params = pause_params,
     .help = "Pause the job and lock it: a problem has to be fixed first",
     .handler = cmd_pause_locked},
    {.name = "MMU_UNLOCK", .help = "Unlock a locked job: heat up again, without printing", .handler = cmd_unlock},
    {.name = "MMU_PRINT_START", .help = "A print begins", .handler = cmd_print_start},
    {.name = "MMU_PRINT_END", .params = end_params, .help = "A print has ended", .handler = cmd_print_end},
    {.name = "_MMU_PRINT_START", .handler = cmd_print_start},
    {.name = "_MMU_PRINT_END", .params = end_params, .handler = cmd_print_end},
};
_Static_assert(ARRAY_COUNT(mmu_commands) == MMU_COMMAND_COUNT, "as the descriptor says");
