#include "test_files.h"

#include "base/rng.h"
#include "firmware/proto/frame.h"
#include "firmware/proto/vlq.h"
#include "motion/link/msgfmt.h"

static struct board_format parse(struct arena *arena, const char *text, int64_t id)
{
    struct board_format format;
    struct err_info info;
    enum err err = msgfmt_parse(text, id, false, arena, &format, &info);
    if (err)
        fail_msg("%s: %s", text, info.text);
    return format;
}

/* What a field's type keeps of 32 bits. */
static uint32_t keep(enum msgfmt_kind kind, uint32_t v)
{
    return kind == MSGFMT_BYTE  ? (uint8_t)v
           : kind == MSGFMT_U16 ? (uint16_t)v
           : kind == MSGFMT_I16 ? (uint32_t)(int32_t)(int16_t)v
                                : v;
}

static void check_round_trip(const struct board_format *format, struct rng *rng)
{
    int64_t args[MSGFMT_FIELDS_MAX];
    uint8_t data[40], out[MSGFMT_FIELDS_MAX * VLQ_MAX_BYTES + 64];
    size_t count = 0, data_bytes = format->buffer_field >= 0 ? rng_below(rng, sizeof(data)) : 0;
    for (size_t i = 0; i < format->integer_count; i++)
        args[count++] = (int32_t)(rng_u64(rng) >> rng_below(rng, 64));
    for (size_t i = 0; i < data_bytes; i++)
        data[i] = (uint8_t)rng_u64(rng);
    size_t len = msgfmt_encode(format, args, count, data, data_bytes, out, sizeof(out));
    assert_true(len > 0);
    uint32_t value[MSGFMT_FIELDS_MAX];
    const uint8_t *back;
    size_t back_bytes, id_bytes;
    assert_int_equal(msgfmt_peek_id(out, len, &id_bytes), msgfmt_id_number(format));
    assert_true(msgfmt_decode(format, out, len, value, &back, &back_bytes));
    assert_int_equal(back_bytes, data_bytes);
    if (data_bytes)
        assert_memory_equal(back, data, data_bytes);
    for (size_t i = 0, k = 0; i < format->field_count; i++)
        if (format->fields[i].kind != MSGFMT_BUFFER)
            assert_int_equal(value[i], keep(format->fields[i].kind, (uint32_t)args[k++]));
    /* Every proper prefix is refused, and so is a byte too many. */
    for (size_t cut = format->id_len_bytes; cut < len; cut++)
        assert_false(msgfmt_decode(format, out, cut, value, &back, &back_bytes));
    out[len] = 0;
    assert_false(msgfmt_decode(format, out, len + 1, value, &back, &back_bytes));
}

static void test_every_message(void **state)
{
    (void)state;
    size_t len;
    char *tsv = test_read_shared("reference/mcu-messages.tsv", &len);
    if (!tsv)
        skip();
    struct rng rng;
    rng_init(&rng, 20261121);
    struct arena arena;
    arena_init(&arena, 0);
    char *rest = tsv;
    int messages = 0;
    test_next_line(&rest);
    for (char *line; (line = test_next_line(&rest)); messages++) {
        const char *text = test_next_field(&line);
        struct board_format format = parse(&arena, text, (int64_t)rng_below(&rng, 16384) - 4096);
        assert_string_equal(format.text, text);
        for (int i = 0; i < 20; i++)
            check_round_trip(&format, &rng);
    }
    print_message("%d messages\n", messages);
    assert_true(messages == 166);
    arena_deinit(&arena);
    mem_free(tsv);
}

static void test_numbers(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    static const struct {
        int64_t id;
        int number;
    } cases[] = {{0, 0},     {1, 1},         {95, 95},       {-32, 96},   {-1, 127},
                 {128, 128}, {12287, 12287}, {-4096, 12288}, {-33, 16351}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct board_format format = parse(&arena, "x", cases[i].id);
        assert_int_equal(msgfmt_id_number(&format), cases[i].number);
        uint32_t id;
        assert_non_null(vlq_decode(format.id_bytes, format.id_bytes + format.id_len_bytes, &id));
        assert_int_equal((int32_t)id, cases[i].id);
    }
    arena_deinit(&arena);
}

static void test_bad_formats(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " x=%u",
        "x y",
        "x y=",
        "x y=%",
        "x y=%d",
        "x y=%lu",
        "x y=%u z",
        "x  y=%u",
        "x y=%u ",
        "x =%u",
        "x y%u",
        "x a=%u b=%u c=%u d=%u e=%u f=%u g=%u h=%u i=%u j=%u k=%u l=%u m=%u n=%u o=%u p=%u q=%u"};
    struct arena arena;
    arena_init(&arena, 0);
    struct board_format format;
    struct err_info info;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (msgfmt_parse(bad[i], 5, false, &arena, &format, &info) == OK)
            fail_msg("'%s' was accepted", bad[i]);
    assert_int_equal(msgfmt_parse("x", 12288, false, &arena, &format, &info), ERR_INVALID);
    assert_int_equal(msgfmt_parse("x", -4097, false, &arena, &format, &info), ERR_INVALID);
    assert_int_equal(msgfmt_parse("hello %u %s world %hi", 7, true, &arena, &format, &info), OK);
    assert_int_equal(format.field_count, 3);
    char long_text[MSGFMT_TEXT_MAX + 10];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    assert_int_equal(msgfmt_parse(long_text, 5, false, &arena, &format, &info), ERR_LIMIT);
    arena_deinit(&arena);
}

static void test_too_long(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 0);
    struct board_format format = parse(&arena, "spi_send oid=%c data=%*s", 30);
    uint8_t data[80] = {0}, out[FRAME_PAYLOAD_MAX];
    int64_t oid = 1;
    assert_int_equal(msgfmt_encode(&format, &oid, 1, data, 56, out, sizeof(out)), 59);
    assert_int_equal(msgfmt_encode(&format, &oid, 1, data, 57, out, sizeof(out)), 0);
    assert_int_equal(msgfmt_encode(&format, &oid, 1, data, 80, out, sizeof(out)), 0);
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bad_formats),
        cmocka_unit_test(test_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
