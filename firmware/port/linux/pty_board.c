#include "firmware/port/linux/pty_board.h"

#include "base/check.h"
#include "base/list.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#define PIPE_BYTES  16384
#define CHUNK_BYTES 4096

struct pty_board {
    struct actor actor;
    struct sim_board *board;
    struct bytepipe to_board, to_host;
    int master, slave; /* the slave stays open, so that a host may come and go; socket: -1, master is the connection */
    int listener;      /* socket: where hosts come in; -1 */
    bool is_watching;  /* the listener */
    char *link_path;   /* or the socket's */
    char device[108];
    uint8_t out[CHUNK_BYTES]; /* taken from to_host, not yet written */
    size_t out_at, out_bytes;
};

/* --- bytes --- */

static void disconnect(struct pty_board *pty)
{
    if (pty->master < 0)
        return;
    actor_watch(&pty->actor, pty->master, 0, NULL, NULL);
    close(pty->master);
    pty->master = -1;
}

static void read_host(void *ctx, int fd, unsigned revents)
{
    (void)revents;
    struct pty_board *pty = ctx;
    uint8_t data[CHUNK_BYTES];
    size_t room = pty->to_board.mask + 1 - bytepipe_pending(&pty->to_board);
    ssize_t len = read(fd, data, room < sizeof(data) ? room : sizeof(data));
    if (len > 0)
        (void)bytepipe_write(&pty->to_board, data, (size_t)len);
    else if (len == 0 && pty->listener >= 0)
        disconnect(pty);
}

static void accept_host(void *ctx, int fd, unsigned revents)
{
    (void)revents;
    struct pty_board *pty = ctx;
    int connection = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection < 0)
        return;
    disconnect(pty);
    pty->master = connection;
}

/* Write what the board has said. What the terminal does not take stays for the next time; while it takes nothing, what
 * does not fit the pipe is lost, as on a wire nobody listens to. */
static void write_host(struct pty_board *pty)
{
    for (;;) {
        if (pty->out_at == pty->out_bytes) {
            pty->out_at = 0;
            pty->out_bytes = bytepipe_read(&pty->to_host, pty->out, sizeof(pty->out));
        }
        if (!pty->out_bytes)
            break;
        ssize_t len = pty->master < 0 ? (ssize_t)pty->out_bytes /* nobody listens */
                                      : write(pty->master, pty->out + pty->out_at, pty->out_bytes - pty->out_at);
        if (len <= 0)
            break;
        pty->out_at = pty->master < 0 ? pty->out_bytes : pty->out_at + (size_t)len;
    }
    if (pty->listener >= 0 && !pty->is_watching)
        actor_watch(&pty->actor, pty->listener, POLLIN, accept_host, pty);
    pty->is_watching = true;
    if (pty->master < 0)
        return;
    unsigned events = POLLIN | (pty->out_at < pty->out_bytes ? POLLOUT : 0u);
    actor_watch(&pty->actor, pty->master, events, read_host, pty);
}

static struct host_ns pty_step(struct actor *self, struct host_ns now)
{
    struct pty_board *pty = CONTAINER_OF(self, struct pty_board, actor);
    struct actor *board = sim_board_actor(pty->board);
    struct host_ns next = board->step(board, now);
    write_host(pty);
    return next;
}

/* --- life --- */

