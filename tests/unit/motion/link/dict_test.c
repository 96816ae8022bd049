#include "test_files.h"

#include "base/rng.h"
#include "base/strbuf.h"
#include "motion/link/dict.h"

#include <dirent.h>
#include <zlib.h>

static struct dict *parse_ok(const char *json)
{
    struct dict *dict;
    struct err_info info;
    enum err err = dict_parse_json(json, strlen(json), &dict, &info);
    if (err)
        fail_msg("%s", info.text);
    return dict;
}

static size_t deflate_text(const char *text, size_t len, uint8_t **out)
{
    uLongf size = compressBound(len);
    *out = mem_alloc(size);
    assert_int_equal(compress2(*out, &size, (const Bytef *)text, len, 9), Z_OK);
    return size;
}

struct pin_count {
    const struct dict *dict;
    int index;
    size_t count;
};

static void count_pin(void *ctx, const char *name, int32_t value)
{
    struct pin_count *p = ctx;
    int32_t back;
    char scratch[64];
    assert_true(dict_enum_value(p->dict, p->index, name, &back));
    assert_int_equal(back, value);
    assert_non_null(dict_enum_name(p->dict, p->index, value, scratch));
    p->count++;
}

static void check_dict(const char *name, const char *json, size_t len)
{
    struct dict *dict;
    struct err_info info;
    if (dict_parse_json(json, len, &dict, &info) != OK)
        fail_msg("%s: %s", name, info.text);
    uint8_t *blob;
    size_t blob_bytes = deflate_text(json, len, &blob);
    struct dict *again;
    assert_int_equal(dict_parse_blob(blob, blob_bytes, &again, &info), OK);
    assert_string_equal(dict_version(dict), dict_version(again));
    assert_int_equal(dict_constant_count(dict), dict_constant_count(again));
    assert_true(dict_constant(dict, "CLOCK_FREQ")->number > 1e6);
    assert_non_null(dict_command(dict, "queue_step oid=%c interval=%u count=%hu add=%hi"));
    assert_non_null(dict_response(dict, "clock clock=%u"));
    assert_null(dict_command(dict, "queue_step oid=%c interval=%u"));
    assert_non_null(dict_command_named(dict, "queue_step"));
    struct pin_count pins = {.dict = dict, .index = dict_enum(dict, "pin")};
    assert_true(pins.index >= 0);
    dict_enum_each(dict, pins.index, count_pin, &pins);
    assert_true(pins.count >= 20);
    dict_destroy(again);
    dict_destroy(dict);
    mem_free(blob);
}

static void test_all_dictionaries(void **state)
{
    (void)state;
    DIR *dir = opendir(TEST_SHARED_DIR "/dicts");
    if (!dir)
        skip();
    int count = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, ".dict"))
            continue;
        char path[512];
        snprintf(path, sizeof(path), "dicts/%.200s", e->d_name);
        size_t len = 0;
        char *json = test_read_shared(path, &len);
        check_dict(e->d_name, json, len);
        mem_free(json);
        count++;
    }
    closedir(dir);
    print_message("%d dictionaries\n", count);
    assert_int_equal(count, 31);
}

#define BASE                                                                                                           \
    "\"commands\":{\"identify offset=%u count=%c\":1,\"set pin=%u value=%c\":5,\"send oid=%c data=%*s\":-32},"         \
    "\"responses\":{\"identify_response offset=%u data=%.*s\":0}"

static void test_text(void **state)
{
    (void)state;
    struct dict *dict = parse_ok("{" BASE ",\"enumerations\":{\"pin\":{\"PA0\":[10,8],\"LED\":300}}}");
    uint8_t out[59];
    size_t len = 0;
    struct err_info info;
    assert_int_equal(dict_encode_text(dict, "set pin=PA7 value=1", out, sizeof(out), &len, &info), OK);
    assert_memory_equal(out, "\x05\x11\x01", 3);
    assert_int_equal(dict_encode_text(dict, "set value=0x1f pin=LED", out, sizeof(out), &len, &info), OK);
    assert_memory_equal(out, "\x05\x82\x2c\x1f", 4);
    assert_int_equal(dict_encode_text(dict, "send oid=2 data=00ff7E", out, sizeof(out), &len, &info), OK);
    assert_memory_equal(out, "\x60\x02\x03\x00\xff\x7e", 6);
    static const char *const bad[] = {
        "set pin=PA8 value=1",
        "set pin=PA07 value=1",
        "set pin=PA value=1",
        "set pin=10 value=1",
        "set pin=PA1",
        "set pin=PA1 value=1 value=1",
        "set pin=PA1 value=",
        "set pin=PA1 value=1x",
        "set pin=PA1 value=4294967296",
        "set pin=PA1 value=-2147483649",
        "set pin=PA1 valu=1",
        "set PA1",
        "nothing",
        "",
        "send oid=1 data=0",
        "send oid=1 data=zz",
        "send oid=1 "
        "data=00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (dict_encode_text(dict, bad[i], out, sizeof(out), &len, &info) == OK)
            fail_msg("'%s' was accepted", bad[i]);
    assert_int_equal(dict_encode_text(dict, "set pin=PA8 value=1", out, sizeof(out), &len, &info), ERR_NOT_FOUND);
    assert_string_equal(info.text, "Unknown value 'PA8' in enumeration 'pin'");
    dict_destroy(dict);
}

static void test_lies(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "3",
                                      "\"x\"",
                                      "{",
                                      "{}x",
                                      "nul",
                                      "{\"commands\":[]}",
                                      "{\"commands\":{\"a\":\"b\"}}",
                                      "{\"commands\":{\"a\":1.5}}",
                                      "{\"commands\":{\"a\":99999}}",
                                      "{\"commands\":{\"a\":123456789012345678901}}",
                                      "{\"commands\":{\"a x\":1}}",
                                      "{\"commands\":{\"a\":5,\"b\":5}}",
                                      "{\"commands\":{\"a\":5},\"responses\":{\"b\":5}}",
                                      "{\"commands\":{\"a\":5},\"output\":{\"b\":5}}",
                                      "{\"commands\":{\"a\":5,\"a\":6}}",
                                      "{\"commands\":{\"a\":5,\"a x=%u\":6}}",
                                      "{\"config\":{\"A\":null}}",
                                      "{\"config\":{\"A\":{}}}",
                                      "{\"config\":{\"\":1}}",
                                      "{\"config\":7}",
                                      "{\"version\":7}",
                                      "{\"enumerations\":{\"pin\":3}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":[1]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":[1,0]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":[1,-5]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":[1,70000]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":[2147483647,2]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA\":[1,2]}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":\"1\"}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA0\":5000000000}}}",
                                      "{\"enumerations\":{\"pin\":{\"PA1234567\":[0,2]}}}",
                                      "{\"a\":[[[[[[[[[[[[1]]]]]]]]]]]]}",
                                      "{\"a\":\"\xff\"}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dict *dict;
        struct err_info info = {{0}};
        if (dict_parse_json(bad[i], strlen(bad[i]), &dict, &info) == OK)
            fail_msg("'%s' was accepted", bad[i]);
        assert_true(info.text[0]);
    }
}

