/* What the files of the database share. */
#ifndef STORE_DB_PRIVATE_H
#define STORE_DB_PRIVATE_H

#include "server/store/db.h"

#include <pthread.h>
#include <sqlite3.h>

enum statement { ST_NAMES, ST_HAS, ST_ALL, ST_GET, ST_PUT, ST_DELETE, ST_COUNT };

struct db {
    sqlite3 *sqlite;
    sqlite3_stmt *statements[ST_COUNT];
    pthread_mutex_t lock; /* guards all of the above */
};

enum err db_sqlite_err(struct db *db, struct err_info *info, const char *what);

#endif
