/* One daemon for each DATA folder: two would write one database and one journal, and drive one printer's files. */
#ifndef SERVER_APP_DATA_LOCK_H
#define SERVER_APP_DATA_LOCK_H

#include "base/err.h"

struct data_lock;

/* Lock `dir`, which exists, for as long as this process lives or until data_lock_release: DATA/lockstep.lock, in which
 * the process's number stands. ERR_STATE names the process that has it. The lock of a killed process is gone with it. */
enum err data_lock_take(const char *dir, struct data_lock **out, struct err_info *info) ERR_NODISCARD;
void data_lock_release(struct data_lock *lock); /* NULL allowed */

#endif
