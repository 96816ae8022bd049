/* The print job: what the API and the page may ask of it. Everything below the surface (files, pauses, macros) is in
 * the printer objects of this folder, which G-code reaches by its commands; these functions are the way in for clients.
 *
 * All functions: machine thread. Those marked "fiber" may wait and must be called from a fiber. */
#ifndef SERVER_JOB_JOB_H
#define SERVER_JOB_JOB_H

#include "base/err.h"

#include <stdbool.h>

struct printer;

/* --- requests of clients (fiber); errors carry the text that a client is shown --- */

/* Load `filename` (relative to [virtual_sdcard] path) and start it, as SDCARD_PRINT_FILE does. Returns when the file has
 * been selected, not when it is printed. A paused file is replaced, its pause forgotten.
 * ERR_STATE: a file is being printed; ERR_NOT_FOUND. */
enum err job_start(struct printer *printer, const char *filename, struct err_info *info) ERR_NODISCARD;

/* Pause the job: what is already on its way to the boards is executed, all motion after it is kept for the resume; then
 * PAUSE runs (the user's macro, if there is one). Pausing what is paused answers OK and does nothing. A line that only
 * waits (a temperature, room in the queue) is taken back and runs again on resume; a macro finishes first. */
enum err job_pause(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* The same with `pause` in place of PAUSE: called with the turn of G-code once the toolhead stands still (also when no
 * file is being printed). If the file is still waiting to be stopped after it, the job goes on. */
typedef enum err job_pause_fn(void *ctx, struct err_info *info);
enum err job_pause_with(struct printer *printer, job_pause_fn *pause, void *ctx, struct err_info *info) ERR_NODISCARD;

/* Run RESUME: the motion that was kept, then the rest of the file. */
enum err job_resume(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* Stop the job, and whatever command or macro runs: waits (heating, dwell, homing, probing, a probe by hand) end at once,
 * motion not yet on its way is dropped, then CANCEL_PRINT runs. Never queues behind the file. In the middle of what PAUSE
 * or RESUME do the print is over even if CANCEL_PRINT decides otherwise. */
enum err job_cancel(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* Run a script that comes from outside of the file. While a file is printed, a script of one command that is meant for
 * the print as a whole acts at once and not when its turn comes, as the buttons of the same meaning do:
 *   M112                    the emergency stop, also among other lines
 *   PAUSE, MMU_PAUSE, M25   at the commit horizon, as job_pause, with the command as it was written
 *   CANCEL_PRINT            as job_cancel; also when no file is printed: whatever runs ends
 *   M220 S<percent>         at the commit horizon: the motion goes on at the new speed without a stop
 * Everything else takes its turn between two lines of the file. */
enum err job_run_script(struct printer *printer, const char *script, struct err_info *info) ERR_NODISCARD;

/* --- questions --- */

/* Is a file being printed right now (not paused)? */
bool job_is_printing(struct printer *printer);

#endif
