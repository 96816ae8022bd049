/* What the files of the multi-material unit share; nobody else includes this. */
#ifndef SERVER_MMU_PRIVATE_H
#define SERVER_MMU_PRIVATE_H

#include "server/machine/object.h"
#include "server/mmu/mmu.h"
#include "server/mmu/print_state.h"

#include <stdbool.h>
#include <stddef.h>

struct gcode;
struct heater;

#define MMU_POSITION_NAME "MMU_state" /* of the saved G-code state that holds the remembered position */
#define MMU_HEATERS_COUNT 2           /* the active extruder and the bed */

struct mmu_history_entry {
    enum mmu_state from, state;
    enum mmu_event event;
    double since_s; /* seconds since 1970 */
    char *reason;   /* NULL: none */
};

struct mmu {
    struct printer_object obj;
    /* configuration */
    double timeout_pause_s, default_idle_timeout_s; /* the latter < 0: what was in force before */
    bool has_detection;
    const char *pause_macro, *changed_macro;

    struct mmu_job job;
    char *reason; /* why the job is paused; NULL: it is not */
    double since_s;
    struct mmu_history_entry history[MMU_HISTORY_COUNT]; /* ring: the latest is at (history_count - 1) % COUNT */
    size_t history_count;

    bool has_position; /* a position is remembered */
    struct {
        struct heater *heater;
        double target_c;
    } heaters[MMU_HEATERS_COUNT]; /* as they were when the job was paused; heater NULL: none */
    double idle_timeout_s;        /* to go back to; 0: nothing to restore */
};

/* --- state.c --- */
/* Raise an event: take its row, if there is one, carry out what changes in memory, tell everybody. Does not wait, does
 * not move. Returns the row taken or NULL. reason: kept if the row is a pause; NULL: none. */
const struct mmu_transition *mmu_raise(struct mmu *m, enum mmu_event event, bool is_forced, const char *reason);
void mmu_write_state(const struct mmu *m, bool with_history, struct strbuf *json);
void mmu_clear_history(struct mmu *m);

/* --- pause.c; all of them with the turn of G-code, in a fiber --- */
/* If a file is printing and the state does not know it yet: it does now. */
void mmu_fix_started(struct mmu *m);
/* MMU_PRINT_START. */
void mmu_begin_print(struct mmu *m);
enum err mmu_do_pause(struct mmu *m, const char *message, bool is_forced, struct err_info *info) ERR_NODISCARD;
enum err mmu_do_unlock(struct mmu *m, struct err_info *info) ERR_NODISCARD;
/* RESUME around the user's own; params: what follows the command word. */
enum err mmu_do_resume(struct mmu *m, const char *params, struct err_info *info) ERR_NODISCARD;
/* Remember position and temperatures, unless they are remembered already. */
void mmu_remember(struct mmu *m);
void mmu_forget(struct mmu *m);

/* --- commands.c --- */
extern const struct command_desc mmu_commands[];
#define MMU_COMMAND_COUNT 6
/* Put PAUSE, RESUME, CLEAR_PAUSE and CANCEL_PRINT around those that exist, which become __PAUSE and so on. */
enum err mmu_wrap_commands(struct mmu *m, struct err_info *info) ERR_NODISCARD;

#endif
