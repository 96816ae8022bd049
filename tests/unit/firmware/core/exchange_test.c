/* What a host said to stock firmware, said to ours in virtual time: the answers must be the same, to the tick where the
 * protocol fixes them, else close. The recordings (Linux process, atmega2560) are not part of the repository; without
 * them the test is skipped. */
#include "tests/sim/bench_host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <zlib.h>

#define TEXT_MAX 2048

struct recording {
    const char *path;
    uint32_t clock_hz;
    uint64_t trigger_clock; /* of the endstop's first matching sample */
    struct wire_dict *dict; /* of the firmware that was recorded */
    double boot_s;          /* our board is switched on at this time of the file */
    uint64_t boot_clock;
};

struct line {
    double time_s;
    char direction;
    char hex[256];
    char *text;
    uint8_t bytes[128];
    size_t len;
};

static bool read_line(FILE *f, char *buffer, size_t size, struct line *line)
{
    while (fgets(buffer, (int)size, f)) {
        char *save = NULL, *time = strtok_r(buffer, "\t", &save), *dir = strtok_r(NULL, "\t", &save);
        char *hex = strtok_r(NULL, "\t", &save), *text = strtok_r(NULL, "\n", &save);
        if (!dir || buffer[0] == '#' || dir[0] == '#' || !hex)
            continue;
        line->time_s = atof(time);
        line->direction = dir[0];
        line->text = text ? text : hex + strlen(hex);
        line->len = 0;
        for (; hex[0] && hex[1] && line->len < sizeof(line->bytes); hex += 2) {
            char digits[3] = {hex[0], hex[1], 0};
            line->bytes[line->len++] = (uint8_t)strtoul(digits, NULL, 16);
        }
        return true;
    }
    return false;
}

static bool is_good_block(const struct line *line)
{
    struct wire_stream s = {0};
    uint8_t block[WIRE_BLOCK_MAX];
    wire_stream_add(&s, line->bytes, line->len);
    return wire_stream_next(&s, block) == line->len;
}

/* The dictionary the recording itself holds, from its identify responses. */
static bool read_dictionary(struct recording *r)
{
    static uint8_t blob[16384], text[131072];
    char buffer[8192];
    size_t size = 0;
    struct line line;
    FILE *f = fopen(r->path, "r");
    if (!f)
        return false;
    while (read_line(f, buffer, sizeof(buffer), &line)) {
        const char *at = strstr(line.text, "identify_response offset=");
        if (line.direction != '<' || !at || !is_good_block(&line) || strtoul(at + 25, NULL, 10) != size)
            continue;
        size_t payload = line.len - 5;
        const uint8_t *p = line.bytes + 2;
        size_t skip = p[1] & 0x80 ? (p[2] & 0x80 ? 5 : 4) : 3; /* id, offset of one to three bytes, length */
        memcpy(blob + size, p + skip, payload - skip);
        size += payload - skip;
    }
    fclose(f);
    uLongf text_size = sizeof(text);
    if (uncompress(text, &text_size, blob, size) != Z_OK)
        return false;
    r->dict = wire_dict_create((const char *)text, text_size);
    return r->dict != NULL;
}

/* The recorded board's clock at one time of the file, and the frequency it really ran at. */
static void read_clock(struct recording *r, double *drift_ppm)
{
    char buffer[8192];
    struct line line;
    double first_s = 0, last_s = 0;
    uint64_t first = 0, last = 0;
    FILE *f = fopen(r->path, "r");
    while (read_line(f, buffer, sizeof(buffer), &line)) {
        const char *at = line.direction == '<' && is_good_block(&line) ? strstr(line.text, " clock clock=") : NULL;
        const char *up = line.direction == '<' ? strstr(line.text, " uptime high=") : NULL;
        if (up && !first) {
            first = last = strtoull(up + 13, NULL, 10) << 32 | strtoul(strstr(up, "clock=") + 6, NULL, 10);
            first_s = last_s = line.time_s;
        } else if (at && first) {
            last += (uint32_t)(strtoul(at + 13, NULL, 10) - (uint32_t)last);
            last_s = line.time_s;
        }
    }
    fclose(f);
    double freq = (double)(last - first) / (last_s - first_s);
    *drift_ppm = (freq / r->clock_hz - 1) * 1e6;
    r->boot_s = first_s - 0.25;
    r->boot_clock = first - (uint64_t)(0.25 * freq);
}

static uint32_t from_tick(void *ctx, struct mcu_ticks clock)
{
    return clock.t >= *(const uint64_t *)ctx;
}

