/* The states of a print job as the multi-material unit sees them: one table, and a small machine that walks it.
 *
 * The table is data: docs/mmu-print-states.md shows the drawing made from it (tests/unit/server/mmu/print_state_test.c
 * keeps both equal). The machine has no side effects: it answers which action the caller must carry out. Pure; any
 * thread. */
#ifndef SERVER_MMU_PRINT_STATE_H
#define SERVER_MMU_PRINT_STATE_H

#include <stdbool.h>
#include <stddef.h>

struct strbuf;

enum mmu_state {
    MMU_STATE_INITIALIZED, /* the printer has just become ready */
    MMU_STATE_STANDBY,     /* idle for long */
    MMU_STATE_READY,       /* awake, no job */
    MMU_STATE_STARTED,     /* a job has been seen, its preparations run */
    MMU_STATE_PRINTING,
    MMU_STATE_COMPLETE,
    MMU_STATE_ERROR,
    MMU_STATE_CANCELLED,
    MMU_STATE_PAUSE_LOCKED, /* stopped by a problem: position and temperature are remembered, the user must unlock */
    MMU_STATE_PAUSED,       /* the user has unlocked and works on the printer */
    MMU_STATE_COUNT
};

enum mmu_event {
    MMU_EVENT_ACTIVITY,     /* a command of the unit, or the printer moves or heats */
    MMU_EVENT_JOB_SEEN,     /* a print begins: seen by itself, or first half of MMU_PRINT_START */
    MMU_EVENT_PRINT_START,  /* second half of MMU_PRINT_START */
    MMU_EVENT_PAUSE,        /* MMU_PAUSE or a failure of the unit */
    MMU_EVENT_UNLOCK,       /* MMU_UNLOCK, or first step of RESUME */
    MMU_EVENT_RESUMED,      /* the user's RESUME has run */
    MMU_EVENT_END_COMPLETE, /* MMU_PRINT_END STATE=..., or seen by itself */
    MMU_EVENT_END_ERROR,
    MMU_EVENT_END_CANCELLED, /* also CANCEL_PRINT */
    MMU_EVENT_END_READY,
    MMU_EVENT_END_STANDBY,
    MMU_EVENT_IDLE, /* the idle timeout has passed */
    MMU_EVENT_COUNT
};

enum mmu_guard {
    MMU_GUARD_NONE,
    MMU_GUARD_FORCED,       /* the request carries FORCE_IN_PRINT=1 */
    MMU_GUARD_WAS_PRINTING, /* the pause interrupted a print */
    MMU_GUARD_WAS_IDLE,     /* the pause was forced outside of a print */
    MMU_GUARD_NO_JOB,       /* no file is being printed or paused */
    MMU_GUARD_COUNT
};

enum mmu_action {
    MMU_ACTION_NONE,
    MMU_ACTION_BEGIN_JOB,   /* forget what the last job left behind */
    MMU_ACTION_BEGIN_PRINT, /* nothing moves here: the printer may not be homed */
    MMU_ACTION_LOCK,        /* remember position and temperature, long idle timeout, then PAUSE */
    MMU_ACTION_NOTE,        /* say the new reason; the first one stays */
    MMU_ACTION_UNLOCK,      /* heat up again */
    MMU_ACTION_CONTINUE,    /* back to the remembered position */
    MMU_ACTION_END_JOB,     /* forget position and reason, usual idle timeout */
    MMU_ACTION_KEEP,        /* a paused job loses nothing */
    MMU_ACTION_COUNT
};

struct mmu_transition {
    enum mmu_state state;
    enum mmu_event event;
    enum mmu_guard guard;
    enum mmu_action action;
    enum mmu_state next;
};

/* What the guards look at, filled in by whoever raises the event. */
struct mmu_conditions {
    bool is_forced;
    bool has_job; /* a file is printing or paused, or the printer is paused */
};

/* The machine. Starts zeroed: initialized. */
struct mmu_job {
    enum mmu_state state;
    bool was_printing; /* the pause in force interrupted a print */
};

extern const struct mmu_transition mmu_transitions[];
extern const size_t mmu_transition_count;

/* The row of the table that `event` takes in the present state, or NULL: the event means nothing here. */
const struct mmu_transition *mmu_job_look(const struct mmu_job *job, enum mmu_event event, struct mmu_conditions cond);

/* Take that row: the state becomes row->next (after the caller has carried out row->action, if it likes). `row` comes
 * from mmu_job_look on this state (CHECK). */
void mmu_job_take(struct mmu_job *job, const struct mmu_transition *row);

/* Questions that rules are made of. */
bool mmu_state_is_in_print(enum mmu_state state); /* printing, pause_locked, paused */
bool mmu_state_is_printing(enum mmu_state state); /* started, printing */
bool mmu_state_is_paused(enum mmu_state state);   /* pause_locked, paused */
bool mmu_state_is_end(enum mmu_state state);      /* initialized, standby, ready, complete, error, cancelled */

/* Names as users and clients know them: "pause_locked". Constants. */
const char *mmu_state_name(enum mmu_state state);
const char *mmu_event_name(enum mmu_event event);
const char *mmu_guard_name(enum mmu_guard guard); /* "" for none */
const char *mmu_action_name(enum mmu_action action);
/* The event of MMU_PRINT_END STATE=`name`; false if there is no such state to end in. */
bool mmu_end_event(const char *name, enum mmu_event *event);

/* What a person can do next in this state, in one sentence. Constant. */
const char *mmu_state_next_step(enum mmu_state state);

/* Append the documentation made from the table: a Mermaid state diagram and the table in Markdown. */
void mmu_table_render(struct strbuf *out);

#endif
