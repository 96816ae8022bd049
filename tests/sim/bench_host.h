/* A minimal host for tests of a single simulated board: sends commands written as text, collects what comes back as
 * text. Header only: each test program gets its own copy. */
#ifndef TESTS_SIM_BENCH_HOST_H
#define TESTS_SIM_BENCH_HOST_H

#include "base/actor.h"
#include "base/bytepipe.h"
#include "firmware/port/sim/sim_board.h"
#include "tests/sim/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BENCH_LINES_MAX 4096

struct bench_host {
    struct runtime *rt;
    struct sim_board *board;
    struct bytepipe to_board, from_board;
    struct wire_dict *dict;
    struct wire_stream stream;
    unsigned seq;
    unsigned reply_seq; /* low nibble of the last block received */
    size_t ack_count;   /* empty blocks received since bench_clear */
    size_t line_count;
    char lines[BENCH_LINES_MAX][192];
};

static inline struct bench_host *bench_create(const struct sim_board_options *options)
{
    struct bench_host *h = calloc(1, sizeof(*h));
    h->rt = runtime_create_virtual(1);
    bytepipe_init(&h->to_board, 16384);
    bytepipe_init(&h->from_board, 65536);
    h->board = sim_board_create(options, &h->to_board, &h->from_board);
    const char *json = sim_board_dictionary(h->board);
    h->dict = wire_dict_create(json, strlen(json));
    if (!h->dict)
        abort();
    runtime_add(h->rt, sim_board_actor(h->board), NULL);
    return h;
}

static inline void bench_destroy(struct bench_host *h)
{
    runtime_remove(h->rt, sim_board_actor(h->board));
    sim_board_destroy(h->board);
    runtime_destroy(h->rt);
    bytepipe_deinit(&h->to_board);
    bytepipe_deinit(&h->from_board);
    wire_dict_destroy(h->dict);
    free(h);
}

static inline void bench_collect(struct bench_host *h)
{
    uint8_t data[512], block[WIRE_BLOCK_MAX];
    for (size_t len; (len = bytepipe_read(&h->from_board, data, sizeof(data))) > 0;) {
        wire_stream_add(&h->stream, data, len);
        for (size_t n; (n = wire_stream_next(&h->stream, block)) > 0;) {
            h->reply_seq = block[1] & 15u;
            if (n == 5) {
                h->ack_count++;
                continue;
            }
            struct wire_msg msg;
            if (h->line_count >= BENCH_LINES_MAX)
                continue;
            char *line = h->lines[h->line_count++];
            if (wire_decode(h->dict, block + 2, n - 5, &msg) == n - 5)
                wire_print(&msg, line, sizeof(h->lines[0]));
            else
                snprintf(line, sizeof(h->lines[0]), "undecodable");
        }
    }
}

/* Let `seconds` of virtual time pass and collect what arrives. */
static inline void bench_run(struct bench_host *h, double seconds)
{
    runtime_run(h->rt, host_ns_add_s(runtime_now(h->rt), seconds), false);
    sim_board_catch_up(h->board, runtime_now(h->rt));
    bench_collect(h);
}

static inline void bench_clear(struct bench_host *h)
{
    h->line_count = 0;
    h->ack_count = 0;
}

/* Send raw bytes. */
static inline void bench_raw(struct bench_host *h, const uint8_t *data, size_t len)
{
    if (bytepipe_write(&h->to_board, data, len) != len)
        abort();
    bench_run(h, 0);
}

/* Send commands, separated by '|', as one block, and deliver it at once. */
static inline void bench_send(struct bench_host *h, const char *text)
{
    uint8_t payload[256], block[WIRE_BLOCK_MAX];
    size_t len = 0;
    char copy[1024], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *part = strtok_r(copy, "|", &save); part; part = strtok_r(NULL, "|", &save)) {
        while (*part == ' ')
            part++;
        size_t n = wire_encode(h->dict, part, payload + len, sizeof(payload) - len);
        if (!n) {
            fprintf(stderr, "cannot encode: %s\n", part);
            abort();
        }
        len += n;
    }
    if (len > 59)
        abort();
    bench_raw(h, block, wire_block(block, h->seq++, payload, len));
}

static inline void bench_sendf(struct bench_host *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static inline void bench_sendf(struct bench_host *h, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    bench_send(h, text);
}

/* The newest line that begins with `prefix`, or NULL. */
static inline const char *bench_find(const struct bench_host *h, const char *prefix)
{
    for (size_t i = h->line_count; i-- > 0;) {
        if (!strncmp(h->lines[i], prefix, strlen(prefix)))
            return h->lines[i];
    }
    return NULL;
}

static inline size_t bench_count(const struct bench_host *h, const char *prefix)
{
    size_t n = 0;
    for (size_t i = 0; i < h->line_count; i++)
        n += !strncmp(h->lines[i], prefix, strlen(prefix));
    return n;
}

/* Number after "field=" in `line`. */
static inline long long bench_value(const char *line, const char *field)
{
    char key[64];
    snprintf(key, sizeof(key), " %s=", field);
    const char *at = line ? strstr(line, key) : NULL;
    if (!at) {
        fprintf(stderr, "no %s in \"%s\"\n", field, line ? line : "(null)");
        abort();
    }
    return strtoll(at + strlen(key), NULL, 10);
}

static inline uint32_t bench_clock(const struct bench_host *h)
{
    return (uint32_t)sim_board_clock(h->board).t;
}

/* The words of the newest shutdown message, "" if there was none. */
static inline const char *bench_shutdown(const struct bench_host *h)
{
    const char *line = bench_find(h, "shutdown ");
    if (!line)
        return "";
    const char *name = wire_enum_name(h->dict, "static_string_id", (long)bench_value(line, "static_string_id"));
    return name ? name : "?";
}

#endif