static uint32_t warm(void *ctx, struct mcu_ticks clock)
{
    (void)ctx;
    (void)clock;
    return 488;
}

/* Pins beyond our board's (adc and pwm numbers of the Linux board) move into it. */
static void translate(const struct wire_msg *msg, char *out, size_t out_bytes)
{
    size_t at = (size_t)snprintf(out, out_bytes, "%s", msg->name);
    for (size_t i = 0; i < msg->field_count; i++) {
        const struct wire_field *f = &msg->fields[i];
        size_t len = strlen(f->name);
        bool is_pin = len >= 3 && !strcmp(f->name + len - 3, "pin");
        if (f->is_buffer) {
            at += (size_t)snprintf(out + at, out_bytes - at, " %s=", f->name);
            for (size_t b = 0; b < f->len_bytes; b++)
                at += (size_t)snprintf(out + at, out_bytes - at, "%02x", f->data[b]);
        } else {
            at += (size_t)snprintf(out + at, out_bytes - at, " %s=%lld", f->name,
                                   (long long)(is_pin && f->value > 700 ? f->value % 100 + 600 : f->value));
        }
    }
}

/* Send one recorded block to our board, command by command in our numbers. */
static void say(struct recording *r, struct bench_host *h, const struct line *line)
{
    uint8_t payload[128], block[WIRE_BLOCK_MAX];
    size_t len = 0;
    const uint8_t *p = line->bytes + 2, *end = line->bytes + line->len - 3;
    while (p < end) {
        struct wire_msg msg;
        char text[TEXT_MAX];
        size_t n = wire_decode(r->dict, p, (size_t)(end - p), &msg);
        assert_true(n > 0);
        p += n;
        translate(&msg, text, sizeof(text));
        uint8_t one[64];
        size_t m = wire_encode(h->dict, text, one, sizeof(one));
        if (!m)
            fail_msg("our board does not know: %s", text);
        if (len + m > 59) { /* the numbers of ours may be longer */
            bench_raw(h, block, wire_block(block, h->seq++, payload, len));
            len = 0;
        }
        memcpy(payload + len, one, m);
        len += m;
    }
    bench_raw(h, block, wire_block(block, h->seq++, payload, len));
}

/* --- comparing --- */

struct counts {
    size_t exact, lines;
};

static const char *words_of(struct wire_dict *dict, long long id)
{
    const char *name = wire_enum_name(dict, "static_string_id", (long)id);
    return name ? name : "?";
}

/* Is `got`, a line of ours, a right answer where `want` was recorded? */
static bool agrees(const struct recording *r, const struct wire_msg *want, const char *got, struct bench_host *h,
                   struct counts *counts)
{
    long long tolerance = (long long)r->clock_hz / 100; /* 10 ms: emulators and a busy machine */
    char text[TEXT_MAX];
    wire_print(want, text, sizeof(text));
    if (!strcmp(text, got)) {
        counts->exact++;
        return true;
    }
    long long w = wire_get(want, "clock", 0);
    if (!strcmp(want->name, "clock") || !strcmp(want->name, "uptime"))
        return llabs((int32_t)(uint32_t)(bench_value(got, "clock") - w)) < 3 * tolerance;
    if (!strcmp(want->name, "config"))
        return bench_value(got, "crc") == wire_get(want, "crc", -1) &&
               bench_value(got, "is_config") == wire_get(want, "is_config", -1) &&
               bench_value(got, "is_shutdown") == wire_get(want, "is_shutdown", -1) &&
               (bench_value(got, "move_count") > 0) == (wire_get(want, "move_count", -1) > 0);
    if (!strcmp(want->name, "trsync_state"))
        return bench_value(got, "can_trigger") == wire_get(want, "can_trigger", -1) &&
               bench_value(got, "trigger_reason") == wire_get(want, "trigger_reason", -1) &&
               llabs(bench_value(got, "clock") - w) < tolerance;
    if (!strcmp(want->name, "analog_in_state"))
        return bench_value(got, "next_clock") == wire_get(want, "next_clock", -1);
    if (!strcmp(want->name, "shutdown") || !strcmp(want->name, "is_shutdown")) {
        bool is_same = !strcmp(words_of(r->dict, wire_get(want, "static_string_id", 0)),
                               words_of(h->dict, bench_value(got, "static_string_id")));
        return is_same && (want->name[0] == 'i' || llabs(bench_value(got, "clock") - w) < tolerance ||
                           bench_value(got, "clock") > 0); /* emergency_stop: whenever it arrived */
    }
    return false;
}

