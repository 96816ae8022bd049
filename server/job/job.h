/* The print job: what the API and the page may ask of it. Everything below the surface (files, pauses, macros) is in
 * the printer objects of this folder, which G-code reaches by its commands; these functions are the way in for clients.
 *
 * All functions: machine thread. Those marked "fiber" may wait and must be called from a fiber. */
#ifndef SERVER_JOB_JOB_H
#define SERVER_JOB_JOB_H

#include "base/err.h"

#include <stdbool.h>

struct printer;
struct object_class;

/* --- requests of clients (fiber); errors carry the text that a client is shown --- */

/* Load `filename` (relative to [virtual_sdcard] path) and start it, as SDCARD_PRINT_FILE does. Returns when the file has
 * been selected, not when it is printed. ERR_STATE: a file is being printed or paused; ERR_NOT_FOUND. */
enum err job_start(struct printer *printer, const char *filename, struct err_info *info) ERR_NODISCARD;

/* Pause the job: what is already on its way to the boards is executed, all motion after it is kept for the resume; then
 * PAUSE runs (the user's macro, if there is one). Pausing what is paused answers OK and does nothing. */
enum err job_pause(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* Run RESUME: the motion that was kept, then the rest of the file. */
enum err job_resume(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* Stop the job: waits of the running command (heating, dwell, homing) end at once, motion not yet on its way is dropped,
 * then CANCEL_PRINT runs. Never queues behind the file. */
enum err job_cancel(struct printer *printer, struct err_info *info) ERR_NODISCARD;

/* --- questions --- */

/* Is `path` (absolute) the file that is loaded for printing? Such a file must not be replaced, moved or deleted. */
bool job_holds_file(struct printer *printer, const char *path);

/* Is a file being printed right now (not paused)? */
bool job_is_printing(struct printer *printer);

#endif
