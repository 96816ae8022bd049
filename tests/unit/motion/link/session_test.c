/* The session against a small board that follows the receiver's rules of docs/protocol.md, over a wire that loses,
 * corrupts, cuts, doubles and delays blocks. Whatever the wire does, the board runs every command once and in order. */
#include "test_files.h"

#include "base/rng.h"
#include "motion/link/session.h"

#include <math.h>

#define WIRE_MAX 4096

/* One direction of the wire: bytes with their time of arrival. */
struct wire {
    struct {
        int64_t due_ns;
        uint8_t byte;
    } at[WIRE_MAX];
    size_t count;
    int64_t last_ns;
};

struct faults {
    double loss, corrupt, cut, duplicate;
    double delay_max_s;
};

struct world {
    struct rng rng;
    struct session session;
    struct wire to_board, to_host;
    struct faults faults;
    int64_t now_ns;
    /* the board */
    unsigned expected_seq;
    bool need_valid, is_skipping;
    uint8_t input[512];
    size_t input_bytes;
    uint32_t executed; /* number of the last command run */
    bool is_answering;
    /* the host */
    uint32_t sent, answers, last_answer;
    unsigned strays;
};

static struct host_ns now_of(const struct world *w)
{
    return (struct host_ns){w->now_ns};
}

static void put_bytes(struct world *w, struct wire *wire, const uint8_t *data, size_t len)
{
    double delay_s = 0.0002 + rng_range(&w->rng, 0., w->faults.delay_max_s);
    int64_t due = w->now_ns + (int64_t)(delay_s * 1e9);
    due = due < wire->last_ns ? wire->last_ns : due;
    wire->last_ns = due;
    for (size_t i = 0; i < len && wire->count < WIRE_MAX; i++, wire->count++) {
        wire->at[wire->count].due_ns = due;
        wire->at[wire->count].byte = data[i];
    }
}

static void put_block(struct world *w, struct wire *wire, const uint8_t *block, size_t len)
{
    uint8_t data[FRAME_MAX_BYTES];
    memcpy(data, block, len);
    if (rng_unit(&w->rng) < w->faults.loss)
        return;
    if (rng_unit(&w->rng) < w->faults.duplicate)
        put_bytes(w, wire, data, len);
    if (rng_unit(&w->rng) < w->faults.corrupt)
        data[rng_below(&w->rng, len)] ^= (uint8_t)(1 + rng_below(&w->rng, 255));
    if (rng_unit(&w->rng) < w->faults.cut)
        len = rng_below(&w->rng, len);
    put_bytes(w, wire, data, len);
}

/* ---- the board ---- */

static void board_send(struct world *w, const uint8_t *payload, size_t len)
{
    uint8_t block[FRAME_MAX_BYTES];
    size_t size = frame_build(block, w->expected_seq, payload, len);
    put_block(w, &w->to_host, block, size);
}

/* A block holds numbers of commands, four bytes each; every third is answered. */
static void board_run(struct world *w, const uint8_t *payload, size_t len)
{
    for (size_t i = 0; i + 4 <= len; i += 4) {
        uint32_t number;
        memcpy(&number, payload + i, 4);
        if (number != w->executed + 1)
            fail_msg("command %u was run after %u", number, w->executed);
        w->executed = number;
        if (w->is_answering && number % 3 == 0)
            board_send(w, payload + i, 4);
    }
}

static size_t board_consume(struct world *w, const uint8_t *data, size_t len)
{
    if (w->is_skipping) {
        const uint8_t *sync = memchr(data, FRAME_SYNC, len);
        w->is_skipping = !sync;
        return sync ? (size_t)(sync - data) + 1 : len;
    }
    if (data[0] == FRAME_SYNC)
        return 1;
    size_t block;
    enum frame_result result = frame_check(data, len, &block);
    if (result == FRAME_NEED_MORE)
        return 0;
    if (result == FRAME_BAD) {
        if (!w->need_valid)
            board_send(w, NULL, 0);
        w->need_valid = w->is_skipping = true;
        return board_consume(w, data, len);
    }
    w->need_valid = false;
    if ((data[1] & 15u) == (w->expected_seq & 15u)) {
        w->expected_seq++;
        board_run(w, data + 2, block - 5);
    }
    board_send(w, NULL, 0);
    return block;
}

