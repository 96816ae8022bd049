#include "server/mmu/print_state.h"

#include "base/check.h"
#include "base/strbuf.h"

#include <string.h>

/* Reading the rows:
 * - An event without a row changes nothing. MMU_PAUSE outside of a print has rows only with the guard "forced": it does
 *   nothing unless forced. Plain PAUSE raises no event at all, so it never locks.
 * - Ending a job means nothing where no job is (the six resting states), so late or repeated ends are harmless.
 * - The rows pause_locked/paused + idle say what happens to a paused job when the printer falls idle: it stays.
 * - A new job takes over from a paused one only by JOB_SEEN, which is raised for another file, never for a resume. */
#define S(state) MMU_STATE_##state
#define ROW(state, event, guard, action, next)                                                                         \
    {                                                                                                                  \
        S(state), MMU_EVENT_##event, MMU_GUARD_##guard, MMU_ACTION_##action, S(next)                                   \
    }
/* What all resting states have in common. */
#define RESTING(state) ROW(state, JOB_SEEN, NONE, BEGIN_JOB, STARTED), ROW(state, PAUSE, FORCED, LOCK, PAUSE_LOCKED)
#define ENDINGS(state)                                                                                                 \
    ROW(state, END_COMPLETE, NONE, END_JOB, COMPLETE), ROW(state, END_ERROR, NONE, END_JOB, ERROR),                    \
        ROW(state, END_CANCELLED, NONE, END_JOB, CANCELLED), ROW(state, END_READY, NONE, END_JOB, READY),              \
        ROW(state, END_STANDBY, NONE, END_JOB, STANDBY)

const struct mmu_transition mmu_transitions[] = {
    RESTING(INITIALIZED),
    ROW(INITIALIZED, IDLE, NONE, NONE, STANDBY),

    RESTING(STANDBY),
    ROW(STANDBY, ACTIVITY, NONE, NONE, READY),

    RESTING(READY),
    ROW(READY, IDLE, NONE, NONE, STANDBY),

    ROW(STARTED, PRINT_START, NONE, BEGIN_PRINT, PRINTING),
    ROW(STARTED, PAUSE, FORCED, LOCK, PAUSE_LOCKED),
    ROW(STARTED, IDLE, NO_JOB, END_JOB, STANDBY),
    ENDINGS(STARTED),

    ROW(PRINTING, PAUSE, NONE, LOCK, PAUSE_LOCKED),
    ROW(PRINTING, IDLE, NO_JOB, END_JOB, STANDBY),
    ENDINGS(PRINTING),

    RESTING(COMPLETE),
    ROW(COMPLETE, IDLE, NONE, NONE, STANDBY),

    RESTING(ERROR),
    ROW(ERROR, IDLE, NONE, NONE, STANDBY),

    RESTING(CANCELLED),
    ROW(CANCELLED, IDLE, NONE, NONE, STANDBY),

    ROW(PAUSE_LOCKED, UNLOCK, NONE, UNLOCK, PAUSED),
    ROW(PAUSE_LOCKED, PAUSE, NONE, NOTE, PAUSE_LOCKED),
    ROW(PAUSE_LOCKED, IDLE, NONE, KEEP, PAUSE_LOCKED),
    ROW(PAUSE_LOCKED, JOB_SEEN, NONE, BEGIN_JOB, STARTED),
    ENDINGS(PAUSE_LOCKED),

    ROW(PAUSED, RESUMED, WAS_PRINTING, CONTINUE, PRINTING),
    ROW(PAUSED, RESUMED, WAS_IDLE, CONTINUE, READY),
    ROW(PAUSED, PAUSE, NONE, NOTE, PAUSED),
    ROW(PAUSED, IDLE, NONE, KEEP, PAUSED),
    ROW(PAUSED, JOB_SEEN, NONE, BEGIN_JOB, STARTED),
    ENDINGS(PAUSED),
};
const size_t mmu_transition_count = ARRAY_COUNT(mmu_transitions);

static bool guard_holds(enum mmu_guard guard, const struct mmu_job *job, struct mmu_conditions cond)
{
    switch (guard) {
    case MMU_GUARD_NONE:
        return true;
    case MMU_GUARD_FORCED:
        return cond.is_forced;
    case MMU_GUARD_WAS_PRINTING:
        return job->was_printing;
    case MMU_GUARD_WAS_IDLE:
        return !job->was_printing;
    case MMU_GUARD_NO_JOB:
        return !cond.has_job;
    case MMU_GUARD_COUNT:
        break;
    }
    UNREACHABLE();
}

const struct mmu_transition *mmu_job_look(const struct mmu_job *job, enum mmu_event event, struct mmu_conditions cond)
{
    for (size_t i = 0; i < mmu_transition_count; i++) {
        const struct mmu_transition *row = &mmu_transitions[i];
        if (row->state == job->state && row->event == event && guard_holds(row->guard, job, cond))
            return row;
    }
    return NULL;
}

void mmu_job_take(struct mmu_job *job, const struct mmu_transition *row)
{
    CHECK(row->state == job->state);
    if (row->action == MMU_ACTION_LOCK)
        job->was_printing = row->state == MMU_STATE_PRINTING;
    else if (!mmu_state_is_paused(row->next))
        job->was_printing = false;
    job->state = row->next;
}

