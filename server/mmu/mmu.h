/* The multi-material unit, its first part: the states of a print job. An [mmu] section, even an empty one, turns it on.
 * Table and rules: server/mmu/print_state.h. All functions: machine thread. */
#ifndef SERVER_MMU_MMU_H
#define SERVER_MMU_MMU_H

#include "base/err.h"
#include "base/strbuf.h"

#include <stdbool.h>

struct object_desc;
struct printer;

extern const struct object_desc mmu_desc, mmu_machine_desc; /* for the list of all objects */

/* Does the printer have an [mmu] section? The functions below answer ERR_NOT_FOUND without one. */
bool mmu_is_present(struct printer *printer);

/* printer.mmu.print_job_state: append the JSON object
 *   {"state": "pause_locked", "since": 1700000000.5, "reason": "...", "next_step": "...", "resume_to_state":
 * "printing", "history": [{"state", "since", "reason", "from", "event"}, ...]} since: seconds since 1970 of the last
 * change; history: the changes, oldest first, at most MMU_HISTORY_COUNT, left out unless `with_history`. */
#define MMU_HISTORY_COUNT 64
enum err mmu_print_job_state(struct printer *printer, bool with_history, struct strbuf *json,
                             struct err_info *info) ERR_NODISCARD;

/* Sent after each change of the state or its reason. data: const char *, the JSON object above without its history. */
#define MMU_STATE_EVENT "mmu:print_job_state"

/* --- fiber: run the command of that name --- */
/* MMU_PAUSE. message  shown as the reason; NULL: the default   force  also outside of a print (FORCE_IN_PRINT=1) */
enum err mmu_pause(struct printer *printer, const char *message, bool force, struct err_info *info) ERR_NODISCARD;
enum err mmu_unlock(struct printer *printer, struct err_info *info) ERR_NODISCARD;
enum err mmu_resume(struct printer *printer, struct err_info *info) ERR_NODISCARD;

#endif
