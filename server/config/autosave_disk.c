/* Replacing the main file of a configuration so that no failure and no loss of power can leave it damaged: the new text
 * goes to a file of its own, is on the disk before anything else happens, and takes the old one's name in one step. The
 * old one keeps a second name, the backup's. */
#include "server/config/autosave.h"

#include "server/config/private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKUPS_PER_STAMP_MAX 100

static int open_posix(const char *path, int flags, mode_t mode)
{
    return open(path, flags, mode);
}

const struct config_disk config_disk_posix = {.open = open_posix,
                                              .write = write,
                                              .fsync = fsync,
                                              .close = close,
                                              .link = link,
                                              .rename = rename,
                                              .unlink = unlink};

static enum err failed(struct err_info *info, const char *what, const char *path)
{
    return err_set(info, ERR_IO,
                   "Unable to write config file during SAVE_CONFIG: %s '%s': %s. The old file is unchanged.", what,
                   path, strerror(errno));
}

/* Write a new file and wait until the disk has it. On failure there is none. */
static enum err write_new(const struct config_disk *disk, const char *path, mode_t mode, const char *text,
                          size_t len_bytes, struct err_info *info)
{
    int fd = disk->open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return failed(info, "cannot create", path);
    enum err err = OK;
    for (size_t done = 0; done < len_bytes && err == OK;) {
        ssize_t n = disk->write(fd, text + done, len_bytes - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            err = failed(info, "cannot write", path);
    }
    if (err == OK && disk->fsync(fd) != 0)
        err = failed(info, "cannot write", path);
    if (disk->close(fd) != 0 && err == OK)
        err = failed(info, "cannot close", path);
    if (err != OK)
        (void)disk->unlink(path);
    return err;
}

/* "dir/printer.cfg" -> "dir/printer-STAMP.cfg"; `again` > 0 for a name that is taken. */
static char *backup_name(const char *path, const char *stamp, int again)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t stem = dot && !strcmp(dot, ".cfg") ? (size_t)(dot - path) : strlen(path);
    char more[16] = "";
    if (again)
        (void)snprintf(more, sizeof more, "_%d", again);
    return mem_sprintf("%.*s-%s%s%s", (int)stem, path, stamp, more, path + stem);
}

/* Give the old file a second name; where a file system has no hard links, a copy. *backup: the name, caller frees. */
static enum err keep_backup(const struct config_disk *disk, const char *path, const char *stamp, mode_t mode,
                            const char *text, size_t len_bytes, char **backup, struct err_info *info)
{
    for (int again = 0;; again++) {
        char *name = backup_name(path, stamp, again);
        *backup = name;
        if (disk->link(path, name) == 0)
            return OK;
        bool is_taken = errno == EEXIST && again < BACKUPS_PER_STAMP_MAX;
        if (!is_taken) {
            bool has_no_links = errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == EMLINK;
            enum err err = has_no_links ? write_new(disk, name, mode, text, len_bytes, info)
                                        : failed(info, "cannot create the backup", name);
            if (err == OK)
                return OK;
            mem_free(name);
            *backup = NULL;
            return err;
        }
        mem_free(name);
    }
}

/* The folder too must be on the disk; one that cannot be told so is no reason to fail, the files are whole either way.
 */
static void sync_folder(const struct config_disk *disk, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    int fd = disk->open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd >= 0) {
        (void)disk->fsync(fd);
        (void)disk->close(fd);
    }
    mem_free(dir);
}

static enum err replace(const struct config_disk *disk, const char *path, const char *stamp, const char *old,
                        size_t old_bytes, const char *text, struct err_info *info)
{
    struct stat st;
    mode_t mode = stat(path, &st) == 0 ? st.st_mode & 0777 : 0644;
    char *temp = mem_sprintf("%s_autosave", path), *backup = NULL;
    (void)disk->unlink(temp); /* of a run that was killed */
    enum err err = write_new(disk, temp, mode, text, strlen(text), info);
    if (err == OK) {
        err = keep_backup(disk, path, stamp, mode, old, old_bytes, &backup, info);
        if (err == OK && disk->rename(temp, path) != 0) {
            err = failed(info, "cannot replace", path);
            (void)disk->unlink(backup);
        }
        if (err == OK)
            sync_folder(disk, path);
        else
            (void)disk->unlink(temp);
    }
    mem_free(backup);
    mem_free(temp);
    return err;
}

enum err config_save_autosave(const struct config *config, const char *stamp, const struct config_disk *disk,
                              bool *written, struct err_info *info)
{
    if (!config->path)
        return err_set(info, ERR_STATE, "SAVE_CONFIG: this configuration was not read from a file");
    char *path = realpath(config->path, NULL); /* a symbolic link stays one */
    if (!path)
        return err_set(info, ERR_IO, "Unable to parse existing config on SAVE_CONFIG: %s: %s", config->path,
                       strerror(errno));
    size_t len = 0;
    bool has_block = false;
    char *old = config_read_file(path, &len, info),
         *text = old ? config_apply_autosave(config, old, len, &has_block, info) : NULL;
    enum err err = text ? OK : old ? ERR_INVALID : ERR_IO;
    if (text && has_block)
        err = replace(disk ? disk : &config_disk_posix, path, stamp, old, len, text, info);
    if (written && err == OK)
        *written = has_block;
    mem_free(text);
    mem_free(old);
    free(path);
    return err;
}