/* 10,000 levels, on the small stack of a test that would notice recursion only under a sanitizer: the depth is refused
 * before the parser sees it. */
static void test_deep(void **state)
{
    (void)state;
    char *json = mem_alloc(20001);
    memset(json, '[', 10000);
    memset(json + 10000, ']', 10000);
    struct dict *dict;
    struct err_info info;
    assert_int_equal(dict_parse_json(json, 20000, &dict, &info), ERR_LIMIT);
    mem_free(json);
}

static void test_too_many(void **state)
{
    (void)state;
    struct strbuf sb;
    strbuf_init(&sb);
    strbuf_adds(&sb, "{\"config\":{\"A0\":0");
    for (int i = 1; i <= DICT_CONSTANTS_MAX; i++)
        strbuf_addf(&sb, ",\"A%d\":0", i);
    strbuf_adds(&sb, "}}");
    struct dict *dict;
    struct err_info info;
    assert_int_equal(dict_parse_json(sb.data, sb.len_bytes, &dict, &info), ERR_LIMIT);
    strbuf_deinit(&sb);
}

static void test_blobs(void **state)
{
    (void)state;
    struct dict *dict;
    struct err_info info;
    assert_int_equal(dict_parse_blob((const uint8_t *)"", 0, &dict, &info), ERR_INVALID);
    assert_int_equal(dict_parse_blob((const uint8_t *)"hello world", 11, &dict, &info), ERR_INVALID);
    /* A bomb: 40 MiB of blanks in 40 KiB. */
    size_t size = 40u * 1024 * 1024;
    char *big = mem_alloc(size);
    memset(big, ' ', size);
    uint8_t *blob;
    size_t blob_bytes = deflate_text(big, size, &blob);
    assert_int_equal(dict_parse_blob(blob, blob_bytes, &dict, &info), ERR_LIMIT);
    mem_free(blob);
    mem_free(big);
    /* Every cut of a good one. */
    const char *json = "{" BASE "}";
    blob_bytes = deflate_text(json, strlen(json), &blob);
    for (size_t cut = 0; cut < blob_bytes; cut++)
        assert_int_not_equal(dict_parse_blob(blob, cut, &dict, &info), OK);
    assert_int_equal(dict_parse_blob(blob, blob_bytes, &dict, &info), OK);
    dict_destroy(dict);
    mem_free(blob);
}

/* Random damage to real dictionaries: whatever comes, it is an error or a dictionary, and nothing is overrun. */
static void test_fuzz(void **state)
{
    (void)state;
    size_t len = 0;
    char *json = test_read_shared("dicts/linuxprocess.dict", &len);
    if (!json)
        skip();
    struct rng rng;
    uint64_t seed = 7;
    rng_init(&rng, seed);
    static const char interesting[] = "{}[]\",:-0123456789%=* .e\\\n";
    int accepted = 0;
    for (int round = 0; round < 150; round++) {
        char *copy = mem_alloc(len);
        memcpy(copy, json, len);
        size_t used = len;
        for (uint64_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
            size_t at = rng_below(&rng, used);
            if (rng_below(&rng, 8) == 0)
                used = at + 1;
            else if (rng_below(&rng, 2) == 0)
                copy[at] = interesting[rng_below(&rng, sizeof(interesting) - 1)];
            else if (used > 200)
                memmove(copy + rng_below(&rng, used - 64), copy + rng_below(&rng, used - 64), rng_below(&rng, 64));
        }
        struct dict *dict;
        struct err_info info;
        uint8_t *blob;
        size_t blob_bytes = deflate_text(copy, used, &blob);
        if (round % 3 == 0)
            blob[rng_below(&rng, blob_bytes)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        if (dict_parse_blob(blob, blob_bytes, &dict, &info) == OK) {
            accepted++;
            dict_destroy(dict);
        }
        mem_free(blob);
        mem_free(copy);
    }
    print_message("seed %llu: %d of 150 damaged dictionaries still made sense\n", (unsigned long long)seed, accepted);
    mem_free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_dictionaries),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_blobs),
        cmocka_unit_test(test_fuzz),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
