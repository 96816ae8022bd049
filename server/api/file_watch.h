/* Files that appear, change or vanish below the writable roots behind the server's back (scp, an editor, SAVE_CONFIG): a
 * thread waits for the kernel's word (inotify), the worker compares the folders with what it knew and tells every client.
 * What the server's own methods change is told by them; they say so here, so that nothing is told twice. */
#ifndef API_FILE_WATCH_H
#define API_FILE_WATCH_H

#include "server/store/files.h"

struct api;
struct file_watch;

/* Starts the thread; never NULL (without inotify nothing is watched). The worker runs already. */
struct file_watch *file_watch_create(struct api *api);
/* Stop the thread. What it has asked of the worker still runs. */
void file_watch_stop(struct file_watch *watch);
void file_watch_destroy(struct file_watch *watch); /* after the worker has ended; NULL allowed */

/* A method has changed `path` and told so. Worker. */
void file_watch_note(struct file_watch *watch, const struct files_path *path);
/* A root may point somewhere else now: look again soon, and take what is there as known. Any thread. */
void file_watch_look(struct file_watch *watch);

#endif
