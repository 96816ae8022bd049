/* Each entry is one row (namespace, first part of the key) -> JSON text; deeper parts of a dotted key are walked inside
 * the value. That keeps a whole namespace one range read and an item one row, as clients use them. */
#include "server/store/db_private.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/store/jsontext.h"

#include <stdbool.h>
#include <string.h>

#define DB_DEPTH_MAX 200

static const char *const STATEMENTS[ST_COUNT] = {
    [ST_NAMES] = "SELECT DISTINCT namespace FROM items ORDER BY namespace",
    [ST_HAS] = "SELECT 1 FROM items WHERE namespace = ?1 LIMIT 1",
    [ST_ALL] = "SELECT key, value FROM items WHERE namespace = ?1 ORDER BY key",
    [ST_GET] = "SELECT value FROM items WHERE namespace = ?1 AND key = ?2",
    [ST_PUT] = "INSERT INTO items (namespace, key, value) VALUES (?1, ?2, ?3) "
               "ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value",
    [ST_DELETE] = "DELETE FROM items WHERE namespace = ?1 AND key = ?2",
};

/* The parts of a key, as views into JSON or into `copy`. */
struct key_parts {
    const char *parts[DB_KEY_DEPTH_MAX];
    size_t count;
    char *copy;
};

enum err db_sqlite_err(struct db *db, struct err_info *info, const char *what)
{
    return err_set(info, ERR_IO, "database: %s: %s", what, sqlite3_errmsg(db->sqlite));
}

