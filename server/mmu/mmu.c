/* The [mmu] object: configuration, status, what it hears of the printer, and its way to the API. */
#include "server/mmu/mmu.h"

#include "base/clock.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/idle_timeout.h"
#include "server/job/job.h"
#include "server/job/pause_resume.h"
#include "server/job/print_stats.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/mmu/gates_status.h"
#include "server/mmu/private.h"
#include "server/toolhead/toolhead.h"

#include <string.h>

static struct mmu *mmu_of(void *obj)
{
    return obj;
}

/* --- news of the printer --- */

static void queue(struct mmu *m, const char *script)
{
    struct printer *printer = m->obj.printer;
    if (printer_run_script(printer, script, NULL, NULL) == ERR_FULL)
        gcode_respond_info(printer->gcode, "MMU: too many commands are running, \"%s\" was not run", script);
}

/* A print that begins or ends by itself. A resume is no beginning; a cancel ends in CANCEL_PRINT. */
static void on_print_stats(void *ctx, const char *event, void *data)
{
    (void)event;
    struct mmu *m = ctx;
    const struct print_stats_change *change = data;
    if (change->to == PRINT_STANDBY && !mmu_state_is_paused(m->job.state))
        mmu_forget(m); /* the file was let go while the user had paused it */
    if (!m->has_detection)
        return;
    if (change->to == PRINT_PRINTING && change->from != PRINT_PAUSED) {
        mmu_raise(m, MMU_EVENT_JOB_SEEN, false, NULL);
        queue(m, "MMU_PRINT_START AUTOMATIC=1");
    } else if (change->to == PRINT_COMPLETE) {
        queue(m, "MMU_PRINT_END STATE=complete AUTOMATIC=1");
    } else if (change->to == PRINT_ERROR) {
        queue(m, "MMU_PRINT_END STATE=error AUTOMATIC=1");
    }
}

static void on_activity(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    mmu_raise(ctx, MMU_EVENT_ACTIVITY, false, NULL);
}

static void on_idle(void *ctx, const char *event, void *data)
{
    (void)event;
    (void)data;
    mmu_raise(ctx, MMU_EVENT_IDLE, false, NULL);
}

/* A paused job keeps its place when the printer falls idle. */
static bool keeps_place(void *ctx)
{
    const struct mmu *m = ctx;
    return mmu_state_is_paused(m->job.state) || m->has_position;
}

/* --- for the API --- */

static struct mmu *find(struct printer *printer)
{
    return mmu_of(printer_find_object(printer, "mmu"));
}

static enum err no_mmu(struct err_info *info)
{
    return err_set(info, ERR_NOT_FOUND, "The printer has no [mmu] section");
}

bool mmu_is_present(struct printer *printer)
{
    return find(printer) != NULL;
}

enum err mmu_print_job_state(struct printer *printer, bool with_history, struct strbuf *json, struct err_info *info)
{
    const struct mmu *m = find(printer);
    if (!m)
        return no_mmu(info);
    mmu_write_state(m, with_history, json);
    return OK;
}

struct pause_request {
    struct mmu *mmu;
    const char *message;
    bool is_forced;
};

static enum err run_pause(void *ctx, struct err_info *info)
{
    const struct pause_request *request = ctx;
    return mmu_do_pause(request->mmu, request->message, request->is_forced, info);
}

static enum err check_ready(const struct printer *printer, struct err_info *info)
{
    if (printer_state(printer) == PRINTER_READY)
        return OK;
    return err_set(info, ERR_STATE, "%s", printer_state_message(printer));
}

enum err mmu_pause(struct printer *printer, const char *message, bool force, struct err_info *info)
{
    struct pause_request request = {.mmu = find(printer), .is_forced = force};
    request.message = message && *message ? message : "Paused by a client";
    if (!request.mmu)
        return no_mmu(info);
    enum err err = check_ready(printer, info);
    return err ? err : job_pause_with(printer, run_pause, &request, info);
}

enum err mmu_unlock(struct printer *printer, struct err_info *info)
{
    if (!find(printer))
        return no_mmu(info);
    return gcode_run_script(printer->gcode, "MMU_UNLOCK", strlen("MMU_UNLOCK"), info);
}

enum err mmu_resume(struct printer *printer, struct err_info *info)
{
    if (!find(printer))
        return no_mmu(info);
    return job_resume(printer, info);
}

