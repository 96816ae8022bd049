/* Recorded conversations of a host with stock firmware: every block decodes, encodes to the same bytes again, and our
 * session, given the board's side, sends the host's side byte for byte. */
#include "test_files.h"

#include "base/strbuf.h"
#include "firmware/proto/vlq.h"
#include "motion/link/dict.h"
#include "motion/link/session.h"

struct line {
    double time_s;
    char direction;
    const char *note; /* the fourth field */
    uint8_t block[64];
    size_t len_bytes;
    bool is_damaged;
};

static bool next_line(char **rest, struct line *line)
{
    char *text;
    do
        text = test_next_line(rest);
    while (text && *text == '#');
    if (!text)
        return false;
    line->time_s = strtod(test_next_field(&text), NULL);
    line->direction = *test_next_field(&text);
    const char *hex = test_next_field(&text);
    line->note = text ? text : "";
    line->is_damaged = strncmp(line->note, "(not a valid block)", 19) == 0;
    line->len_bytes = 0;
    if (line->direction != '#' && strlen(hex) <= 2 * sizeof(line->block))
        line->len_bytes = test_from_hex(hex, line->block, sizeof(line->block));
    return true;
}

/* ---- the dictionary inside the recording ---- */

static struct dict *read_dict(const char *name)
{
    size_t len, blob_bytes = 0;
    uint8_t blob[16384];
    char *text = test_read_shared(name, &len), *rest = text;
    if (!text)
        return NULL;
    struct line line;
    while (next_line(&rest, &line)) {
        if (line.direction != '<' || line.is_damaged || line.len_bytes < 8 || line.block[2] != 0)
            continue;
        const uint8_t *end = line.block + line.len_bytes - 3;
        uint32_t offset;
        const uint8_t *p = vlq_decode(line.block + 3, end, &offset);
        assert_non_null(p);
        assert_int_equal(*p, end - p - 1);
        if (offset == blob_bytes) {
            memcpy(blob + blob_bytes, p + 1, *p);
            blob_bytes += *p;
        }
    }
    struct dict *dict;
    struct err_info info;
    if (dict_parse_blob(blob, blob_bytes, &dict, &info) != OK)
        fail_msg("%s", info.text);
    print_message("%s: dictionary of %zu bytes, version %s\n", name, blob_bytes, dict_version(dict));
    mem_free(text);
    return dict;
}

/* ---- decoding and encoding ---- */

static void add_decoded(struct strbuf *sb, const struct board_format *f, const uint32_t *value, const uint8_t *data,
                        size_t data_bytes)
{
    strbuf_adds(sb, f->name);
    for (unsigned i = 0; i < f->field_count; i++) {
        strbuf_addf(sb, " %s=", f->fields[i].name);
        bool is_signed = f->fields[i].kind == MSGFMT_I32 || f->fields[i].kind == MSGFMT_I16;
        if (f->fields[i].kind == MSGFMT_BUFFER)
            for (size_t k = 0; k < data_bytes; k++)
                strbuf_addf(sb, "%02x", data[k]);
        else if (is_signed)
            strbuf_addf(sb, "%d", (int32_t)value[i]);
        else
            strbuf_addf(sb, "%u", value[i]);
    }
}

/* Length of the message at the start of a payload, found by decoding ever longer prefixes. */
static size_t message_length(const struct board_format *f, const uint8_t *payload, size_t len, uint32_t *value,
                             const uint8_t **data, size_t *data_bytes)
{
    for (size_t n = 1; n <= len; n++)
        if (msgfmt_decode(f, payload, n, value, data, data_bytes))
            return n;
    return 0;
}

