#include "server/app/data_lock.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

struct data_lock {
    int fd;
};

static enum err refuse(int fd, const char *dir, struct err_info *info)
{
    char text[32] = "";
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    text[len > 0 ? len : 0] = 0;
    long pid = strtol(text, NULL, 10);
    char who[48] = "another process";
    if (pid > 0)
        (void)snprintf(who, sizeof who, "process %ld", pid);
    return err_set(info, ERR_STATE, "the folder %s is in use by %s: stop that one first, or give --data another folder", dir,
                   who);
}

enum err data_lock_take(const char *dir, struct data_lock **out, struct err_info *info)
{
    char *path = mem_sprintf("%s/lockstep.lock", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    enum err err = OK;
    if (fd < 0) {
        err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? refuse(fd, dir, info) : err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
        (void)close(fd);
    } else {
        /* for the message of the next one: a full disk only takes the number out of it */
        if (ftruncate(fd, 0) == 0)
            (void)!dprintf(fd, "%ld\n", (long)getpid());
        *out = MEM_NEW(struct data_lock);
        (*out)->fd = fd;
    }
    mem_free(path);
    return err;
}

void data_lock_release(struct data_lock *lock)
{
    if (!lock)
        return;
    (void)close(lock->fd); /* the file stays: to remove it would let a third one lock another of the same name */
    mem_free(lock);
}