bool mmu_state_is_in_print(enum mmu_state state)
{
    return state == MMU_STATE_PRINTING || mmu_state_is_paused(state);
}

bool mmu_state_is_printing(enum mmu_state state)
{
    return state == MMU_STATE_STARTED || state == MMU_STATE_PRINTING;
}

bool mmu_state_is_paused(enum mmu_state state)
{
    return state == MMU_STATE_PAUSE_LOCKED || state == MMU_STATE_PAUSED;
}

bool mmu_state_is_end(enum mmu_state state)
{
    return !mmu_state_is_printing(state) && !mmu_state_is_paused(state);
}

const char *mmu_state_name(enum mmu_state state)
{
    static const char *const names[] = {"initialized", "standby", "ready",     "started",      "printing",
                                        "complete",    "error",   "cancelled", "pause_locked", "paused"};
    _Static_assert(ARRAY_COUNT(names) == MMU_STATE_COUNT, "one name per state");
    CHECK((unsigned)state < MMU_STATE_COUNT);
    return names[state];
}

const char *mmu_event_name(enum mmu_event event)
{
    static const char *const names[] = {"activity",      "job_seen",  "print_start",  "pause",
                                        "unlock",        "resumed",   "end_complete", "end_error",
                                        "end_cancelled", "end_ready", "end_standby",  "idle"};
    _Static_assert(ARRAY_COUNT(names) == MMU_EVENT_COUNT, "one name per event");
    CHECK((unsigned)event < MMU_EVENT_COUNT);
    return names[event];
}

const char *mmu_guard_name(enum mmu_guard guard)
{
    static const char *const names[] = {"", "forced", "was printing", "was not printing", "no job"};
    _Static_assert(ARRAY_COUNT(names) == MMU_GUARD_COUNT, "one name per guard");
    CHECK((unsigned)guard < MMU_GUARD_COUNT);
    return names[guard];
}

const char *mmu_action_name(enum mmu_action action)
{
    static const char *const names[] = {
        "none",     "begin job", "begin print", "remember and pause", "note the reason", "unlock",
        "continue", "end job",   "keep"};
    _Static_assert(ARRAY_COUNT(names) == MMU_ACTION_COUNT, "one name per action");
    CHECK((unsigned)action < MMU_ACTION_COUNT);
    return names[action];
}

bool mmu_end_event(const char *name, enum mmu_event *event)
{
    static const struct {
        const char *name;
        enum mmu_event event;
    } ends[] = {{"complete", MMU_EVENT_END_COMPLETE},
                {"error", MMU_EVENT_END_ERROR},
                {"cancelled", MMU_EVENT_END_CANCELLED},
                {"ready", MMU_EVENT_END_READY},
                {"standby", MMU_EVENT_END_STANDBY}};
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        if (strcmp(name, ends[i].name) == 0) {
            *event = ends[i].event;
            return true;
        }
    }
    return false;
}

const char *mmu_state_next_step(enum mmu_state state)
{
    switch (state) {
    case MMU_STATE_INITIALIZED:
    case MMU_STATE_STANDBY:
    case MMU_STATE_READY:
        return "Start a print.";
    case MMU_STATE_STARTED:
        return "The print is being prepared.";
    case MMU_STATE_PRINTING:
        return "";
    case MMU_STATE_COMPLETE:
        return "Take the print off the bed, then start the next one.";
    case MMU_STATE_ERROR:
        return "Read the message in the console, then start again.";
    case MMU_STATE_CANCELLED:
        return "Clear the bed, then start the next print.";
    case MMU_STATE_PAUSE_LOCKED:
        return "Fix the cause. Unlock (MMU_UNLOCK) heats up again without printing; Resume (RESUME) unlocks and prints "
               "on.";
    case MMU_STATE_PAUSED:
        return "Resume (RESUME) goes back to the remembered position and prints on; Cancel (CANCEL_PRINT) ends the "
               "job.";
    case MMU_STATE_COUNT:
        break;
    }
    UNREACHABLE();
}

void mmu_table_render(struct strbuf *out)
{
    strbuf_adds(out, "```mermaid\nstateDiagram-v2\n    [*] --> initialized\n");
    for (size_t i = 0; i < mmu_transition_count; i++) {
        const struct mmu_transition *row = &mmu_transitions[i];
        strbuf_addf(out, "    %s --> %s: %s", mmu_state_name(row->state), mmu_state_name(row->next),
                    mmu_event_name(row->event));
        if (row->guard != MMU_GUARD_NONE)
            strbuf_addf(out, " [%s]", mmu_guard_name(row->guard));
        strbuf_addc(out, '\n');
    }
    strbuf_adds(out, "```\n\n| state | event | guard | action | next |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < mmu_transition_count; i++) {
        const struct mmu_transition *row = &mmu_transitions[i];
        strbuf_addf(out, "| %s | %s | %s | %s | %s |\n", mmu_state_name(row->state), mmu_event_name(row->event),
                    mmu_guard_name(row->guard), mmu_action_name(row->action), mmu_state_name(row->next));
    }
}