static void check_payload(const struct dict *dict, const struct line *line, unsigned *messages)
{
    const uint8_t *p = line->block + FRAME_HEADER_BYTES, *end = line->block + line->len_bytes - FRAME_TRAILER_BYTES;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_addf(&text, "seq=%d%s", line->block[1] & 15, p == end ? " ack/nak" : "");
    for (bool is_first = true; p < end; is_first = false, (*messages)++) {
        const struct board_format *f = dict_message(dict, p, (size_t)(end - p), NULL);
        assert_non_null(f);
        uint32_t value[MSGFMT_FIELDS_MAX];
        const uint8_t *data;
        size_t data_bytes, len = message_length(f, p, (size_t)(end - p), value, &data, &data_bytes);
        assert_true(len > 0);
        strbuf_adds(&text, is_first ? " " : " | ");
        add_decoded(&text, f, value, data, data_bytes);
        int64_t args[MSGFMT_FIELDS_MAX];
        size_t count = 0;
        uint8_t again[64];
        for (unsigned i = 0; i < f->field_count; i++)
            if (f->fields[i].kind != MSGFMT_BUFFER)
                args[count++] = (int32_t)value[i];
        /* -1 in an 8-bit field travels as 32 bits; our decoder keeps what the type can hold. */
        if (strstr(line->note, "invert_step=4294967295"))
            args[3] = -1;
        assert_int_equal(msgfmt_encode(f, args, count, data, data_bytes, again, sizeof(again)), len);
        assert_memory_equal(again, p, len);
        p += len;
    }
    const char *remark = strstr(line->note, "  "); /* what the recorder added */
    size_t common = remark ? (size_t)(remark - line->note) : strlen(line->note);
    if (!strstr(line->note, "invert_step=4294967295") && strncmp(text.data, line->note, common) != 0)
        fail_msg("decoded\n%s\nrecorded\n%s", text.data, line->note);
    strbuf_deinit(&text);
}

static void check_decode(const char *name)
{
    struct dict *dict = read_dict(name);
    if (!dict)
        skip();
    size_t len;
    char *text = test_read_shared(name, &len), *rest = text;
    struct line line;
    unsigned blocks = 0, messages = 0;
    while (next_line(&rest, &line)) {
        if (line.direction == '#' || line.is_damaged || strstr(line.note, "FAULT-INJECTED"))
            continue;
        size_t block_bytes;
        assert_int_equal(frame_check(line.block, line.len_bytes, &block_bytes), FRAME_GOOD);
        assert_int_equal(block_bytes, line.len_bytes);
        uint8_t again[FRAME_MAX_BYTES];
        assert_int_equal(frame_build(again, line.block[1], line.block + 2, line.len_bytes - 5), line.len_bytes);
        assert_memory_equal(again, line.block, line.len_bytes);
        check_payload(dict, &line, &messages);
        blocks++;
    }
    print_message("%s: %u blocks, %u messages\n", name, blocks, messages);
    assert_true(blocks > 500 && messages > 400);
    dict_destroy(dict);
    mem_free(text);
}

/* ---- the session against the recorded board ---- */

static void ignore_reply(void *ctx, const uint8_t *payload, size_t len, struct host_ns sent, struct host_ns received)
{
    (void)payload;
    (void)len;
    (void)sent;
    (void)received;
    (*(unsigned *)ctx)++;
}

static void ignore_stray(void *ctx, const uint8_t *payload, size_t len)
{
    (void)ctx;
    (void)payload;
    (void)len;
}

static struct host_ns at(double time_s)
{
    return (struct host_ns){(int64_t)(time_s * 1e9) + NS_PER_S};
}

/* Up to the section in which the recording's bytes were damaged: no retransmission, and our blocks are theirs. */
static void check_replay(const char *name, const struct session_wire *wire)
{
    size_t len;
    char *text = test_read_shared(name, &len), *rest = text;
    if (!text)
        skip();
    struct session session;
    unsigned replies = 0, sent = 0, recorded = 0;
    session_init(&session, ignore_reply, ignore_stray, &replies);
    session_set_wire(&session, wire);
    struct line line;
    while (next_line(&rest, &line) && !strstr(line.note, "== faults")) {
        struct host_ns now = at(line.time_s);
        if (line.direction == '<') {
            session_receive(&session, line.block, line.len_bytes, now);
            recorded += line.len_bytes > FRAME_MIN_BYTES;
        } else if (line.direction == '>') {
            const uint8_t *frame;
            size_t frame_bytes;
            assert_true(session_can_send(&session, false));
            session_send(&session, line.block + 2, line.len_bytes - 5, now, &frame, &frame_bytes);
            assert_int_equal(frame_bytes, line.len_bytes);
            assert_memory_equal(frame, line.block, frame_bytes);
            sent++;
        }
        assert_false(session_resend_due(&session, now));
    }
    print_message("%s: %u blocks sent, %u replies, srtt %.6f s, rto %.3f s\n", name, sent, replies, session.srtt_s,
                  session.rto_s);
    assert_int_equal(replies, recorded);
    assert_int_equal(session.bytes_invalid, 0);
    assert_true(session_is_quiet(&session));
    mem_free(text);
}

static void test_decode_linux(void **state)
{
    (void)state;
    check_decode("exchanges/exchange-linux.txt");
}

static void test_decode_avr(void **state)
{
    (void)state;
    check_decode("exchanges/exchange-avr.txt");
}

