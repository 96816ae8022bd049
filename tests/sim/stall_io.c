/* A disk that hangs, for a daemon under test: loaded in front of the C library (LD_PRELOAD), it holds up every access to files
 * of the file system of $STALL_DIR for as long as the file $STALL_SWITCH exists. Sockets, terminals and /proc go on. */
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define LOOK_AGAIN_NS 5000000

static bool is_hanging(void)
{
    const char *name = getenv("STALL_SWITCH");
    return name && syscall(SYS_faccessat, AT_FDCWD, name, F_OK) == 0;
}

static void hang(void)
{
    while (is_hanging())
        nanosleep(&(struct timespec){.tv_nsec = LOOK_AGAIN_NS}, NULL);
}

static bool is_watched(const char *path)
{
    const char *dir = getenv("STALL_DIR");
    size_t len = 0;
    while (dir && dir[len])
        len++;
    for (size_t i = 0; i < len; i++)
        if (path[i] != dir[i])
            return false;
    return len > 0;
}

static void touch_path(const char *path)
{
    if (path && is_watched(path))
        hang();
}

static void touch_fd(int fd)
{
    struct stat file, dir;
    const char *name = getenv("STALL_DIR");
    if (!is_hanging() || syscall(SYS_newfstatat, fd, "", &file, AT_EMPTY_PATH) != 0 || !S_ISREG(file.st_mode))
        return;
    if (name && syscall(SYS_newfstatat, AT_FDCWD, name, &dir, 0) == 0 && dir.st_dev == file.st_dev)
        hang();
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    touch_path(path);
    return NEXT(open)(path, flags, mode);
}

ssize_t read(int fd, void *data, size_t len)
{
    touch_fd(fd);
    return NEXT(read)(fd, data, len);
}

ssize_t pread(int fd, void *data, size_t len, off_t at)
{
    touch_fd(fd);
    return NEXT(pread)(fd, data, len, at);
}

ssize_t write(int fd, const void *data, size_t len)
{
    touch_fd(fd);
    return NEXT(write)(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    touch_fd(fd);
    return NEXT(pwrite)(fd, data, len, at);
}

int fsync(int fd)
{
    touch_fd(fd);
    return NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    touch_fd(fd);
    return NEXT(fdatasync)(fd);
}

int close(int fd)
{
    touch_fd(fd);
    return NEXT(close)(fd);
}

int rename(const char *from, const char *to)
{
    touch_path(to);
    return NEXT(rename)(from, to);
}

int unlink(const char *path)
{
    touch_path(path);
    return NEXT(unlink)(path);
}

int link(const char *from, const char *to)
{
    touch_path(to);
    return NEXT(link)(from, to);
}

int stat(const char *path, struct stat *st)
{
    touch_path(path);
    return NEXT(stat)(path, st);
}

DIR *opendir(const char *path)
{
    touch_path(path);
    return NEXT(opendir)(path);
}

FILE *fopen(const char *path, const char *mode)
{
    touch_path(path);
    return NEXT(fopen)(path, mode);
}

int fflush(FILE *file)
{
    if (file)
        touch_fd(fileno(file));
    return NEXT(fflush)(file);
}

int fclose(FILE *file)
{
    touch_fd(fileno(file));
    return NEXT(fclose)(file);
}

size_t fread(void *data, size_t size, size_t count, FILE *file)
{
    touch_fd(fileno(file));
    return NEXT(fread)(data, size, count, file);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    touch_fd(fileno(file));
    return NEXT(fwrite)(data, size, count, file);
}
