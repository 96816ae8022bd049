/* virtual_sdcard: the folder of print files and the fiber that prints one. Machine thread. */
#ifndef SERVER_JOB_SDCARD_H
#define SERVER_JOB_SDCARD_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct printer;
struct sdcard;

/* Sent after a file was loaded (data: its name, const char *), and when no file is loaded any more (data NULL). */
#define SDCARD_EVENT_LOAD  "virtual_sdcard:load_file"
#define SDCARD_EVENT_RESET "virtual_sdcard:reset_file"

struct sdcard *sdcard_of(struct printer *printer); /* never NULL: every printer has it */

/* Load `filename`, relative to the folder; case matters only if two names differ by nothing else. A paused file is let
 * go. ERR_STATE "SD busy" while one is being printed. */
enum err sdcard_load(struct sdcard *sd, const char *filename, struct err_info *info) ERR_NODISCARD;
/* No file any more. ERR_STATE while one is being printed. */
enum err sdcard_unload(struct sdcard *sd, struct err_info *info) ERR_NODISCARD;
/* Print on from the present position. ERR_STATE: it is printing already ("SD busy"). */
enum err sdcard_resume(struct sdcard *sd, struct err_info *info) ERR_NODISCARD;
/* Run no further line of the file. The line now running, if any, goes on (it may be the one that asked). */
void sdcard_pause(struct sdcard *sd);
/* As sdcard_pause, but the print does not count as paused yet: a client has asked, PAUSE will run (sdcard_is_stopping).
 */
void sdcard_stop(struct sdcard *sd);
/* Stop and forget the file: the print is cancelled. */
void sdcard_cancel(struct sdcard *sd);

bool sdcard_is_active(const struct sdcard *sd);     /* is a file being printed (not paused)? */
bool sdcard_is_paused(const struct sdcard *sd);     /* a file stands in the middle of its print */
bool sdcard_is_stopping(const struct sdcard *sd);   /* between sdcard_stop and what PAUSE makes of it */
bool sdcard_is_cancelling(const struct sdcard *sd); /* a client's cancel is under way */
void sdcard_set_cancelling(struct sdcard *sd, bool is_cancelling);
bool sdcard_is_loaded(const struct sdcard *sd);
double sdcard_progress(const struct sdcard *sd); /* [0, 1] by bytes */

/* --- out of band: requests of clients (job.c). [fiber] ones wait --- */

/* After sdcard_stop: wait until no line of the file runs any more. A line that only waits (for room in the queue, for a
 * temperature) is taken back: it runs again on resume. With `is_cancel` whatever runs is cancelled and not repeated.
 * [fiber] OK or ERR_CANCELLED. */
enum err sdcard_settle(struct sdcard *sd, bool is_cancel) ERR_NODISCARD;

/* Stop the motion at the commit horizon and keep the rest of it as the tail; the modal state becomes the one executed.
 * [fiber] Nothing happens if a tail is kept already; while another client's hold is under way it waits for that. */
enum err sdcard_hold(struct sdcard *sd, struct err_info *info) ERR_NODISCARD;
bool sdcard_is_held(const struct sdcard *sd); /* is a tail kept? */
void sdcard_drop_tail(struct sdcard *sd);     /* forget it; nothing if there is none */

#endif