/* --- the object --- */

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct mmu *m = mmu_of(obj);
    m->timeout_pause_s = section_float(section, "timeout_pause");
    m->default_idle_timeout_s = section_float(section, "default_idle_timeout");
    m->has_detection = section_int(section, "print_start_detection") != 0;
    m->pause_macro = section_string(section, "pause_macro");
    m->changed_macro = section_string(section, "print_state_changed_macro");
    m->since_s = clock_wall_s();
    printer_load_object(obj->printer, "pause_resume", section);
    printer_load_object(obj->printer, "mmu_machine", section);
    printer_load_object(obj->printer, "idle_timeout", section);
    printer_subscribe(obj->printer, PRINT_STATS_EVENT, on_print_stats, m);
    printer_subscribe(obj->printer, TOOLHEAD_EVENT_SYNC_PRINT_TIME, on_activity, m);
    printer_subscribe(obj->printer, IDLE_TIMEOUT_EVENT_IDLE, on_idle, m);
    idle_timeout_set_keep(obj->printer, keeps_place, m);
    return OK;
}

static void ready(struct printer_object *obj)
{
    struct err_info info;
    if (mmu_wrap_commands(mmu_of(obj), &info))
        printer_shutdown(obj->printer, "[mmu] cannot stand around PAUSE and RESUME: %s", info.text);
}

/* Nothing is left to go on with: a job that was under way has ended in an error, whose words are the printer's. */
static void shutdown(struct printer_object *obj)
{
    const char *message = printer_state_message(obj->printer);
    char *reason = mem_strndup(message, strcspn(message, "\n"));
    mmu_raise(mmu_of(obj), MMU_EVENT_END_ERROR, false, reason);
    mem_free(reason);
}

static void destroy(struct printer_object *obj)
{
    mmu_clear_history(mmu_of(obj));
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    const struct mmu *m = mmu_of(obj);
    enum mmu_state state = m->job.state;
    status_bool(writer, "enabled", true);
    status_string(writer, "print_state", mmu_state_name(state));
    status_string(writer, "print_job_state", mmu_state_name(state));
    status_bool(writer, "is_paused", mmu_state_is_paused(state));
    status_bool(writer, "is_locked", mmu_state_is_paused(state));
    status_bool(writer, "is_in_print", mmu_state_is_in_print(state));
    status_string(writer, "reason_for_pause", m->reason ? m->reason : "");
    status_string(writer, "next_step", mmu_state_next_step(state));
    status_int(writer, "print_start_detection", m->has_detection);
    mmu_write_gates_status(writer);
}

static const struct option_desc options[] = {
    {.name = "timeout_pause",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "72000",
     .limits = ">=120",
     .help = "Idle timeout while a job is locked."},
    {.name = "default_idle_timeout",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "-1",
     .help = "Idle timeout afterwards; -1: what it was before."},
    {.name = "print_start_detection",
     .type = OPTION_INT,
     .default_text = "1",
     .limits = ">=0 <=1",
     .help = "Notice by itself that a file begins or ends; 0: MMU_PRINT_START and MMU_PRINT_END say so."},
    {.name = "pause_macro", .type = OPTION_STRING, .default_text = "PAUSE", .help = "What MMU_PAUSE runs."},
    {.name = "print_state_changed_macro",
     .type = OPTION_STRING,
     .default_text = "_MMU_PRINT_STATE_CHANGED",
     .help = "Called with STATE and OLD_STATE after each change, if it exists."},
};

static const struct status_field_desc fields[] = {
    {"enabled", "bool", "the unit takes part"},
    {"print_state", "str", "state of the print job, see docs/mmu-print-states.md"},
    {"print_job_state", "str", "the same"},
    {"is_paused", "bool", "pause_locked or paused"},
    {"is_locked", "bool", "the same (deprecated name)"},
    {"is_in_print", "bool", "printing, pause_locked or paused"},
    {"reason_for_pause", "str", "why the job is paused, else empty"},
    {"next_step", "str", "what a person can do now"},
    {"print_start_detection", "int", "the configuration's"},
    MMU_GATES_FIELDS,
};

static const struct event_desc events[] = {
    {MMU_STATE_EVENT, "the state of the print job changed; data: JSON text"},
};

const struct object_desc mmu_desc = {
    .section = "mmu",
    .flags = OBJECT_EXACT,
    .help = "Multi-material unit: the states of a print job.",
    .size_bytes = sizeof(struct mmu),
    OBJECT_OPTIONS(options),
    .commands = mmu_commands,
    .command_count = MMU_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create,
    .ready = ready,
    .shutdown = shutdown,
    .destroy = destroy,
    .status = status,
};