/* Find an answer like the recorded one among our lines that no earlier recorded answer has claimed. */
static void expect(const struct recording *r, const struct line *line, struct bench_host *h, struct counts *counts)
{
    struct wire_msg want;
    if (!wire_decode(r->dict, line->bytes + 2, line->len - 5, &want))
        return;
    if (!strcmp(want.name, "identify_response") || !strcmp(want.name, "stats") || !strcmp(want.name, "starting"))
        return;
    counts->lines++;
    size_t name_len = strlen(want.name);
    for (size_t i = 0; i < h->line_count; i++) {
        char *ours = h->lines[i];
        if (strncmp(ours, want.name, name_len) != 0 || ours[name_len] != ' ')
            continue;
        if (agrees(r, &want, ours, h, counts)) {
            ours[0] = 0; /* claimed */
            return;
        }
    }
    char text[TEXT_MAX];
    wire_print(&want, text, sizeof(text));
    fail_msg("at %.6f s no answer like: %s", line->time_s, text);
}

/* --- the replay --- */

#define ANSWERS_MAX 2000

/* Say what the recorded board took in: blocks that reached it whole, in sequence. Returns how many, and the answers. */
static size_t say_all(struct recording *r, struct bench_host *h, struct line *answers, size_t *answer_count)
{
    char buffer[8192];
    struct line line;
    size_t blocks = 0;
    uint8_t expected = 0x10;
    struct host_ns start = runtime_now(h->rt);
    FILE *f = fopen(r->path, "r");
    while (read_line(f, buffer, sizeof(buffer), &line)) {
        double wait = line.time_s - r->boot_s - host_ns_diff_s(runtime_now(h->rt), start);
        if (wait > 0)
            bench_run(h, wait);
        if (!is_good_block(&line))
            continue;
        if (line.direction == '<' && line.len > 5 && *answer_count < ANSWERS_MAX)
            answers[(*answer_count)++] = line;
        if (line.direction != '>' || line.bytes[1] != expected || strstr(line.text, "DROPPED"))
            continue;
        expected = (uint8_t)(((expected + 1) & 15) | 0x10);
        if (strstr(line.text, "identify"))
            continue;
        const char *words = strchr(line.text, ' ') + 1;
        if (!strcmp(words, "config_reset") || !strcmp(words, "reset"))
            break;
        say(r, h, &line);
        blocks++;
    }
    fclose(f);
    bench_run(h, 0.1);
    return blocks;
}

static void replay(struct recording *r)
{
    if (!read_dictionary(r)) {
        print_message("%s is not here\n", r->path);
        skip();
    }
    double drift_ppm;
    read_clock(r, &drift_ppm);
    struct sim_board_options o = {.clock_hz = r->clock_hz, .drift_ppm = drift_ppm, .start_clock = r->boot_clock};
    struct bench_host *h = bench_create(&o);
    uint64_t trigger = (r->boot_clock & ~0xffffffffULL) + r->trigger_clock, never = UINT64_MAX;
    for (uint32_t p = 0; p < 700; p++) { /* the endstop is 2 or 37, buttons and counters 5, 72, 73, the rest analog */
        bool is_quiet = p == 5 || p == 72 || p == 73;
        sim_board_set_input(h->board, p, p == 2 || p == 37 || is_quiet ? from_tick : warm,
                            is_quiet ? &never : &trigger);
    }
    bench_run(h, 0);
    struct line *answers = calloc(ANSWERS_MAX, sizeof(*answers));
    size_t answer_count = 0;
    struct counts counts = {0};
    size_t blocks = say_all(r, h, answers, &answer_count);
    for (size_t i = 0; i < answer_count; i++)
        expect(r, &answers[i], h, &counts);
    print_message("%s: %zu blocks said, %zu answers compared, %zu equal to the byte, %zu close\n", r->path, blocks,
                  counts.lines, counts.exact, counts.lines - counts.exact);
    assert_true(counts.lines > 150);
    free(answers);
    wire_dict_destroy(r->dict);
    bench_destroy(h);
}

static void linux_process(void **state)
{
    (void)state;
    struct recording r = {
        .path = TEST_SHARED_DIR "/exchanges/exchange-linux.txt", .clock_hz = 50000000, .trigger_clock = 120999848};
    replay(&r);
}

static void atmega2560(void **state)
{
    (void)state;
    struct recording r = {
        .path = TEST_SHARED_DIR "/exchanges/exchange-avr.txt", .clock_hz = 16000000, .trigger_clock = 48603612};
    replay(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(linux_process),
        cmocka_unit_test(atmega2560),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
