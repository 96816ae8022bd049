/* Raw descriptors: ptys, pipe-like devices, Unix sockets; transport_serial.c borrows reading and writing. */
#include "motion/link/transport_fd.h"

#include "base/actor.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

/* The actor's step does the work; the watch is there to wake it. */
static void fd_ready(void *ctx, int fd, unsigned revents)
{
    struct transport_fd *t = ctx;
    if (revents & POLLOUT)
        actor_watch(t->actor, fd, POLLIN, fd_ready, t);
    if (revents & (POLLHUP | POLLERR | POLLNVAL)) {
        t->has_hung_up = true;
        actor_watch(t->actor, fd, 0, NULL, NULL);
    }
}

/* A runtime that has let go of the actor watches nothing for it: last words go out after that. */
static bool is_watched(const struct transport_fd *t)
{
    return t->actor && t->actor->slot;
}

size_t transport_fd_read(struct transport *base, uint8_t *data, size_t cap_bytes, struct host_ns now)
{
    (void)now;
    struct transport_fd *t = (struct transport_fd *)base;
    ssize_t n = read(t->fd, data, cap_bytes);
    if (n > 0)
        return (size_t)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return t->has_hung_up ? TRANSPORT_CLOSED : 0;
    return TRANSPORT_CLOSED;
}

size_t transport_fd_write(struct transport *base, const uint8_t *data, size_t len_bytes, struct host_ns now)
{
    (void)now;
    struct transport_fd *t = (struct transport_fd *)base;
    ssize_t n = t->is_socket ? send(t->fd, data, len_bytes, MSG_NOSIGNAL) : write(t->fd, data, len_bytes);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return TRANSPORT_CLOSED;
    size_t taken = n > 0 ? (size_t)n : 0;
    if (taken < len_bytes && is_watched(t))
        actor_watch(t->actor, t->fd, POLLIN | POLLOUT, fd_ready, t);
    return taken;
}

void transport_fd_attach(struct transport *base, struct actor *actor)
{
    struct transport_fd *t = (struct transport_fd *)base;
    if (is_watched(t))
        actor_watch(t->actor, t->fd, 0, NULL, NULL);
    t->actor = actor;
    if (actor)
        actor_watch(actor, t->fd, POLLIN, fd_ready, t);
}

int transport_fd_panic_fd(const struct transport *base)
{
    return ((const struct transport_fd *)base)->fd;
}

static void fd_destroy(struct transport *base)
{
    struct transport_fd *t = (struct transport_fd *)base;
    close(t->fd);
    mem_free(t);
}

static const struct transport_ops fd_ops = {
    .read = transport_fd_read,
    .write = transport_fd_write,
    .attach = transport_fd_attach,
    .panic_fd = transport_fd_panic_fd,
    .destroy = fd_destroy,
};

struct transport *transport_fd_create(int fd)
{
    struct transport_fd *t = MEM_NEW(struct transport_fd);
    struct stat st;
    t->base.ops = &fd_ops;
    t->fd = fd;
    t->is_socket = fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return &t->base;
}

static int connect_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, len + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

enum err transport_pty_open(const char *path, struct transport **t, struct err_info *info)
{
    struct stat st;
    int fd;
    if (stat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        fd = connect_socket(path);
    else
        fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return err_set(info, ERR_IO, "Unable to open '%s': %s", path, strerror(errno));
    struct termios settings;
    if (tcgetattr(fd, &settings) == 0) {
        cfmakeraw(&settings);
        settings.c_cc[VMIN] = 1; /* with 0, "nothing there" would look like the end of the file */
        settings.c_cc[VTIME] = 0;
        tcsetattr(fd, TCSANOW, &settings);
    }
    *t = transport_fd_create(fd);
    return OK;
}

void transport_destroy(struct transport *t)
{
    if (t)
        t->ops->destroy(t);
}
