/* Changes on disk: whole or not at all wherever the file system allows it. */
#include "server/store/files.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err io_err(struct err_info *info, const char *what)
{
    return err_set(info, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", what, strerror(errno));
}

enum err files_make_dirs(const char *full, struct err_info *info)
{
    char path[2 * FILES_PATH_BYTES_MAX];
    if (strlen(full) >= sizeof path)
        return err_set(info, ERR_LIMIT, "The path is too long");
    snprintf(path, sizeof path, "%s", full);
    for (char *at = path + 1;; at++) {
        if (*at && *at != '/')
            continue;
        char was = *at;
        *at = 0;
        struct stat st;
        if (mkdir(path, 0755) != 0 && (errno != EEXIST || stat(path, &st) != 0 || !S_ISDIR(st.st_mode))) {
            if (errno == EEXIST)
                errno = ENOTDIR;
            return io_err(info, "Cannot create the folder");
        }
        if (!was)
            return OK;
        *at = was;
    }
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

enum err files_remove_tree(const char *full, struct err_info *info)
{
    if (nftw(full, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        return io_err(info, "Cannot delete");
    return OK;
}

/* Make the rename itself survive a power cut. */
static void sync_folder_of(const char *full)
{
    char path[2 * FILES_PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s", full);
    int fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!fsync(fd);
    close(fd);
}

static enum err copy_bytes(int in, int out, struct err_info *info)
{
    enum { CHUNK = 256 * 1024 };
    char *chunk = mem_alloc(CHUNK);
    enum err err = OK;
    ssize_t got;
    while (!err && (got = read(in, chunk, CHUNK)) != 0) {
        if (got < 0) {
            err = errno == EINTR ? OK : io_err(info, "Cannot read");
            continue;
        }
        for (ssize_t done = 0; done < got && !err;) {
            ssize_t n = write(out, chunk + done, (size_t)(got - done));
            if (n < 0 && errno != EINTR)
                err = io_err(info, "Cannot write");
            else if (n > 0)
                done += n;
        }
    }
    mem_free(chunk);
    return err;
}

/* Copy into a temporary neighbour of `to`, then rename: nobody sees half a file. */
static enum err copy_file(const char *from, const char *to, struct err_info *info)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return io_err(info, "Cannot read");
    char *temp = mem_sprintf("%s.part-XXXXXX", to);
    int out = mkostemp(temp, O_CLOEXEC);
    enum err err = out < 0 ? io_err(info, "Cannot write") : copy_bytes(in, out, info);
    close(in);
    if (out >= 0) {
        if (!err && (fchmod(out, 0644) != 0 || fsync(out) != 0))
            err = io_err(info, "Cannot write");
        close(out);
        if (!err && rename(temp, to) != 0)
            err = io_err(info, "Cannot write");
        if (err)
            unlink(temp);
        else
            sync_folder_of(to);
    }
    mem_free(temp);
    return err;
}

static enum err copy_below(const char *from, const char *to, unsigned depth, struct err_info *info);

static enum err copy_entry(const char *from, const char *to, const char *name, unsigned depth, struct err_info *info)
{
    char *a = mem_sprintf("%s/%s", from, name), *b = mem_sprintf("%s/%s", to, name);
    enum err err = copy_below(a, b, depth + 1, info);
    mem_free(a);
    mem_free(b);
    return err;
}


/* Links are not copied: what they point at may lie outside. Recursion is bounded by FILES_DEPTH_MAX. */
static enum err copy_below(const char *from, const char *to, unsigned depth, struct err_info *info)
{
    struct stat st;
    if (lstat(from, &st) != 0)
        return io_err(info, "Cannot read");
    if (S_ISREG(st.st_mode))
        return copy_file(from, to, info);
    if (!S_ISDIR(st.st_mode))
        return OK;
    if (depth > FILES_DEPTH_MAX)
        return err_set(info, ERR_LIMIT, "Folders are nested deeper than %d", FILES_DEPTH_MAX);
    enum err err = files_make_dirs(to, info);
    DIR *dir = err ? NULL : opendir(from);
    struct dirent *de;
    while (dir && !err && (de = readdir(dir)))
        if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
            err = copy_entry(from, to, de->d_name, depth, info);
    if (dir)
        closedir(dir);
    return err;
}

enum err files_copy(const char *from, const char *to, struct err_info *info)
{
    size_t len = strlen(from);
    if (strncmp(from, to, len) == 0 && (to[len] == '/' || to[len] == 0))
        return err_set(info, ERR_INVALID, "Cannot copy a folder into itself");
    return copy_below(from, to, 0, info);
}

enum err files_put(const char *temp, const char *full, struct err_info *info)
{
    enum err err = OK;
    int fd = open(temp, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        err = io_err(info, "Cannot store the file");
    if (fd >= 0)
        close(fd);
    if (!err && rename(temp, full) != 0)
        err = errno == EXDEV ? copy_file(temp, full, info) : io_err(info, "Cannot store the file");
    if (!err)
        sync_folder_of(full);
    unlink(temp); /* already gone if it was renamed */
    return err;
}

enum err files_write_whole(const char *full, const void *data, size_t len_bytes, struct err_info *info)
{
    char *temp = mem_sprintf("%s.part-XXXXXX", full);
    int fd = mkostemp(temp, O_CLOEXEC);
    enum err err = fd < 0 ? io_err(info, "Cannot write") : OK;
    for (size_t done = 0; !err && done < len_bytes;) {
        ssize_t n = write(fd, (const char *)data + done, len_bytes - done);
        if (n < 0 && errno != EINTR)
            err = io_err(info, "Cannot write");
        else if (n > 0)
            done += (size_t)n;
    }
    if (fd >= 0) {
        (void)!fchmod(fd, 0644);
        close(fd);
        if (!err)
            err = files_put(temp, full, info);
        else
            unlink(temp);
    }
    mem_free(temp);
    return err;
}
