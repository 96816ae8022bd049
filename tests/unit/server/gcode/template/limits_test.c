/* Templates that ask for too much end with an error that says so, soon, and with bounded memory. */
#include "base/clock.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Renders `source` into `out`; the error's text, or NULL. The text is valid until the next call. */
static const char *render(const char *source, size_t len_bytes, struct strbuf *out, struct err_info *info)
{
    struct jinja *code;
    strbuf_init(out);
    if (jinja_compile(source, len_bytes, &(struct jinja_options){.name = "t"}, &code, info) != OK)
        return info->text;
    struct jinja_run *run = jinja_begin(code, NULL);
    enum err err = jinja_execute(run, out, info);
    jinja_end(run);
    jinja_destroy(code);
    return err == OK ? NULL : info->text;
}

static void expect_error(const char *source, const char *words)
{
    struct strbuf out;
    struct err_info info = {{0}};
    struct host_ns begin = clock_monotonic();
    const char *text = render(source, strlen(source), &out, &info);
    double ms = host_ns_diff_s(clock_monotonic(), begin) * 1e3;
    if (!text || !strstr(text, words))
        fail_msg("%.200s: %s, expected %s", source, text ? text : "no error", words);
    if (ms > 500)
        printf("%.60s took %.0f ms\n", source, ms);
    strbuf_deinit(&out);
}

static void runaways_end(void **unused)
{
    (void)unused;
    expect_error("{% for i in range(1000000000000) %}{% endfor %}", "the template ");
    expect_error("{% for i in range(100000) %}{% for k in range(100000) %}{% endfor %}{% endfor %}", "the template ");
    expect_error("{ range(1000000000000)|list }", "bytes of memory");
    expect_error("{ range(1000000000000)|sum }", "bytes of memory");
    expect_error("{ 'x' * 100000000 }", "bytes of memory");
    expect_error("{ ('x' * 6000000) ~ ('y' * 6000000) }", "bytes of memory");
    expect_error("{ [1] * 100000000 }", "bytes of memory");
    expect_error("{ 'x'|center(1000000000) }", "bytes of memory");
    expect_error("{ 'x'.ljust(1000000000) }", "bytes of memory");
    expect_error("{ '%1000000000d' % 1 }", "");
    expect_error("{ '{:1000000000}'.format(1) }", "");
    expect_error("{% set s = 'ab' * 1000000 %}{ s.replace('', s) }", "the template ");
    expect_error("{% set s = namespace(v='x') %}{% for i in range(60) %}{% set s.v = s.v ~ s.v %}{% endfor %}",
                 "bytes of memory");
    expect_error("{% set l = [1] %}{% for i in l %}{% do l.append(i) %}{% endfor %}", "the template ");
    expect_error("{% macro m() %}{ m() }{% endmacro %}{ m() }", "RecursionError");
    expect_error("{% macro a() %}{ b() }{% endmacro %}{% macro b() %}{ a() }{% endmacro %}{ a() }", "Error");
    expect_error("{% for x in [1] recursive %}{ loop([1]) }{% endfor %}", "RecursionError");
    expect_error("{ 10 ** 100 }", "64 bits");
    expect_error("{ 9223372036854775807 + 1 }", "64 bits");
}

/* `count` times `open`, a middle, `count` times `close`. */
static char *nest(const char *open, const char *middle, const char *close, int count)
{
    struct strbuf sb;
    strbuf_init(&sb);
    for (int i = 0; i < count; i++)
        strbuf_adds(&sb, open);
    strbuf_adds(&sb, middle);
    for (int i = 0; i < count; i++)
        strbuf_adds(&sb, close);
    return strbuf_take(&sb);
}

static void deep_nesting_is_refused(void **unused)
{
    (void)unused;
    static const char *const shapes[][3] = {{"{% if 1 %}", "x", "{% endif %}"},
                                            {"{% for x in [1] %}", "x", "{% endfor %}"},
                                            {"{ (", "1", ") }"},
                                            {"{ [", "1", "] }"},
                                            {"{ not ", "1", " }"},
                                            {"{ -", "1", " }"},
                                            {"{ {1: ", "1", "} }"},
                                            {"{ a if 1 else ", "1", " }"}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const char *open = shapes[i][0], *close = shapes[i][2];
        bool is_expr = open[1] == ' '; /* "{ (": the brace stands once, the rest many times */
        char *body = nest(is_expr ? open + 2 : open, shapes[i][1], is_expr ? "" : close, 5000);
        char *text = is_expr ? mem_sprintf("{ %s }", body) : mem_strdup(body);
        expect_error(text, "nested");
        mem_free(body);
        mem_free(text);
    }
    /* Data nested while it runs. */
    expect_error("{% set n = namespace(v=[]) %}{% for i in range(5000) %}{% set n.v = [n.v] %}{% endfor %}{ n.v }",
                 "Error");
    expect_error("{% set n = namespace(v=[], w=[]) %}{% for i in range(5000) %}{% set n.v = [n.v] %}{% set n.w = [n.w] "
                 "%}{% endfor %}{ n.v == n.w }",
                 "Error");
    expect_error("{% set l = [] %}{% do l.append(l) %}{ l|tojson }", "Error");
}

static void bad_bytes_are_met(void **unused)
{
    (void)unused;
    struct strbuf out;
    struct err_info info = {{0}};
    assert_non_null(strstr(render("a\0b", 3, &out, &info), "zero byte"));
    strbuf_deinit(&out);
    static const char bad[] = "\xff\xfe { '\xc3' ~ '\xe2\x82' }|{ '\xff'|length }|{ '\xf0\x9f'|upper }";
    assert_null(render(bad, sizeof bad - 1, &out, &info));
    assert_non_null(strstr(out.data, "|1|"));
    strbuf_deinit(&out);
    char *large = mem_alloc(JINJA_SOURCE_BYTES_MAX + 2);
    memset(large, 'x', JINJA_SOURCE_BYTES_MAX + 1);
    assert_non_null(strstr(render(large, JINJA_SOURCE_BYTES_MAX + 1, &out, &info), "at most"));
    strbuf_deinit(&out);
    mem_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(runaways_end), cmocka_unit_test(deep_nesting_is_refused),
                                       cmocka_unit_test(bad_bytes_are_met)};
    return cmocka_run_group_tests_name("template limits", tests, NULL, NULL);
}
