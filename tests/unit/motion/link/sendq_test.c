/* The send queue against its rules: a lane keeps its order; nothing goes before its clock; never more move items in use
 * than the board has; among what may go, the lowest deadline goes first. */
#include "test_files.h"

#include "base/rng.h"
#include "motion/link/sendq.h"

#define LANES   6
#define RECORDS 400
#define SLOTS   9

struct record {
    uint64_t min_clock, req_clock, slot_until;
    bool is_sent;
};

struct world {
    struct sendq q;
    struct lane lanes[LANES];
    struct record records[LANES][RECORDS];
    size_t next[LANES], sent_total;
    uint64_t slots_in_use[SLOTS]; /* until when; <= clock: free */
};

static void fill_lanes(struct world *w, struct rng *rng)
{
    for (size_t l = 0; l < LANES; l++) {
        lane_init(&w->lanes[l], NULL, 65536);
        sendq_add_lane(&w->q, &w->lanes[l]);
        uint64_t clock = rng_below(rng, 1000);
        for (size_t i = 0; i < RECORDS; i++) {
            struct record *r = &w->records[l][i];
            clock += rng_below(rng, 500);
            r->min_clock = rng_below(rng, 2) ? clock : 0;
            r->req_clock = l == 0 ? SENDQ_REQ_BACKGROUND : clock + rng_below(rng, 3000);
            r->slot_until = l >= 3 ? r->req_clock + 1 + rng_below(rng, 2000) : 0;
            uint8_t data[59] = {(uint8_t)l};
            size_t len = 3 + rng_below(rng, 20);
            memcpy(data + 1, &(uint16_t){(uint16_t)i}, 2);
            data[0] = (uint8_t)(l | len << 3);
            assert_true(lane_push(&w->lanes[l], data, len, r->min_clock, r->req_clock, r->slot_until,
                                  (uint32_t)(l << 16 | i) + 1));
        }
    }
}

static void check_record(struct world *w, uint32_t tag, uint64_t clock)
{
    size_t l = (tag - 1) >> 16, i = (tag - 1) & 0xffff;
    struct record *r = &w->records[l][i];
    assert_int_equal(i, w->next[l]++); /* the lane's order, nothing twice */
    assert_true(r->min_clock <= clock);
    r->is_sent = true;
    w->sent_total++;
    if (!r->slot_until)
        return;
    for (size_t s = 0; s < SLOTS; s++) {
        if (w->slots_in_use[s] <= clock) {
            w->slots_in_use[s] = r->slot_until;
            return;
        }
    }
    fail_msg("more than %d move items in use at %llu", SLOTS, (unsigned long long)clock);
}

static void run(uint64_t seed)
{
    struct rng rng;
    struct world *w = MEM_NEW(struct world);
    rng_init(&rng, seed);
    sendq_init(&w->q);
    sendq_set_slots(&w->q, SLOTS);
    fill_lanes(w, &rng);
    uint64_t clock = 0;
    size_t short_blocks = 0, blocks = 0;
    while (w->sent_total < LANES * RECORDS) {
        sendq_advance(&w->q, clock);
        if (w->q.ready_bytes == 0) {
            uint64_t next = sendq_next_ready_clock(&w->q);
            assert_true(next > clock && next != UINT64_MAX);
            clock = next;
            continue;
        }
        uint64_t first = sendq_first_req(&w->q);
        struct sendq_block block;
        sendq_fill(&w->q, &block);
        assert_true(block.len_bytes > 0 && block.len_bytes <= FRAME_PAYLOAD_MAX && block.tag_count > 0);
        uint32_t tag = block.tags[0];
        assert_int_equal(w->records[(tag - 1) >> 16][(tag - 1) & 0xffff].req_clock, first);
        for (unsigned i = 0; i < block.tag_count; i++)
            check_record(w, block.tags[i], clock);
        blocks++;
        short_blocks += block.is_full && block.len_bytes < FRAME_PAYLOAD_MAX - 22;
        clock += rng_below(&rng, 300);
    }
    assert_int_equal(w->q.ready_bytes, 0);
    assert_int_equal(short_blocks, 0); /* "full" means that the next command did not fit */
    assert_int_equal(sendq_next_ready_clock(&w->q), UINT64_MAX);
    for (size_t l = 0; l < LANES; l++)
        lane_deinit(&w->lanes[l]);
    sendq_deinit(&w->q);
    mem_free(w);
    (void)blocks;
}

static void test_rules(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++)
        run(seed);
}

/* A deadline further ahead than a 32-bit clock can tell is held back. */
static void test_far_ahead(void **state)
{
    (void)state;
    struct sendq q;
    struct lane lane;
    sendq_init(&q);
    lane_init(&lane, NULL, 1024);
    sendq_add_lane(&q, &lane);
    uint64_t req = 10ULL << 32;
    assert_true(lane_push(&lane, (const uint8_t *)"x", 1, 0, req, 0, 0));
    sendq_advance(&q, req - SENDQ_LEAD_TICKS_MAX - 1);
    assert_int_equal(q.ready_bytes, 0);
    assert_int_equal(sendq_next_ready_clock(&q), req - SENDQ_LEAD_TICKS_MAX);
    sendq_advance(&q, req - SENDQ_LEAD_TICKS_MAX);
    assert_int_equal(q.ready_bytes, 1);
    sendq_discard(&q, false);
    assert_int_equal(q.ready_bytes, 0);
    assert_true(lane_push(&lane, (const uint8_t *)"x", 1, 0, SENDQ_REQ_BACKGROUND, 0, 0));
    sendq_advance(&q, 0);
    assert_int_equal(q.ready_bytes, 1);
    lane_deinit(&lane);
    sendq_deinit(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_far_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
