#include "server/net/acceptor.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_MAX 32

struct pending {
    int fd; /* -1: free */
    struct host_ns since;
    struct sockaddr_storage address;
    socklen_t address_len;
};

struct acceptor {
    pthread_t thread;
    struct log *log;
    acceptor_take_fn *http, *websocket;
    void *ctx;
    int listen_fd, epoll_fd, wake_fd;
    unsigned port;
    atomic_bool is_stopping;
    struct pending pending[ACCEPTOR_PENDING_MAX]; /* the thread's */
};

/* What the first bytes ask for. */
enum wish { WISH_UNKNOWN, WISH_HTTP, WISH_WEBSOCKET };

static enum wish judge(const char *bytes, size_t len)
{
    static const char MARK[] = "GET /websocket";
    const size_t mark_len = sizeof MARK - 1;
    size_t same = 0;
    while (same < len && same < mark_len && bytes[same] == MARK[same])
        same++;
    if (same < len && same < mark_len)
        return WISH_HTTP;
    if (len <= mark_len)
        return WISH_UNKNOWN;
    return bytes[mark_len] == ' ' || bytes[mark_len] == '?' ? WISH_WEBSOCKET : WISH_HTTP;
}

static void release(struct acceptor *a, struct pending *p)
{
    epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, p->fd, NULL);
    p->fd = -1;
}

static void drop(struct acceptor *a, struct pending *p)
{
    int fd = p->fd;
    release(a, p);
    close(fd);
}

/* is_ended: no more bytes will come. */
static void look(struct acceptor *a, struct pending *p, bool is_ended)
{
    char bytes[16];
    ssize_t got = recv(p->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
        drop(a, p);
        return;
    }
    enum wish wish = got > 0 ? judge(bytes, (size_t)got) : WISH_UNKNOWN;
    if (wish == WISH_UNKNOWN) {
        if (is_ended)
            drop(a, p);
        return; /* edge-triggered: the next bytes bring us back */
    }
    int fd = p->fd;
    release(a, p);
    (wish == WISH_WEBSOCKET ? a->websocket : a->http)(a->ctx, fd, (const struct sockaddr *)&p->address, p->address_len);
}

/* A free place; when all are taken by clients that say nothing, the oldest of them goes. */
static struct pending *find_place(struct acceptor *a)
{
    struct pending *oldest = &a->pending[0];
    for (size_t i = 0; i < ACCEPTOR_PENDING_MAX; i++) {
        struct pending *p = &a->pending[i];
        if (p->fd < 0)
            return p;
        if (p->since.ns < oldest->since.ns)
            oldest = p;
    }
    drop(a, oldest);
    return oldest;
}

static void accept_all(struct acceptor *a)
{
    for (;;) {
        struct sockaddr_storage address;
        socklen_t len = sizeof address;
        int fd = accept4(a->listen_fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                log_warn(a->log, "net", "cannot accept", "reason=%s", strerror(errno));
                usleep(50 * 1000); /* the listening socket stays readable: do not spin */
            }
            if (errno == ECONNABORTED || errno == EINTR)
                continue;
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct pending *p = find_place(a);
        *p = (struct pending){.fd = fd, .since = clock_monotonic(), .address = address, .address_len = len};
        struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p};
        if (epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
            close(fd);
            p->fd = -1;
            continue;
        }
        look(a, p, false); /* the request is often there already */
    }
}

static int expire(struct acceptor *a)
{
    struct host_ns now = clock_monotonic();
    int wait_ms = -1;
    for (size_t i = 0; i < ACCEPTOR_PENDING_MAX; i++) {
        struct pending *p = &a->pending[i];
        if (p->fd < 0)
            continue;
        int left_ms = ACCEPTOR_PENDING_MS_MAX - (int)((now.ns - p->since.ns) / 1000000);
        if (left_ms <= 0)
            drop(a, p);
        else if (wait_ms < 0 || left_ms < wait_ms)
            wait_ms = left_ms;
    }
    return wait_ms;
}

static void *acceptor_main(void *arg)
{
    struct acceptor *a = arg;
    pthread_setname_np(pthread_self(), "acceptor");
    while (!atomic_load(&a->is_stopping)) {
        struct epoll_event events[EVENTS_MAX];
        int count = epoll_wait(a->epoll_fd, events, EVENTS_MAX, expire(a));
        for (int i = 0; i < count; i++) {
            struct pending *p = events[i].data.ptr;
            if (!p)
                accept_all(a);
            else if ((void *)p != (void *)a && p->fd >= 0)
                look(a, p, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
        }
    }
    return NULL;
}

static enum err listen_on(struct acceptor *a, const char *host, unsigned port, struct err_info *info)
{
    char service[16];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *list = NULL;
    int rc = getaddrinfo(host, service, &hints, &list);
    if (rc != 0)
        return err_set(info, ERR_INVALID, "cannot listen on %s: %s", host, gai_strerror(rc));
    int fd = -1, reason = 0;
    for (struct addrinfo *at = list; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int on = 1;
        if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (fd >= 0 && (bind(fd, at->ai_addr, at->ai_addrlen) != 0 || listen(fd, 256) != 0)) {
            reason = errno;
            close(fd);
            fd = -1;
        }
    }
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(info, ERR_IO, "cannot listen on %s port %u: %s", host, port, strerror(reason ? reason : errno));
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    getsockname(fd, (struct sockaddr *)&bound, &len);
    a->port = ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                                : ((struct sockaddr_in *)&bound)->sin_port);
    a->listen_fd = fd;
    return OK;
}

enum err acceptor_create(const struct acceptor_options *options, struct acceptor **out, struct err_info *info)
{
    struct acceptor *a = MEM_NEW(struct acceptor);
    a->log = options->log;
    a->http = options->http;
    a->websocket = options->websocket;
    a->ctx = options->ctx;
    for (size_t i = 0; i < ACCEPTOR_PENDING_MAX; i++)
        a->pending[i].fd = -1;
    enum err err = listen_on(a, options->host, options->port, info);
    if (err) {
        mem_free(a);
        return err;
    }
    a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    a->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    CHECK(a->epoll_fd >= 0 && a->wake_fd >= 0);
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL}, waking = {.events = EPOLLIN, .data.ptr = a};
    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->listen_fd, &listening);
    epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, a->wake_fd, &waking);
    int rc = pthread_create(&a->thread, NULL, acceptor_main, a);
    CHECK(rc == 0);
    *out = a;
    return OK;
}

void acceptor_destroy(struct acceptor *a)
{
    if (!a)
        return;
    atomic_store(&a->is_stopping, true);
    uint64_t one = 1;
    (void)!write(a->wake_fd, &one, sizeof one);
    pthread_join(a->thread, NULL);
    for (size_t i = 0; i < ACCEPTOR_PENDING_MAX; i++)
        if (a->pending[i].fd >= 0)
            close(a->pending[i].fd);
    close(a->listen_fd);
    close(a->wake_fd);
    close(a->epoll_fd);
    mem_free(a);
}

unsigned acceptor_port(const struct acceptor *a)
{
    return a->port;
}
