#include "test_files.h"

#include "base/actor.h"
#include "base/rng.h"
#include "motion/link/lane.h"

#include <pthread.h>
#include <sched.h>

/* Records of random length in, the same out, in order, through a small ring: in one thread, filled and emptied at
 * random. */
static void test_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rng rng;
        struct lane lane;
        rng_init(&rng, seed);
        lane_init(&lane, NULL, 1024);
        uint32_t pushed = 0, readied = 0, popped = 0;
        for (int i = 0; i < 5000; i++) {
            uint8_t data[59];
            size_t len = 1 + (pushed * 7919u) % 59;
            size_t room = lane_room(&lane);
            memset(data, (int)(pushed & 0xff), len);
            switch (rng_below(&rng, 3)) {
            case 0:
                if (lane_push(&lane, data, len, pushed, pushed + 1, 0, pushed))
                    pushed++;
                else
                    assert_int_equal(room, 0);
                break;
            case 1:
                if (lane_unready(&lane)) {
                    assert_int_equal(lane_unready(&lane)->tag, readied++);
                    lane_make_ready(&lane);
                } else {
                    assert_int_equal(readied, pushed);
                }
                break;
            default: {
                const struct lane_record *r = lane_front(&lane);
                if (!r) {
                    assert_int_equal(popped, readied);
                    break;
                }
                assert_int_equal(r->tag, popped);
                assert_int_equal(r->min_clock, popped);
                assert_int_equal(r->len_bytes, 1 + (popped * 7919u) % 59);
                for (size_t k = 0; k < r->len_bytes; k++)
                    assert_int_equal(r->data[k], popped & 0xff);
                lane_drop_front(&lane);
                popped++;
            }
            }
            if (rng_below(&rng, 1000) == 0) {
                lane_discard(&lane);
                readied = popped = pushed;
            }
        }
        lane_deinit(&lane);
    }
}

struct producer {
    struct lane *lane;
    struct actor actor;
    uint32_t count;
    atomic_uint refused;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    for (uint32_t i = 0; i < p->count;) {
        uint8_t data[59];
        size_t len = 1 + i % 59;
        memset(data, (int)(i & 0xff), len);
        if (lane_push(p->lane, data, len, i, i, 0, i)) {
            i++;
        } else {
            atomic_fetch_add(&p->refused, 1);
            sched_yield();
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    struct lane lane;
    lane_init(&lane, NULL, 2048);
    struct producer p = {.lane = &lane, .count = 100000};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, &p), 0);
    for (uint32_t i = 0; i < p.count;) {
        if (!lane_unready(&lane)) {
            sched_yield();
            continue;
        }
        lane_make_ready(&lane);
        const struct lane_record *r = lane_front(&lane);
        assert_int_equal(r->tag, i);
        assert_int_equal(r->data[r->len_bytes - 1], i & 0xff);
        lane_drop_front(&lane);
        i++;
    }
    pthread_join(thread, NULL);
    lane_deinit(&lane);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
