/* The database as a whole: made smaller, copied to a file, replaced by one. */
#include "server/store/db_private.h"

#include "base/mem.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Size of the file by its pages [bytes]; 0 if that cannot be told. */
static int64_t size_of(struct db *db)
{
    int64_t size = 0;
    sqlite3_stmt *st = NULL;
    if (sqlite3_prepare_v2(db->sqlite, "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", -1, &st,
                           NULL) == SQLITE_OK &&
        sqlite3_step(st) == SQLITE_ROW)
        size = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return size;
}

enum err db_compact(struct db *db, int64_t *size_before, int64_t *size_after, struct err_info *info)
{
    pthread_mutex_lock(&db->lock);
    int64_t before = size_of(db);
    enum err err = OK;
    if (sqlite3_exec(db->sqlite, "VACUUM", NULL, NULL, NULL) != SQLITE_OK)
        err = db_sqlite_err(db, info, "compact");
    if (!err) {
        *size_before = before;
        *size_after = size_of(db);
    }
    pthread_mutex_unlock(&db->lock);
    return err;
}

/* All pages of `from` into `to`. */
static int copy_pages(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");
    if (!backup)
        return sqlite3_errcode(to);
    (void)sqlite3_backup_step(backup, -1);
    return sqlite3_backup_finish(backup);
}

enum err db_backup(struct db *db, const char *path, struct err_info *info)
{
    char *temp = mem_sprintf("%s.new", path);
    sqlite3 *copy = NULL;
    enum err err = OK;
    (void)!unlink(temp);
    pthread_mutex_lock(&db->lock);
    int rc = sqlite3_open_v2(temp, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK)
        rc = copy_pages(copy, db->sqlite);
    if (rc == SQLITE_OK) /* one file, without a log beside it */
        rc = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    pthread_mutex_unlock(&db->lock);
    if (rc != SQLITE_OK)
        err = err_set(info, ERR_IO, "Backup to \"%s\" failed: %s", path, sqlite3_errstr(rc));
    sqlite3_close(copy);
    if (!err && rename(temp, path) != 0)
        err = err_set(info, ERR_IO, "Backup to \"%s\" failed: %s", path, strerror(errno));
    if (err)
        (void)!unlink(temp);
    mem_free(temp);
    return err;
}

/* Is it one of ours, and sound? */
static bool is_database(sqlite3 *file)
{
    sqlite3_stmt *st = NULL;
    bool is_sound = sqlite3_prepare_v2(file, "PRAGMA quick_check(1)", -1, &st, NULL) == SQLITE_OK &&
                    sqlite3_step(st) == SQLITE_ROW && !strcmp((const char *)sqlite3_column_text(st, 0), "ok");
    sqlite3_finalize(st);
    st = NULL;
    bool is_ours = sqlite3_prepare_v2(file, "SELECT namespace, key, value FROM items LIMIT 1", -1, &st, NULL) == SQLITE_OK;
    sqlite3_finalize(st);
    return is_sound && is_ours;
}

enum err db_restore(struct db *db, const char *path, struct err_info *info)
{
    sqlite3 *file = NULL;
    enum err err = OK;
    if (access(path, R_OK) != 0)
        return err_set(info, ERR_NOT_FOUND, "Backup file \"%s\" not found", path);
    if (sqlite3_open_v2(path, &file, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK || !is_database(file)) {
        sqlite3_close(file);
        return err_set(info, ERR_INVALID, "\"%s\" is no backup of this database", path);
    }
    pthread_mutex_lock(&db->lock);
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_reset(db->statements[i]);
    int rc = copy_pages(db->sqlite, file);
    if (rc == SQLITE_OK) /* as db_open has it; the copy brought its own */
        rc = sqlite3_exec(db->sqlite, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    pthread_mutex_unlock(&db->lock);
    if (rc != SQLITE_OK)
        err = err_set(info, ERR_IO, "Restoring \"%s\" failed: %s", path, sqlite3_errstr(rc));
    sqlite3_close(file);
    return err;
}
