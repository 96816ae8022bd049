/* What the handlers of files share: is a file in use, and telling everyone that one changed. */
#ifndef API_FILE_COMMON_H
#define API_FILE_COMMON_H

#include "server/api/api_private.h"
#include "server/store/files.h"

/* Is `full`, or something below it, the file that is loaded for printing? From the newest status; any thread. */
bool file_is_in_use(struct api *api, const char *full);

/* Is a job printing or paused? From the newest status; any thread. */
bool job_is_active(struct api *api);

/* A method has changed `path`: send notify_filelist_changed. `source` NULL: none. Worker. */
void file_notify(struct api *api, const char *action, const struct files_path *path, const struct files_path *source);

/* The same for a change that file_watch has found. */
void file_tell(struct api *api, const char *action, const struct files_path *path, const struct files_path *source);

/* Tell of the pictures that a scan has written. */
void file_notify_pictures(struct api *api, const char *rel, const json_t *metadata);

/* The result that names one item: {"item": ..., "action": ...}. */
json_t *file_result(const char *action, const struct files_path *path);

#endif