static size_t take_due(struct world *w, struct wire *wire, uint8_t *out, size_t cap)
{
    size_t n = 0;
    while (n < wire->count && n < cap && wire->at[n].due_ns <= w->now_ns)
        n++;
    for (size_t i = 0; i < n; i++)
        out[i] = wire->at[i].byte;
    wire->count -= n;
    memmove(wire->at, wire->at + n, wire->count * sizeof(wire->at[0]));
    return n;
}

static void board_step(struct world *w)
{
    uint8_t data[256];
    size_t n;
    while ((n = take_due(w, &w->to_board, data, sizeof(data))) > 0) {
        assert_true(w->input_bytes + n <= sizeof(w->input));
        memcpy(w->input + w->input_bytes, data, n);
        w->input_bytes += n;
        size_t used = 0, step;
        while (used < w->input_bytes && (step = board_consume(w, w->input + used, w->input_bytes - used)) > 0)
            used += step;
        memmove(w->input, w->input + used, w->input_bytes - used);
        w->input_bytes -= used;
    }
}

/* ---- the host ---- */

static void on_reply(void *ctx, const uint8_t *payload, size_t len, struct host_ns sent, struct host_ns received)
{
    struct world *w = ctx;
    uint32_t number;
    assert_int_equal(len, 4);
    memcpy(&number, payload, 4);
    assert_true(number <= w->sent);
    assert_true(number >= w->last_answer); /* a doubled block repeats, nothing goes back */
    assert_true(sent.ns <= received.ns + 1000000);
    w->last_answer = number;
    w->answers++;
}

static void on_stray(void *ctx, const uint8_t *payload, size_t len)
{
    (void)payload;
    (void)len;
    ((struct world *)ctx)->strays++;
}

static void host_send(struct world *w, uint32_t limit)
{
    uint8_t payload[FRAME_PAYLOAD_MAX];
    size_t len = 0;
    for (uint64_t n = 1 + rng_below(&w->rng, 14); n > 0 && w->sent < limit; n--, len += 4) {
        w->sent++;
        memcpy(payload + len, &w->sent, 4);
    }
    const uint8_t *frame;
    size_t frame_bytes;
    if (len == 0)
        return;
    session_send(&w->session, payload, len, now_of(w), &frame, &frame_bytes);
    put_block(w, &w->to_board, frame, frame_bytes);
}

static void host_resend(struct world *w)
{
    uint8_t out[SESSION_RESEND_BYTES_MAX];
    size_t len = session_take_resend(&w->session, now_of(w), out);
    put_bytes(w, &w->to_board, out, 1);
    for (size_t at = 1; at < len; at += out[at])
        put_block(w, &w->to_board, out + at, out[at]);
}

static void host_step(struct world *w, uint32_t limit)
{
    uint8_t data[256];
    size_t n;
    while ((n = take_due(w, &w->to_host, data, sizeof(data))) > 0)
        session_receive(&w->session, data, n, now_of(w));
    if (session_resend_due(&w->session, now_of(w)))
        host_resend(w);
    while (w->sent < limit && session_can_send(&w->session, false) && w->to_board.count < 1500)
        host_send(w, limit);
}

static void world_init(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    rng_init(&w->rng, seed);
    w->now_ns = NS_PER_S;
    w->is_answering = true;
    w->expected_seq = (unsigned)rng_below(&w->rng, 16);
    session_init(&w->session, on_reply, on_stray, w);
}

/* First contact on a good wire: an empty block tells the board's number. The first block may be lost, never run twice.
 */
