/* The last check before a board: what is consistent passes, whatever else does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "motion/engine_send.c"

#include "base/rng.h"

static struct stepmsg good(struct rng *rng, uint64_t base)
{
    struct stepmsg r = {.kind = STEPMSG_QUEUE};
    r.count = (uint16_t)(1 + rng_below(rng, 500));
    r.interval = (uint32_t)(2000 + rng_below(rng, 100000));
    /* add so that the last interval stays positive */
    const int64_t room = (int64_t)r.interval / r.count;
    const int64_t add = room > 0 ? (int64_t)rng_below(rng, (uint64_t)(2 * room)) - room + 1 : 0;
    r.add = (int16_t)(r.count == 1 ? 0 : add > 32767 ? 32767 : add < -32768 ? -32768 : add);
    r.first_clock = stepmsg_clock(base, r.interval, r.add, 1);
    r.last_clock = stepmsg_clock(base, r.interval, r.add, r.count);
    return r;
}

static void test_consistent(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7);
    uint64_t base = 0xfffff000u; /* across the wrap of 32 bits */
    for (int i = 0; i < 20000; i++) {
        const char *reason = NULL;
        const struct stepmsg r = good(&rng, base);
        if (!is_consistent(&r, base, &reason))
            fail_msg("message %d: %s", i, reason);
        struct stepmsg bad = r;
        switch (rng_below(&rng, 5)) {
        case 0:
            bad.count = 0;
            break;
        case 1:
            bad.first_clock = base - rng_below(&rng, 100000);
            break;
        case 2:
            bad.interval += 1 + (uint32_t)rng_below(&rng, 100);
            break;
        case 3:
            bad.last_clock += 1 + rng_below(&rng, 1000);
            break;
        default: /* turns back in time at its end */
            bad.count = 100;
            bad.interval = 1000;
            bad.add = -11;
            bad.first_clock = stepmsg_clock(base, bad.interval, bad.add, 1);
            bad.last_clock = stepmsg_clock(base, bad.interval, bad.add, bad.count);
            break;
        }
        assert_false(is_consistent(&bad, base, &reason));
        assert_non_null(reason);
        base = r.last_clock;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_consistent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
