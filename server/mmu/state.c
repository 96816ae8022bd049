/* The state in force, its history, and the news about it. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/gcode/gcode.h"
#include "server/job/idle_timeout.h"
#include "server/job/pause_resume.h"
#include "server/job/print_stats.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/mmu/private.h"

#include <string.h>

static bool has_job(struct printer *printer)
{
    enum print_state state = print_stats_state(print_stats_of(printer));
    return state == PRINT_PRINTING || state == PRINT_PAUSED || pause_resume_is_paused(printer);
}

static void add_history(struct mmu *m, const struct mmu_transition *row, const char *reason)
{
    struct mmu_history_entry *entry = &m->history[m->history_count++ % MMU_HISTORY_COUNT];
    mem_free(entry->reason);
    *entry = (struct mmu_history_entry){.from = row->state,
                                        .state = row->next,
                                        .event = row->event,
                                        .since_s = m->since_s,
                                        .reason = reason ? mem_strdup(reason) : NULL};
}

void mmu_clear_history(struct mmu *m)
{
    for (size_t i = 0; i < MMU_HISTORY_COUNT; i++)
        mem_free(m->history[i].reason);
    mem_free(m->reason);
}

static void add_text(struct strbuf *json, const char *name, const char *text)
{
    strbuf_addf(json, "\"%s\": ", name);
    strbuf_add_json_string(json, text ? text : "", text ? strlen(text) : 0);
}

static void add_number(struct strbuf *json, const char *name, double value)
{
    strbuf_addf(json, ", \"%s\": ", name);
    strbuf_add_json_double(json, value);
}

static void write_entry(const struct mmu_history_entry *entry, struct strbuf *json)
{
    strbuf_addf(json, "{\"state\": \"%s\"", mmu_state_name(entry->state));
    add_number(json, "since", entry->since_s);
    strbuf_adds(json, ", ");
    add_text(json, "reason", entry->reason);
    strbuf_addf(json, ", \"from\": \"%s\", \"event\": \"%s\"}", mmu_state_name(entry->from),
                mmu_event_name(entry->event));
}

void mmu_write_state(const struct mmu *m, bool with_history, struct strbuf *json)
{
    enum mmu_state resume_to = m->job.was_printing ? MMU_STATE_PRINTING : MMU_STATE_READY;
    strbuf_addf(json, "{\"state\": \"%s\"", mmu_state_name(m->job.state));
    add_number(json, "since", m->since_s);
    strbuf_adds(json, ", ");
    add_text(json, "reason", m->reason);
    strbuf_adds(json, ", ");
    add_text(json, "next_step", mmu_state_next_step(m->job.state));
    strbuf_addf(json, ", \"resume_to_state\": \"%s\"", mmu_state_name(resume_to));
    if (with_history) {
        size_t first = m->history_count > MMU_HISTORY_COUNT ? m->history_count - MMU_HISTORY_COUNT : 0;
        strbuf_adds(json, ", \"history\": [");
        for (size_t i = first; i < m->history_count; i++) {
            strbuf_adds(json, i > first ? ", " : "");
            write_entry(&m->history[i % MMU_HISTORY_COUNT], json);
        }
        strbuf_addc(json, ']');
    }
    strbuf_addc(json, '}');
}

/* The macro that configurations of the unit have for this, if it is there. It runs after whatever runs now. */
static void call_macro(struct mmu *m, const struct mmu_transition *row)
{
    struct printer *printer = m->obj.printer;
    if (row->next == row->state || row->event == MMU_EVENT_JOB_SEEN || !*m->changed_macro ||
        printer_is_shutdown(printer) || !gcode_has_command(printer->gcode, m->changed_macro))
        return;
    char *script = mem_sprintf("%s STATE='%s' OLD_STATE='%s'", m->changed_macro, mmu_state_name(row->next),
                               mmu_state_name(row->state));
    enum err ignored = printer_run_script(printer, script, NULL, NULL); /* all fibers in use: it is only told */
    (void)ignored;
    mem_free(script);
}

static void set_reason(struct mmu *m, const char *reason)
{
    mem_free(m->reason);
    m->reason = reason ? mem_strdup(reason) : NULL;
}

/* What the actions change in memory. What they do to the printer is done by whoever raised the event. */
static void apply(struct mmu *m, enum mmu_action action, const char *reason)
{
    struct printer *printer = m->obj.printer;
    switch (action) {
    case MMU_ACTION_LOCK:
        set_reason(m, reason);
        if (m->idle_timeout_s <= 0)
            m->idle_timeout_s = idle_timeout_get(printer);
        idle_timeout_set(printer, m->timeout_pause_s);
        break;
    case MMU_ACTION_UNLOCK:
    case MMU_ACTION_CONTINUE:
    case MMU_ACTION_BEGIN_JOB:
    case MMU_ACTION_END_JOB:
        if (m->idle_timeout_s > 0)
            idle_timeout_set(printer, m->default_idle_timeout_s > 0 ? m->default_idle_timeout_s : m->idle_timeout_s);
        m->idle_timeout_s = 0;
        if (action == MMU_ACTION_UNLOCK)
            break;
        set_reason(m, NULL);
        if (action != MMU_ACTION_CONTINUE) /* which goes there first */
            mmu_forget(m);
        break;
    case MMU_ACTION_NONE:
    case MMU_ACTION_BEGIN_PRINT:
    case MMU_ACTION_NOTE:
    case MMU_ACTION_KEEP:
    case MMU_ACTION_COUNT:
        break;
    }
}

const struct mmu_transition *mmu_raise(struct mmu *m, enum mmu_event event, bool is_forced, const char *reason)
{
    struct mmu_conditions cond = {.is_forced = is_forced, .has_job = has_job(m->obj.printer)};
    const struct mmu_transition *row = mmu_job_look(&m->job, event, cond);
    if (!row)
        return NULL;
    if (row->next != row->state)
        m->since_s = clock_wall_s();
    apply(m, row->action, reason);
    mmu_job_take(&m->job, row);
    if (row->action == MMU_ACTION_KEEP)
        return row;
    add_history(m, row, reason);
    printer_status_touch(&m->obj);
    call_macro(m, row);
    struct strbuf json;
    strbuf_init(&json);
    mmu_write_state(m, false, &json);
    printer_emit(m->obj.printer, MMU_STATE_EVENT, json.data);
    strbuf_deinit(&json);
    return row;
}
