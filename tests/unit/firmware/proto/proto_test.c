/* Framing and integers: the vectors of the protocol notes first, then properties over random input. */
#include "base/rng.h"
#include "firmware/proto/frame.h"
#include "firmware/proto/vlq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void test_known_blocks(void **state)
{
    (void)state;
    static const struct {
        unsigned seq;
        const char *payload;
        size_t payload_len;
        const char *block;
        size_t len;
    } known[] = {
        {1, "\x01\x00\x28", 3, "\x08\x11\x01\x00\x28\x42\x24\x7e", 8},
        {0, "", 0, "\x05\x10\x9e\x81\x7e", 5},
        {1, "", 0, "\x05\x11\x8f\x08\x7e", 5},
        {2, "", 0, "\x05\x12\xbd\x93\x7e", 5},
        {19, "", 0, "\x05\x13\xac\x1a\x7e", 5}, /* only the low nibble counts */
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t block[FRAME_MAX_BYTES];
        size_t len = frame_build(block, known[i].seq, (const uint8_t *)known[i].payload, known[i].payload_len), got;
        assert_int_equal(len, known[i].len);
        assert_memory_equal(block, known[i].block, len);
        assert_int_equal(frame_check(block, len, &got), FRAME_GOOD);
        assert_int_equal(got, len);
    }
}

static void test_known_integers(void **state)
{
    (void)state;
    static const struct {
        int32_t value;
        const char *bytes;
        size_t len;
    } known[] = {
        {96, "\x80\x60", 2},         {-33, "\xff\x5f", 2},       {128, "\x81\x00", 2}, {12288, "\x80\xe0\x00", 3},
        {1000000, "\xbd\x84\x40", 3}, {-5000, "\xff\xd8\x78", 3}, {-1, "\x7f", 1},      {95, "\x5f", 1},
        {-32, "\x60", 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t bytes[VLQ_MAX_BYTES];
        uint8_t *end = vlq_encode(bytes, (uint32_t)known[i].value);
        assert_int_equal(end - bytes, known[i].len);
        assert_memory_equal(bytes, known[i].bytes, known[i].len);
    }
    /* The long way for large unsigned numbers, as some hosts encode them. */
    uint32_t value = 0;
    static const uint8_t all_ones[] = {0x8f, 0xff, 0xff, 0xff, 0x7f};
    assert_ptr_equal(vlq_decode(all_ones, all_ones + 5, &value), all_ones + 5);
    assert_int_equal(value, 0xffffffffu);
}

static void test_integers_round_trip_at_their_shortest(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 11);
    for (int i = 0; i < 200000; i++) {
        uint32_t value = (uint32_t)rng_u64(&rng) >> rng_below(&rng, 32), back;
        if (i & 1)
            value = 0 - value;
        uint8_t bytes[VLQ_MAX_BYTES];
        uint8_t *end = vlq_encode(bytes, value);
        assert_int_equal(end - bytes, vlq_size(value));
        assert_ptr_equal(vlq_decode(bytes, end, &back), end);
        assert_int_equal(back, value);
        for (uint8_t *cut = bytes; cut < end; cut++) /* never reads past the end it is given */
            assert_null(vlq_decode(bytes, cut, &back));
    }
    static const uint8_t endless[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
    uint32_t value;
    assert_null(vlq_decode(endless, endless + sizeof endless, &value));
}

static void test_damage_is_noticed(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 12);
    for (int i = 0; i < 20000; i++) {
        uint8_t payload[FRAME_PAYLOAD_MAX], block[FRAME_MAX_BYTES];
        size_t n = (size_t)rng_below(&rng, FRAME_PAYLOAD_MAX + 1), got;
        for (size_t k = 0; k < n; k++)
            payload[k] = (uint8_t)rng_u64(&rng);
        size_t len = frame_build(block, (unsigned)i, payload, n);
        for (size_t cut = 0; cut < len; cut++)
            assert_int_equal(frame_check(block, cut, &got), FRAME_NEED_MORE);
        /* One to three flipped bits are always noticed: the polynomial has distance 4 at this length. */
        unsigned flips = 1 + (unsigned)rng_below(&rng, 3);
        uint8_t damaged[FRAME_MAX_BYTES];
        memcpy(damaged, block, len);
        for (unsigned f = 0; f < flips; f++) {
            size_t bit = (size_t)rng_below(&rng, (len - 1) * 8 - 16) + 16; /* length, sequence and sync stay */
            damaged[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
        if (memcmp(damaged, block, len) != 0)
            assert_int_equal(frame_check(damaged, len, &got), FRAME_BAD);
    }
}

static void test_bad_headers_are_refused_at_once(void **state)
{
    (void)state;
    size_t got;
    static const uint8_t too_short[] = {4, 0x10, 0, 0, 0x7e}, too_long[] = {65, 0x10, 0, 0, 0},
                         bad_seq[] = {5, 0x20, 0, 0, 0x7e}, no_sync[] = {5, 0x10, 0x9e, 0x81, 0x7f};
    assert_int_equal(frame_check(too_short, 5, &got), FRAME_BAD);
    assert_int_equal(frame_check(too_long, 5, &got), FRAME_BAD);
    assert_int_equal(frame_check(bad_seq, 5, &got), FRAME_BAD);
    assert_int_equal(frame_check(no_sync, 5, &got), FRAME_BAD);
    assert_int_equal(frame_check(too_short, 4, &got), FRAME_NEED_MORE); /* rule 1: five bytes first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_blocks),
        cmocka_unit_test(test_known_integers),
        cmocka_unit_test(test_integers_round_trip_at_their_shortest),
        cmocka_unit_test(test_damage_is_noticed),
        cmocka_unit_test(test_bad_headers_are_refused_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