static void adopt(struct world *w)
{
    const uint8_t *frame;
    size_t frame_bytes;
    for (int i = 0; i < 3; i++) {
        session_send(&w->session, NULL, 0, now_of(w), &frame, &frame_bytes);
        put_block(w, &w->to_board, frame, frame_bytes);
        for (int k = 0; k < 10; k++) {
            w->now_ns += 100000;
            board_step(w);
            host_step(w, 0);
        }
    }
    assert_true(session_is_quiet(&w->session));
    assert_int_equal(w->session.send_seq & 15, w->expected_seq & 15);
}

static double run(struct world *w, uint32_t commands, double limit_s)
{
    int64_t start = w->now_ns;
    while (w->executed < commands || !session_is_quiet(&w->session)) {
        w->now_ns += 100000;
        board_step(w);
        host_step(w, commands);
        if (w->now_ns - start > (int64_t)(limit_s * 1e9))
            fail_msg("stuck: sent %u, executed %u, rto %g, unacked %u", w->sent, w->executed, w->session.rto_s,
                     w->session.sent_count);
    }
    return (double)(w->now_ns - start) * 1e-9;
}

static void test_clean(void **state)
{
    (void)state;
    struct world w;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        world_init(&w, seed);
        adopt(&w);
        double s = run(&w, 3000, 10.);
        assert_int_equal(w.session.bytes_retransmit, 0);
        assert_int_equal(w.session.bytes_invalid, 0);
        assert_int_equal(w.answers, 1000);
        assert_true(s < 1.);
    }
}

static void test_faults(void **state)
{
    (void)state;
    struct world w;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        world_init(&w, seed);
        adopt(&w);
        struct rng *r = &w.rng;
        w.faults = (struct faults){.loss = rng_range(r, 0., .15),
                                   .corrupt = rng_range(r, 0., .15),
                                   .cut = rng_range(r, 0., .1),
                                   .duplicate = rng_range(r, 0., .1),
                                   .delay_max_s = rng_range(r, 0., .01)};
        run(&w, 600, 1000.);
        assert_int_equal(w.executed, 600);
    }
    print_message("seeds 1 to 120\n");
}

/* With bearable damage the wire keeps most of its throughput. */
static void test_throughput(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 5);
    adopt(&w);
    double clean_s = run(&w, 4000, 100.);
    world_init(&w, 5);
    adopt(&w);
    w.faults = (struct faults){.loss = .005, .corrupt = .005};
    double damaged_s = run(&w, 4000, 100.);
    print_message("4000 commands: %.3f s, with 1 %% of blocks damaged %.3f s, %llu bytes again\n", clean_s, damaged_s,
                  (unsigned long long)w.session.bytes_retransmit);
    assert_true(damaged_s < clean_s * 4.);
}

static void test_window(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    const uint8_t *frame;
    size_t frame_bytes;
    uint8_t payload[FRAME_PAYLOAD_MAX] = {0};
    for (int i = 0; i < SESSION_WINDOW; i++) {
        assert_true(session_can_send(&w.session, false));
        session_send(&w.session, payload, 4, now_of(&w), &frame, &frame_bytes);
    }
    assert_false(session_can_send(&w.session, false));
    for (int i = SESSION_WINDOW; i < SESSION_WINDOW_URGENT; i++) {
        assert_true(session_can_send(&w.session, true));
        session_send(&w.session, payload, 4, now_of(&w), &frame, &frame_bytes);
    }
    assert_false(session_can_send(&w.session, true));
    /* A receive buffer of 192 bytes: two full blocks and a third of room. */
    world_init(&w, 1);
    session_set_wire(&w.session, &(struct session_wire){.byte_s = 4e-5, .receive_window = 192});
    int count = 0;
    while (session_can_send(&w.session, false)) {
        session_send(&w.session, payload, FRAME_PAYLOAD_MAX, now_of(&w), &frame, &frame_bytes);
        count++;
    }
    assert_int_equal(count, 3);
}

