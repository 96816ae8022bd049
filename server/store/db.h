/* The database: namespaces of keys with JSON values, in one SQLite file. Used from the worker thread and, for a few short
 * reads at start, from the main thread: a mutex inside orders them. */
#ifndef STORE_DB_H
#define STORE_DB_H

#include "base/err.h"

#include <jansson.h>
#include <stdint.h>

#define DB_NAME_BYTES_MAX 256     /* namespace or key */
#define DB_KEY_DEPTH_MAX 32       /* parts of a dotted key */
#define DB_VALUE_BYTES_MAX (16u << 20)

/* Entries that no client may see or change (the API key). */
#define DB_PRIVATE_NAMESPACE "lockstep_private"
#define DB_METADATA_NAMESPACE "gcode_metadata"

struct db;

/* Open or create the file; `path` ":memory:" for tests. */
enum err db_open(const char *path, struct db **out, struct err_info *info) ERR_NODISCARD;
void db_close(struct db *db); /* NULL allowed */

/* Names of all namespaces that hold something, as a JSON array of texts, sorted. */
json_t *db_namespaces(struct db *db);

/* `key` is a JSON text ("a.b.c" walks into objects), an array of texts (parts that may hold dots), or NULL/null: the
 * whole namespace as one object. ERR_NOT_FOUND says which part is missing. *out is the caller's reference. */
enum err db_get(struct db *db, const char *ns, const json_t *key, json_t **out, struct err_info *info) ERR_NODISCARD;
/* Insert or overwrite; missing objects on the way are created. */
enum err db_put(struct db *db, const char *ns, const json_t *key, const json_t *value, struct err_info *info) ERR_NODISCARD;
/* Remove; *out is what was there. A namespace with nothing left disappears. */
enum err db_delete(struct db *db, const char *ns, const json_t *key, json_t **out, struct err_info *info) ERR_NODISCARD;

/* The name of an entry that is one flat key (no dots walked): for our own tables such as metadata. */
enum err db_get_flat(struct db *db, const char *ns, const char *key, json_t **out) ERR_NODISCARD;
enum err db_put_flat(struct db *db, const char *ns, const char *key, const json_t *value) ERR_NODISCARD;
enum err db_delete_flat(struct db *db, const char *ns, const char *key) ERR_NODISCARD;

/* --- all of it --- */

/* Give pages that are no longer used back to the file system; sizes in bytes. */
enum err db_compact(struct db *db, int64_t *size_before, int64_t *size_after, struct err_info *info) ERR_NODISCARD;
/* Copy everything to the file `path`, which appears whole or not at all. */
enum err db_backup(struct db *db, const char *path, struct err_info *info) ERR_NODISCARD;
/* Replace everything by a copy. ERR_NOT_FOUND; ERR_INVALID: damaged or not ours, nothing has changed. */
enum err db_restore(struct db *db, const char *path, struct err_info *info) ERR_NODISCARD;

#endif