enum err db_open(const char *path, struct db **out, struct err_info *info)
{
    struct db *db = MEM_NEW(struct db);
    pthread_mutex_init(&db->lock, NULL);
    static const char *const SETUP = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -512;"
                                     "CREATE TABLE IF NOT EXISTS items (namespace TEXT NOT NULL, key TEXT NOT NULL,"
                                     " value TEXT NOT NULL, PRIMARY KEY (namespace, key)) WITHOUT ROWID;";
    enum err err = OK;
    if (sqlite3_open_v2(path, &db->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        err = err_set(info, ERR_IO, "database \"%s\": %s", path, db->sqlite ? sqlite3_errmsg(db->sqlite) : "no memory");
    if (!err) {
        sqlite3_busy_timeout(db->sqlite, 2000);
        if (sqlite3_exec(db->sqlite, SETUP, NULL, NULL, NULL) != SQLITE_OK)
            err = err_set(info, ERR_IO, "database \"%s\": %s", path, sqlite3_errmsg(db->sqlite));
    }
    for (size_t i = 0; i < ST_COUNT && !err; i++)
        if (sqlite3_prepare_v3(db->sqlite, STATEMENTS[i], -1, SQLITE_PREPARE_PERSISTENT, &db->statements[i], NULL) !=
            SQLITE_OK)
            err = db_sqlite_err(db, info, "prepare");
    if (err) {
        db_close(db);
        return err;
    }
    *out = db;
    return OK;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->sqlite);
    pthread_mutex_destroy(&db->lock);
    mem_free(db);
}

/* Bind up to three texts and return the statement, reset. The lock is held. */
static sqlite3_stmt *bind(struct db *db, enum statement which, const char *a, const char *b, const char *c)
{
    sqlite3_stmt *st = db->statements[which];
    const char *texts[] = {a, b, c};
    sqlite3_reset(st);
    for (int i = 0; i < 3 && texts[i]; i++)
        sqlite3_bind_text(st, i + 1, texts[i], -1, SQLITE_STATIC);
    return st;
}

/* Finish: forget the bound texts, which belong to the caller. */
static void unbind(sqlite3_stmt *st)
{
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

json_t *db_namespaces(struct db *db)
{
    json_t *names = json_array();
    pthread_mutex_lock(&db->lock);
    sqlite3_stmt *st = bind(db, ST_NAMES, NULL, NULL, NULL);
    while (sqlite3_step(st) == SQLITE_ROW)
        json_array_append_new(names, json_string((const char *)sqlite3_column_text(st, 0)));
    unbind(st);
    pthread_mutex_unlock(&db->lock);
    return names;
}

static enum err column_json(struct db *db, sqlite3_stmt *st, int column, json_t **out, struct err_info *info)
{
    const char *text = (const char *)sqlite3_column_text(st, column);
    if (!text)
        return db_sqlite_err(db, info, "read");
    return jsontext_parse(text, (size_t)sqlite3_column_bytes(st, column), DB_DEPTH_MAX, out, info);
}

static bool has_namespace(struct db *db, const char *ns)
{
    sqlite3_stmt *st = bind(db, ST_HAS, ns, NULL, NULL);
    bool found = sqlite3_step(st) == SQLITE_ROW;
    unbind(st);
    return found;
}

static enum err read_row(struct db *db, const char *ns, const char *key, json_t **out, struct err_info *info)
{
    sqlite3_stmt *st = bind(db, ST_GET, ns, key, NULL);
    int rc = sqlite3_step(st);
    enum err err = rc == SQLITE_ROW    ? column_json(db, st, 0, out, info)
                   : rc == SQLITE_DONE ? err_set(info, ERR_NOT_FOUND, "Key '%s' in namespace '%s' not found", key, ns)
                                       : db_sqlite_err(db, info, "read");
    unbind(st);
    return err;
}

static enum err write_row(struct db *db, const char *ns, const char *key, const json_t *value, struct err_info *info)
{
    struct strbuf text;
    strbuf_init(&text);
    jsontext_add(&text, value);
    enum err err = OK;
    if (text.len_bytes > DB_VALUE_BYTES_MAX) {
        err = err_set(info, ERR_LIMIT, "The value is larger than %u MiB", DB_VALUE_BYTES_MAX >> 20);
    } else {
        sqlite3_stmt *st = bind(db, ST_PUT, ns, key, text.data);
        if (sqlite3_step(st) != SQLITE_DONE)
            err = db_sqlite_err(db, info, "write");
        unbind(st);
    }
    strbuf_deinit(&text);
    return err;
}

static enum err delete_row(struct db *db, const char *ns, const char *key, struct err_info *info)
{
    sqlite3_stmt *st = bind(db, ST_DELETE, ns, key, NULL);
    enum err err = sqlite3_step(st) == SQLITE_DONE ? OK : db_sqlite_err(db, info, "delete");
    unbind(st);
    return err;
}

static enum err read_all(struct db *db, const char *ns, json_t **out, struct err_info *info)
{
    json_t *all = json_object();
    enum err err = OK;
    sqlite3_stmt *st = bind(db, ST_ALL, ns, NULL, NULL);
    int rc;
    while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        json_t *value = NULL;
        err = column_json(db, st, 1, &value, info);
        if (!err)
            json_object_set_new(all, (const char *)sqlite3_column_text(st, 0), value);
    }
    unbind(st);
    if (err) {
        json_decref(all);
        return err;
    }
    *out = all;
    return OK;
}

static enum err check_name(const char *name, const char *what, struct err_info *info)
{
    size_t len = strlen(name);
    if (len == 0)
        return err_set(info, ERR_INVALID, "An empty %s is not allowed", what);
    if (len > DB_NAME_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "The %s is longer than %d bytes", what, DB_NAME_BYTES_MAX);
    return OK;
}

static enum err add_part(struct key_parts *out, const char *part, struct err_info *info)
{
    if (out->count == DB_KEY_DEPTH_MAX)
        return err_set(info, ERR_LIMIT, "The key has more than %d parts", DB_KEY_DEPTH_MAX);
    enum err err = check_name(part, "key", info);
    if (!err)
        out->parts[out->count++] = part;
    return err;
}

static enum err split_key(const json_t *key, struct key_parts *out, struct err_info *info)
{
    *out = (struct key_parts){.count = 0};
    if (!key || json_is_null(key))
        return OK;
    enum err err = OK;
    if (json_is_array(key)) {
        for (size_t i = 0; i < json_array_size(key) && !err; i++) {
            const char *part = json_string_value(json_array_get(key, i));
            err = part ? add_part(out, part, info) : err_set(info, ERR_INVALID, "The parts of a key must be texts");
        }
        return !err && out->count == 0 ? err_set(info, ERR_INVALID, "An empty key is not allowed") : err;
    }
    if (!json_is_string(key))
        return err_set(info, ERR_INVALID, "A key must be a text or a list of texts");
    out->copy = mem_strdup(json_string_value(key));
    char *rest = out->copy, *part;
    while (!err && (part = strsep(&rest, ".")))
        err = add_part(out, part, info);
    return err;
}

static void free_key(struct key_parts *parts)
{
    mem_free(parts->copy);
}

/* Follow parts[1..count-1) inside `value`; NULL if something on the way is missing. */
static json_t *walk(json_t *value, const struct key_parts *key, size_t end)
{
    for (size_t i = 1; i < end && value; i++)
        value = json_object_get(value, key->parts[i]);
    return value;
}

static enum err missing_key(const struct key_parts *key, const char *ns, struct err_info *info)
{
    struct strbuf name;
    strbuf_init(&name);
    for (size_t i = 0; i < key->count; i++) {
        if (i > 0)
            strbuf_addc(&name, '.');
        strbuf_adds(&name, key->parts[i]);
    }
    enum err err = err_set(info, ERR_NOT_FOUND, "Key '%s' in namespace '%s' not found", name.data, ns);
    strbuf_deinit(&name);
    return err;
}

static enum err get_locked(struct db *db, const char *ns, const struct key_parts *key, json_t **out, struct err_info *info)
{
    if (!has_namespace(db, ns))
        return err_set(info, ERR_NOT_FOUND, "Namespace %s not found", ns);
    if (key->count == 0)
        return read_all(db, ns, out, info);
    json_t *row = NULL;
    enum err err = read_row(db, ns, key->parts[0], &row, NULL);
    json_t *value = err ? NULL : walk(row, key, key->count);
    if (value)
        *out = json_incref(value);
    json_decref(row);
    return value ? OK : err == OK || err == ERR_NOT_FOUND ? missing_key(key, ns, info) : db_sqlite_err(db, info, "read");
}

/* What the three of db_get, db_put and db_delete do with a key that has been taken apart, under the lock. */
struct key_request {
    const json_t *value; /* to write */
    json_t **out;        /* what was read or deleted */
    bool needs_key;
    enum err (*run)(struct db *db, const char *ns, const struct key_parts *key, const struct key_request *r,
                    struct err_info *info);
};

static enum err with_key(struct db *db, const char *ns, const json_t *key, const struct key_request *r,
                         struct err_info *info)
{
    struct key_parts parts = {.count = 0};
    enum err err = check_name(ns, "namespace", info);
    if (!err)
        err = split_key(key, &parts, info);
    if (!err && r->needs_key && parts.count == 0)
        err = err_set(info, ERR_INVALID, "No data for argument: key");
    if (!err) {
        pthread_mutex_lock(&db->lock);
        err = r->run(db, ns, &parts, r, info);
        pthread_mutex_unlock(&db->lock);
    }
    free_key(&parts);
    return err;
}

static enum err run_get(struct db *db, const char *ns, const struct key_parts *key, const struct key_request *r,
                        struct err_info *info)
{
    return get_locked(db, ns, key, r->out, info);
}

enum err db_get(struct db *db, const char *ns, const json_t *key, json_t **out, struct err_info *info)
{
    return with_key(db, ns, key, &(struct key_request){.out = out, .run = run_get}, info);
}

static enum err run_put(struct db *db, const char *ns, const struct key_parts *key, const struct key_request *r,
                        struct err_info *info)
{
    if (key->count == 1)
        return write_row(db, ns, key->parts[0], r->value, info);
    json_t *row = NULL;
    enum err err = read_row(db, ns, key->parts[0], &row, info);
    if (err == ERR_IO)
        return err;
    if (!json_is_object(row)) {
        json_decref(row);
        row = json_object();
    }
    json_t *at = row;
    for (size_t i = 1; i + 1 < key->count; i++) {
        json_t *next = json_object_get(at, key->parts[i]);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(at, key->parts[i], next);
        }
        at = next;
    }
    json_object_set_new(at, key->parts[key->count - 1], json_deep_copy(r->value));
    err = write_row(db, ns, key->parts[0], row, info);
    json_decref(row);
    return err;
}

