/* How fast the server answers:  net_bench [PORT]
 *   PORT  a running daemon on 127.0.0.1; without it, a server over the fake printer of tests/api in this process.
 * One WebSocket for round trips of printer.objects.query (p50, p99), 16 kept-alive connections for requests per second. */
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "server/api/api.h"
#include "server/net/net.h"
#include "server/store/db.h"
#include "server/store/files.h"
#include "tests/api/fake_printer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define CONNECTIONS 16
#define RUN_S 2.0
#define ROUND_TRIPS 20000
#define REPLY_BYTES_MAX 65536

static double now_s(void)
{
    return (double)clock_monotonic().ns * 1e-9;
}

static int connect_to(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "cannot connect to port %u: %s\n", port, strerror(errno));
        exit(1);
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void send_all(int fd, const void *data, size_t len)
{
    ssize_t n = write(fd, data, len);
    CHECK(n == (ssize_t)len);
}

/* --- HTTP --- */

struct connection {
    int fd;
    char buffer[REPLY_BYTES_MAX];
    size_t used;
};

/* Is the reply in the buffer complete? */
static bool is_complete(struct connection *c)
{
    c->buffer[c->used] = 0;
    char *end = strstr(c->buffer, "\r\n\r\n"), *length = strstr(c->buffer, "Content-Length: ");
    return end && length && c->used >= (size_t)(end + 4 - c->buffer) + strtoul(length + 16, NULL, 10);
}

static void http_bench(unsigned port, const char *target, const char *name)
{
    static struct connection connections[CONNECTIONS];
    char request[512];
    int len = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", target, port);
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 0; i < CONNECTIONS; i++) {
        connections[i] = (struct connection){.fd = connect_to(port)};
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, connections[i].fd, &event);
        send_all(connections[i].fd, request, (size_t)len);
    }
    double begin_s = now_s(), end_s = begin_s + RUN_S;
    unsigned long count = 0;
    while (now_s() < end_s) {
        struct epoll_event events[CONNECTIONS];
        int ready = epoll_wait(poll_fd, events, CONNECTIONS, 1000);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t n = read(c->fd, c->buffer + c->used, sizeof c->buffer - 1 - c->used);
            CHECK(n > 0);
            c->used += (size_t)n;
            if (!is_complete(c))
                continue;
            CHECK(strncmp(c->buffer, "HTTP/1.1 200", 12) == 0);
            c->used = 0;
            count++;
            send_all(c->fd, request, (size_t)len);
        }
    }
    printf("%-46s %10.0f /s   (%d connections)\n", name, (double)count / (now_s() - begin_s), CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        close(connections[i].fd);
    close(poll_fd);
}

/* --- WebSocket --- */

static int ws_open(unsigned port)
{
    int fd = connect_to(port);
    char text[1024];
    int len = snprintf(text, sizeof text,
                       "GET /websocket HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", port);
    send_all(fd, text, (size_t)len);
    size_t used = 0;
    do {
        ssize_t n = read(fd, text + used, 1); /* a byte at a time: frames may follow at once */
        CHECK(n == 1 && used + 2 < sizeof text);
        text[++used] = 0;
    } while (!strstr(text, "\r\n\r\n"));
    CHECK(strncmp(text, "HTTP/1.1 101", 12) == 0);
    return fd;
}

static void ws_send(int fd, const char *text)
{
    size_t len = strlen(text);
    unsigned char frame[512] = {0x81, 0xfe, (unsigned char)(len >> 8), (unsigned char)len}; /* masked with zeros */
    CHECK(len >= 126 && len < sizeof frame - 8);
    memcpy(frame + 8, text, len);
    send_all(fd, frame, len + 8);
}

static void read_exactly(int fd, void *out, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)out + done, len - done);
        CHECK(n > 0);
        done += (size_t)n;
    }
}

/* Read frames until the answer (notifications come in between). */
static void ws_read_answer(int fd)
{
    static char text[1 << 20];
    for (;;) {
        unsigned char head[8];
        read_exactly(fd, head, 2);
        size_t len = head[1];
        if (len == 126) {
            read_exactly(fd, head, 2);
            len = (size_t)head[0] << 8 | head[1];
        } else if (len == 127) {
            read_exactly(fd, head, 8);
            len = (size_t)head[5] << 16 | (size_t)head[6] << 8 | head[7];
        }
        CHECK(len < sizeof text);
        read_exactly(fd, text, len);
        text[len] = 0;
        if (strstr(text, "\"id\":7}"))
            return;
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void ws_bench(unsigned port)
{
    static const char REQUEST[] = "{\"jsonrpc\":\"2.0\",\"method\":\"printer.objects.query\",\"params\":{\"objects\":"
                                  "{\"toolhead\":null,\"extruder\":null,\"print_stats\":null,\"heater_bed\":null}},\"id\":7}";
    double *times_ms = MEM_ARRAY(double, ROUND_TRIPS);
    int fd = ws_open(port);
    for (int i = 0; i < ROUND_TRIPS; i++) {
        double begin_s = now_s();
        ws_send(fd, REQUEST);
        ws_read_answer(fd);
        times_ms[i] = (now_s() - begin_s) * 1e3;
    }
    qsort(times_ms, ROUND_TRIPS, sizeof *times_ms, compare);
    printf("%-46s %10.3f ms p50, %.3f ms p99\n", "printer.objects.query over one WebSocket", times_ms[ROUND_TRIPS / 2],
           times_ms[ROUND_TRIPS * 99 / 100]);
    close(fd);
    mem_free(times_ms);
}

static void run(unsigned port)
{
    ws_bench(port);
    http_bench(port, "/printer/objects/query?toolhead&extruder&print_stats&heater_bed", "printer.objects.query over HTTP");
    http_bench(port, "/server/info", "server.info over HTTP");
}

/* --- a server of our own --- */

static void run_own(void)
{
    char data[] = "/tmp/net_bench-XXXXXX";
    struct err_info info = {""};
    struct db *db = NULL;
    struct net *net = NULL;
    CHECK(mkdtemp(data));
    struct files *files = files_create();
    enum err err = files_add_root(files, "gcodes", data, true, &info);
    if (!err)
        err = db_open(":memory:", &db, &info);
    struct fake_printer *fake = fake_printer_create(NULL);
    struct api_options options = {.db = db, .files = files, .status = fake_printer_status(fake),
                                  .backend = fake_printer_backend(fake), .data_dir = data, .websockets_max = 50};
    struct api *api = api_create(&options);
    struct net_options net_options = {.api = api, .files = files};
    if (!err)
        err = net_create(&net_options, &net, &info);
    if (err) {
        fprintf(stderr, "%s\n", info.text);
        exit(1);
    }
    fake_printer_start(fake, api, data);
    usleep(200 * 1000);
    run(net_port(net));
    fake_printer_stop(fake);
    net_destroy(net);
    api_destroy(api);
    fake_printer_destroy(fake);
    files_destroy(files);
    db_close(db);
    (void)!files_remove_tree(data, NULL);
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc > 1)
        run((unsigned)atoi(argv[1]));
    else
        run_own();
    return 0;
}