static void test_replay_linux(void **state)
{
    (void)state;
    check_replay("exchanges/exchange-linux.txt", &(struct session_wire){.byte_s = 0.});
}

static void test_replay_avr(void **state)
{
    (void)state;
    check_replay("exchanges/exchange-avr.txt", &(struct session_wire){.byte_s = 10. / 250000., .receive_window = 192});
}

/* The line at which the recording host sent block `seq` again, undamaged: the only place where the bytes of a block
 * that was damaged on purpose are written down. */
static struct line find_resend(char *rest, unsigned seq)
{
    struct line line;
    char *copy = mem_strdup(rest), *at_copy = copy;
    bool is_found = false;
    while (!is_found && next_line(&at_copy, &line))
        is_found = line.direction == '>' && strstr(line.note, "#resend") && !strstr(line.note, "FAULT") &&
                   line.len_bytes > 2 && (line.block[1] & 15u) == (seq & 15u);
    mem_free(copy);
    assert_true(is_found);
    return line;
}

struct resend_check {
    struct session session;
    uint8_t expected[SESSION_RESEND_BYTES_MAX];
    size_t expected_bytes, used;
    unsigned count;
    struct line last; /* the latest fresh block */
};

static void send_fresh(struct resend_check *c, const struct line *line, char *rest, struct host_ns now)
{
    const uint8_t *frame;
    size_t frame_bytes;
    bool is_faulty = strstr(line->note, "FAULT-INJECTED") != NULL;
    bool is_repeated = c->last.len_bytes == line->len_bytes && memcmp(c->last.block, line->block, line->len_bytes) == 0;
    if (is_faulty && is_repeated)
        return; /* sent twice on purpose */
    struct line whole = line->is_damaged ? find_resend(rest, (unsigned)c->session.send_seq) : *line;
    session_send(&c->session, whole.block + 2, whole.len_bytes - 5, now, &frame, &frame_bytes);
    assert_int_equal(frame_bytes, whole.len_bytes);
    assert_memory_equal(frame, whole.block, frame_bytes);
    c->last = *line;
}

/* The damaged part: the same naks are honoured, and at each retransmission the same blocks are unacknowledged. */
static void check_resends(const char *name)
{
    size_t len;
    char *text = test_read_shared(name, &len), *rest = text;
    if (!text)
        skip();
    unsigned replies = 0;
    struct resend_check c = {.used = 0};
    session_init(&c.session, ignore_reply, ignore_stray, &replies);
    struct line line;
    while (next_line(&rest, &line) && !strstr(line.note, "== max_duration")) {
        struct host_ns now = at(line.time_s);
        bool is_resend = strstr(line.note, "#resend") || strstr(line.note, "#retransmit");
        if (line.direction == '<') {
            if (!line.is_damaged && !strstr(line.note, "#raw read"))
                session_receive(&c.session, line.block, line.len_bytes, now);
        } else if (line.direction == '>' && is_resend && line.len_bytes == 1) {
            assert_int_equal(c.used, c.expected_bytes);
            assert_int_equal(c.session.must_resend, strstr(line.note, "after nak") != NULL);
            c.expected_bytes = session_take_resend(&c.session, now, c.expected);
            c.used = 1;
            c.count++;
        } else if (line.direction == '>' && is_resend) {
            if (c.used == c.expected_bytes && strstr(line.note, "FAULT"))
                continue; /* the last one twice */
            assert_true(c.used + c.expected[c.used] <= c.expected_bytes);
            bool is_twice = strstr(line.note, "FAULT") && (c.expected[c.used + 1] != line.block[1]);
            if (!strstr(line.note, "FAULT"))
                assert_memory_equal(c.expected + c.used, line.block, line.len_bytes);
            c.used += is_twice ? 0 : c.expected[c.used];
        } else if (line.direction == '>') {
            send_fresh(&c, &line, rest, now);
        }
    }
    print_message("%s: %u retransmissions, %llu bytes\n", name, c.count,
                  (unsigned long long)c.session.bytes_retransmit);
    assert_true(c.count > 5);
    mem_free(text);
}

static void test_resends_avr(void **state)
{
    (void)state;
    check_resends("exchanges/exchange-avr.txt");
}

static void test_resends_linux(void **state)
{
    (void)state;
    check_resends("exchanges/exchange-linux.txt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode_linux), cmocka_unit_test(test_decode_avr),    cmocka_unit_test(test_replay_linux),
        cmocka_unit_test(test_replay_avr),   cmocka_unit_test(test_resends_linux), cmocka_unit_test(test_resends_avr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
