/* Metadata of G-code files: read from the slicer's comments once, kept in the database, checked against the file's size
 * and time, so that a file changed behind our back is read again. Worker thread. */
#ifndef STORE_METADATA_H
#define STORE_METADATA_H

#include "base/err.h"
#include "server/store/db.h"
#include "server/store/files.h"

/* Metadata of `rel` below the root "gcodes", scanned if it is not known or out of date (or `must_scan`); pictures are
 * written to .thumbs beside the file. *out has the member "filename". ERR_NOT_FOUND: no such file, or not G-code. */
enum err metadata_get(struct db *db, struct files *files, const char *rel, bool must_scan, json_t **out,
                      struct err_info *info) ERR_NODISCARD;

/* The file has gone: forget it, and delete its pictures. */
void metadata_drop(struct db *db, struct files *files, const char *rel);

/* Names of the pictures of a file, newly written ones included, for notifications: array of paths below "gcodes". */
json_t *metadata_picture_paths(const char *rel, const json_t *metadata);

#endif