static enum err open_pty(struct pty_board *pty, struct err_info *info)
{
    pty->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (pty->master < 0 || grantpt(pty->master) || unlockpt(pty->master) ||
        ptsname_r(pty->master, pty->device, sizeof(pty->device)))
        return err_set(info, ERR_IO, "Unable to open a pseudo terminal: %s", strerror(errno));
    pty->slave = open(pty->device, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios raw;
    if (pty->slave < 0 || tcgetattr(pty->slave, &raw))
        return err_set(info, ERR_IO, "Unable to open %s: %s", pty->device, strerror(errno));
    cfmakeraw(&raw);
    if (tcsetattr(pty->slave, TCSANOW, &raw))
        return err_set(info, ERR_IO, "Unable to set up %s: %s", pty->device, strerror(errno));
    return OK;
}

static enum err make_link(struct pty_board *pty, const char *path, struct err_info *info)
{
    struct stat st;
    if (!lstat(path, &st)) {
        if (!S_ISLNK(st.st_mode))
            return err_set(info, ERR_EXISTS, "%s exists and is not a link", path);
        if (unlink(path))
            return err_set(info, ERR_IO, "Unable to replace %s: %s", path, strerror(errno));
    }
    if (symlink(pty->device, path))
        return err_set(info, ERR_IO, "Unable to link %s to %s: %s", path, pty->device, strerror(errno));
    pty->link_path = mem_strdup(path);
    return OK;
}

static enum err open_socket(struct pty_board *pty, const char *path, struct err_info *info)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;
    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(info, ERR_LIMIT, "%s: a socket's path has at most %zu bytes", path, sizeof(address.sun_path) - 1);
    if (!lstat(path, &st) && !S_ISSOCK(st.st_mode))
        return err_set(info, ERR_EXISTS, "%s exists and is not a socket", path);
    (void)unlink(path);
    strcpy(address.sun_path, path);
    strcpy(pty->device, path);
    pty->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (pty->listener < 0 || bind(pty->listener, (struct sockaddr *)&address, sizeof(address)) ||
        listen(pty->listener, 1))
        return err_set(info, ERR_IO, "Unable to listen on %s: %s", path, strerror(errno));
    pty->link_path = mem_strdup(path);
    return OK;
}

static struct pty_board *create(const struct sim_board_options *options)
{
    struct pty_board *pty = MEM_NEW(struct pty_board);
    pty->master = pty->slave = pty->listener = -1;
    bytepipe_init(&pty->to_board, PIPE_BYTES);
    bytepipe_init(&pty->to_host, PIPE_BYTES);
    pty->board = sim_board_create(options, &pty->to_board, &pty->to_host);
    pty->actor = (struct actor){.name = "mcu", .step = pty_step};
    return pty;
}

static enum err finish(struct pty_board *pty, enum err e, struct pty_board **out)
{
    if (e) {
        pty_board_destroy(pty);
        return e;
    }
    *out = pty;
    return OK;
}

enum err pty_board_create(struct pty_board **out, const char *link_path, const struct sim_board_options *options,
                          struct err_info *info)
{
    struct pty_board *pty = create(options);
    enum err e = open_pty(pty, info);
    if (!e)
        e = make_link(pty, link_path, info);
    return finish(pty, e, out);
}

enum err pty_board_create_socket(struct pty_board **out, const char *path, const struct sim_board_options *options,
                                 struct err_info *info)
{
    struct pty_board *pty = create(options);
    return finish(pty, open_socket(pty, path, info), out);
}

void pty_board_destroy(struct pty_board *pty)
{
    if (!pty)
        return;
    if (pty->link_path && pty->listener >= 0) {
        (void)unlink(pty->link_path);
        close(pty->listener);
    } else if (pty->link_path) {
        char target[sizeof(pty->device)];
        ssize_t len = readlink(pty->link_path, target, sizeof(target)); /* a later board may have taken it over */
        if (len == (ssize_t)strlen(pty->device) && !memcmp(target, pty->device, (size_t)len))
            (void)unlink(pty->link_path);
    }
    if (pty->slave >= 0)
        close(pty->slave);
    if (pty->master >= 0)
        close(pty->master);
    sim_board_destroy(pty->board);
    bytepipe_deinit(&pty->to_board);
    bytepipe_deinit(&pty->to_host);
    mem_free(pty->link_path);
    mem_free(pty);
}

struct actor *pty_board_actor(struct pty_board *pty)
{
    return &pty->actor;
}

struct sim_board *pty_board_board(struct pty_board *pty)
{
    return pty->board;
}

const char *pty_board_device(const struct pty_board *pty)
{
    return pty->device;
}
