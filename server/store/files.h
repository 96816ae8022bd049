/* The files clients see: named roots, safe paths below them, and changes to them.
 *
 * A client path is "root/a/b". It is taken apart by component, links are resolved, and what it names must lie below the
 * root: "..", absolute names, NUL bytes, ".git" and links that lead outside are refused. All functions may touch the
 * disk: worker thread (or a transport that serves a download); none keeps state, so any number of threads may call. */
#ifndef STORE_FILES_H
#define STORE_FILES_H

#include "base/err.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILES_PATH_BYTES_MAX 2048
#define FILES_ROOT_MAX 8
#define FILES_DEPTH_MAX 32       /* directories below each other in a listing */
#define FILES_LIST_MAX 20000     /* entries of one listing */

struct files;

struct files *files_create(void);
void files_destroy(struct files *files); /* NULL allowed */
/* Add a root; created if missing. Before any other thread uses `files`. */
enum err files_add_root(struct files *files, const char *name, const char *dir, bool is_writable, struct err_info *info)
    ERR_NODISCARD;
/* Point a root at another folder (a configuration was loaded that names one). Any thread. */
enum err files_set_root(struct files *files, const char *name, const char *dir, struct err_info *info) ERR_NODISCARD;

/* A resolved path. */
struct files_path {
    char root[64];
    char rel[FILES_PATH_BYTES_MAX];  /* below the root, "" for the root itself; no leading or double slashes */
    char full[2 * FILES_PATH_BYTES_MAX];
    bool is_writable;
};
/* Resolve "root/rel" (what it names need not exist; its folder's links are followed and checked). */
enum err files_resolve(struct files *files, const char *client_path, struct files_path *out, struct err_info *info)
    ERR_NODISCARD;
enum err files_resolve_in(struct files *files, const char *root, const char *rel, struct files_path *out,
                          struct err_info *info) ERR_NODISCARD;

/* Names and shapes as server.files.* returns them; the caller owns the JSON. */
json_t *files_roots(struct files *files);      /* [{name, path, permissions}] */
void files_add_root_names(struct files *files, struct strbuf *out); /* appends "gcodes","config",... */
enum err files_list(struct files *files, const char *root, json_t **out, struct err_info *info) ERR_NODISCARD;
enum err files_directory(struct files *files, const char *client_path, json_t **out, struct err_info *info) ERR_NODISCARD;
json_t *files_item(const struct files_path *path); /* {root, path, modified, size, permissions}; zeros if it is gone */

bool files_is_gcode(const char *name); /* .gcode .g .gco .ufp .nc */

/* Make a folder and those above it. */
enum err files_make_dirs(const char *full, struct err_info *info) ERR_NODISCARD;
enum err files_remove_tree(const char *full, struct err_info *info) ERR_NODISCARD;
enum err files_copy(const char *from, const char *to, struct err_info *info) ERR_NODISCARD;
/* Put the finished file `temp` in place of `full`: synced, then renamed (copied if on another file system). `temp` is
 * gone afterwards, success or not. */
enum err files_put(const char *temp, const char *full, struct err_info *info) ERR_NODISCARD;
/* Write a whole file so that a crash leaves the old one or the new one. */
enum err files_write_whole(const char *full, const void *data, size_t len_bytes, struct err_info *info) ERR_NODISCARD;

#endif