enum err db_put(struct db *db, const char *ns, const json_t *key, const json_t *value, struct err_info *info)
{
    return with_key(db, ns, key, &(struct key_request){.value = value, .needs_key = true, .run = run_put}, info);
}

static enum err run_delete(struct db *db, const char *ns, const struct key_parts *key, const struct key_request *r,
                           struct err_info *info)
{
    enum err err = get_locked(db, ns, key, r->out, info);
    if (err)
        return err;
    if (key->count == 1)
        return delete_row(db, ns, key->parts[0], info);
    json_t *row = NULL;
    err = read_row(db, ns, key->parts[0], &row, info);
    if (!err) {
        json_object_del(walk(row, key, key->count - 1), key->parts[key->count - 1]);
        err = write_row(db, ns, key->parts[0], row, info);
    }
    json_decref(row);
    return err;
}

enum err db_delete(struct db *db, const char *ns, const json_t *key, json_t **out, struct err_info *info)
{
    json_t *old = NULL;
    enum err err = with_key(db, ns, key, &(struct key_request){.out = &old, .needs_key = true, .run = run_delete}, info);
    if (err)
        json_decref(old);
    else
        *out = old;
    return err;
}

enum err db_get_flat(struct db *db, const char *ns, const char *key, json_t **out)
{
    pthread_mutex_lock(&db->lock);
    enum err err = read_row(db, ns, key, out, NULL);
    pthread_mutex_unlock(&db->lock);
    return err;
}

enum err db_put_flat(struct db *db, const char *ns, const char *key, const json_t *value)
{
    pthread_mutex_lock(&db->lock);
    enum err err = write_row(db, ns, key, value, NULL);
    pthread_mutex_unlock(&db->lock);
    return err;
}

enum err db_delete_flat(struct db *db, const char *ns, const char *key)
{
    pthread_mutex_lock(&db->lock);
    enum err err = delete_row(db, ns, key, NULL);
    pthread_mutex_unlock(&db->lock);
    return err;
}
