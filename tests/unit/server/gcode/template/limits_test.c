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
static const char *render_with(const char *source, size_t len_bytes, uint64_t steps_max, struct strbuf *out,
                               struct err_info *info)
{
    struct jinja *code;
    strbuf_init(out);
    if (jinja_compile(source, len_bytes, &(struct jinja_options){.name = "t"}, &code, info) != OK)
        return info->text;
    struct jinja_run *run = jinja_begin(code, &(struct jinja_limits){.steps_max = steps_max});
    enum err err = jinja_execute(run, out, info);
    jinja_end(run);
    jinja_destroy(code);
    return err == OK ? NULL : info->text;
}

static const char *render(const char *source, size_t len_bytes, struct strbuf *out, struct err_info *info)
{
    return render_with(source, len_bytes, 0, out, info);
}

static void expect_error_in(const char *source, uint64_t steps_max, const char *words)
{
    struct strbuf out;
    struct err_info info = {{0}};
    struct host_ns begin = clock_monotonic();
    const char *text = render_with(source, strlen(source), steps_max, &out, &info);
    double ms = host_ns_diff_s(clock_monotonic(), begin) * 1e3;
    if (!text || !strstr(text, words))
        fail_msg("%.200s: %s, expected %s", source, text ? text : "no error", words);
    if (ms > 1000)
        printf("%.400s took %.0f ms\n", source, ms);
    strbuf_deinit(&out);
}

static void expect_error(const char *source, const char *words)
{
    expect_error_in(source, 0, words);
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
    /* Cheap to write, long to do: what goes through a large value costs steps by its size. */
    static const char *const uses[] = {"'b' in s",
                                       "s == t",
                                       "s < t",
                                       "d[s]",
                                       "s.count('b')",
                                       "s.rfind('b')",
                                       "s is lower",
                                       "s.isalpha()",
                                       "s|wordcount",
                                       "s.strip('ab')",
                                       "l.reverse()",
                                       "l.insert(0, 1)",
                                       "l.pop(0)",
                                       "s.startswith(t)",
                                       "u[-1]",
                                       "u[::-2]",
                                       "d.popitem()",
                                       "l.count(7)",
                                       "(s|e).find('b')",
                                       "h|striptags",
                                       "s|urlize|length",
                                       "s.encode()|length",
                                       "s.translate({})|length",
                                       "s|int",
                                       "5 in l",
                                       "l|max",
                                       "l|first",
                                       "s|trim('ab')"};
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        char *text = mem_sprintf(
            "{%% set s = 'a' * 1000000 %%}{%% set t = 'a' * 1000000 %%}{%% set u = 'é' * 500000 %%}"
            "{%% set h = '<' * 500000 %%}{%% set l = [0] * 60000 %%}{%% set d = dict.fromkeys(range(20000)) %%}"
            "{%% for i in range(100000) %%}{%% for k in range(100000) %%}{%% if %s %%}{%% endif %%}"
            "{%% endfor %%}{%% endfor %%}",
            uses[i]);
        expect_error_in(text, 200000, "the template "); /* far less than the default, to keep this short */
        mem_free(text);
    }
    expect_error("{ ('a' * 3000000).rfind('a' * 1500000 ~ 'ba') } { ('a' * 3000000).rfind('a' ~ 'b' ~ 'a' * 1500000) }",
                 "steps");
    expect_error("{ ('a' * 4000000).strip('b' * 3000000 ~ 'a') }", "steps");
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

/* A megabyte of source compiles, or is refused, soon: no part of the compiler takes the square of its length. */
static void long_sources_compile_soon(void **unused)
{
    (void)unused;
    static const char *const parts[] = {"{v%d}",
                                        "{%% set v%d = 1 %%}",
                                        "{'%d'}",
                                        "{%% if v%d %%}a{%% endif %%}",
                                        "{# %d #}",
                                        "{v|join(%d)}",
                                        "{%% macro m%d() %%}{%% endmacro %%}"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct strbuf source;
        struct err_info info;
        struct jinja *code;
        strbuf_init(&source);
        for (int n = 0; source.len_bytes < JINJA_SOURCE_BYTES_MAX - 100; n++)
            strbuf_addf(&source, parts[i], n);
        struct host_ns begin = clock_monotonic();
        assert_int_equal(
            jinja_compile(source.data, source.len_bytes, &(struct jinja_options){.name = "t"}, &code, &info), OK);
        double ms = host_ns_diff_s(clock_monotonic(), begin) * 1e3;
        if (ms > 500)
            printf("%s: %.0f ms\n", parts[i], ms);
        assert_true(ms < 20e3);
        jinja_destroy(code);
        strbuf_deinit(&source);
    }
    char *ifs = nest(" a if", " a", "", 5000);
    char *text = mem_sprintf("{%s }", ifs);
    expect_error(text, "conditions in a row");
    mem_free(ifs);
    mem_free(text);
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
                                       cmocka_unit_test(long_sources_compile_soon),
                                       cmocka_unit_test(bad_bytes_are_met)};
    return cmocka_run_group_tests_name("template limits", tests, NULL, NULL);
}
