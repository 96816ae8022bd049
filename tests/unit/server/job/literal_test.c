/* Python literals against what Python's json.dumps(ast.literal_eval(x)) gives, and against what is no literal. */
#include "server/job/literal.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct {
    const char *text, *json;
} good[] = {
    {"1", "1"},
    {"-1", "-1"},
    {"+ 7", "7"},
    {"--3", "3"},
    {"-0", "0"},
    {"007", "7"},
    {"1_000", "1000"},
    {"0x1F", "31"},
    {"123456789012345678901234567890", "123456789012345678901234567890"},
    {"1.0", "1.0"},
    {".5", "0.5"},
    {"1e5", "100000.0"},
    {"-2.5e-3", "-0.0025"},
    {"True", "true"},
    {"False", "false"},
    {"None", "null"},
    {"'a'", "\"a\""},
    {"\"it's\"", "\"it's\""},
    {"'it\\'s'", "\"it's\""},
    {"'a' 'b'", "\"ab\""},
    {"r'\\n'", "\"\\\\n\""},
    {"'\\x41\\u00e9'", "\"A\xc3\xa9\""},
    {"'''two\nlines'''", "\"two\\nlines\""},
    {"[]", "[]"},
    {"[1, 2,]", "[1, 2]"},
    {"()", "[]"},
    {"(1,)", "[1]"},
    {"(1)", "1"},
    {"((1, 2), [3])", "[[1, 2], [3]]"},
    {"1, 2", "[1, 2]"},
    {"1,", "[1]"},
    {"{}", "{}"},
    {"{'a': 1, 2: 'x', None: True, 1.5: []}", "{\"a\": 1, \"2\": \"x\", \"null\": true, \"1.5\": []}"},
    {" { 'x' : { 'y' : (0, 1) } } ", "{\"x\": {\"y\": [0, 1]}}"},
};

static const char *const bad[] = {
    "",      " ",       "abc",       "true",  "1 2", "[1 2]",     "[1",  "(,)",
    "{'a'}", "{'a': }", "{[1]: 2}",  "'open", "-",   "-'a'",      "1x",  "0x",
    "..",    "'\\xg0'", "'\\ud800'", "[,]",   "1)",  "{1:2 3:4}", "nan", "__import__('os')",
};

static void literals_become_json(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct strbuf json;
        struct err_info info = {{0}};
        strbuf_init(&json);
        if (literal_to_json(good[i].text, strlen(good[i].text), &json, &info))
            fail_msg("%s: %s", good[i].text, info.text);
        assert_string_equal(json.data, good[i].json);
        strbuf_deinit(&json);
    }
}

static void others_are_refused_and_leave_nothing(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct strbuf json;
        struct err_info info = {{0}};
        strbuf_init(&json);
        strbuf_adds(&json, "kept");
        if (literal_to_json(bad[i], strlen(bad[i]), &json, &info) == OK)
            fail_msg("\"%s\" became %s", bad[i], json.data);
        assert_string_equal(json.data, "kept");
        assert_true(info.text[0] != '\0');
        strbuf_deinit(&json);
    }
}

static void depth_is_bounded(void **unused)
{
    (void)unused;
    char deep[10000];
    memset(deep, '[', sizeof(deep));
    struct strbuf json;
    struct err_info info;
    strbuf_init(&json);
    assert_int_equal(literal_to_json(deep, sizeof(deep), &json, &info), ERR_LIMIT);
    strbuf_deinit(&json);
}

/* Random bytes of the language's alphabet: never a crash, and what is taken is taken again from its own JSON words. */
static void random_text_is_harmless(void **unused)
{
    (void)unused;
    const uint64_t seed = 99;
    print_message("seed %llu\n", (unsigned long long)seed);
    static const char alphabet[] = "[](){},:'\"\\ 0123456789.eE+-xTrueFalsNon_\n";
    struct rng rng;
    rng_init(&rng, seed);
    size_t taken = 0;
    for (int i = 0; i < 100000; i++) {
        char text[24];
        size_t len = rng_below(&rng, sizeof(text));
        for (size_t k = 0; k < len; k++)
            text[k] = alphabet[rng_below(&rng, sizeof(alphabet) - 1)];
        struct strbuf json;
        struct err_info info;
        strbuf_init(&json);
        taken += literal_to_json(text, len, &json, &info) == OK;
        strbuf_deinit(&json);
    }
    assert_true(taken > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_become_json),
        cmocka_unit_test(others_are_refused_and_leave_nothing),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(random_text_is_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