static void test_timeouts(void **state)
{
    (void)state;
    struct world w;
    world_init(&w, 1);
    const uint8_t *frame;
    uint8_t out[SESSION_RESEND_BYTES_MAX];
    size_t frame_bytes;
    session_send(&w.session, (const uint8_t *)"abcd", 4, now_of(&w), &frame, &frame_bytes);
    double expected_s = 0.025;
    for (int i = 0; i < 14; i++) {
        struct host_ns deadline = session_deadline(&w.session);
        assert_true(fabs(host_ns_diff_s(deadline, now_of(&w)) - expected_s) < 1e-6);
        w.now_ns = deadline.ns - 1;
        assert_false(session_resend_due(&w.session, now_of(&w)));
        w.now_ns = deadline.ns;
        assert_true(session_resend_due(&w.session, now_of(&w)));
        size_t len = session_take_resend(&w.session, now_of(&w), out);
        assert_int_equal(len, 1 + frame_bytes);
        assert_int_equal(out[0], FRAME_SYNC);
        assert_memory_equal(out + 1, frame, frame_bytes);
        if (i >= 2) /* two timeouts in a row may be the wire's; a third means a slower board */
            expected_s = expected_s * 2. > 5. ? 5. : expected_s * 2.;
    }
}

static void fuzz_reply(void *ctx, const uint8_t *payload, size_t len, struct host_ns sent, struct host_ns received)
{
    (void)sent;
    (void)received;
    if (len == 4)
        memcpy(&((struct world *)ctx)->last_answer, payload, 4);
}

/* A nak for a block that has arrived after all, read together with its acknowledgement: nothing is left to be sent
 * again, and the link goes on. */
static void test_late_nak(void **state)
{
    (void)state;
    struct world w;
    const uint8_t *frame;
    size_t frame_bytes, len;
    uint8_t input[2 * FRAME_MAX_BYTES];
    world_init(&w, 3);
    adopt(&w);
    session_send(&w.session, (const uint8_t *)"abcd", 4, now_of(&w), &frame, &frame_bytes);
    len = frame_build(input, (unsigned)w.session.receive_seq, NULL, 0);
    len += frame_build(input + len, (unsigned)w.session.receive_seq + 1, NULL, 0);
    session_receive(&w.session, input, len, now_of(&w));
    assert_true(session_is_quiet(&w.session));
    assert_true(session_can_send(&w.session, false));
    assert_int_equal(session_deadline(&w.session).ns, INT64_MAX);
}

/* Noise, and good blocks around noise: nothing is overrun, no number runs ahead, and afterwards the link still works.
 */
static void test_fuzz(void **state)
{
    struct world w;
    (void)state;
    world_init(&w, 98);
    w.session.on_reply = fuzz_reply;
    adopt(&w);
    for (int round = 0; round < 40000; round++) {
        uint8_t noise[200], block[FRAME_MAX_BYTES];
        size_t len = rng_below(&w.rng, sizeof(noise));
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = rng_below(&w.rng, 4) ? (uint8_t)rng_u64(&w.rng) : FRAME_SYNC;
        session_receive(&w.session, noise, len, now_of(&w));
        len = frame_build(block, (unsigned)rng_u64(&w.rng), noise, rng_below(&w.rng, FRAME_PAYLOAD_MAX + 1));
        session_receive(&w.session, block, len, now_of(&w));
        assert_true(w.session.receive_seq <= w.session.send_seq);
    }
    assert_true(w.session.bytes_invalid > 100000);
    session_receive(&w.session, (const uint8_t[]){FRAME_SYNC}, 1, now_of(&w));
    run(&w, 500, 100.);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),  cmocka_unit_test(test_faults),   cmocka_unit_test(test_throughput),
        cmocka_unit_test(test_window), cmocka_unit_test(test_timeouts), cmocka_unit_test(test_late_nak),
        cmocka_unit_test(test_fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
