/* The log: lines as told, what a full ring and a full disk do to them. */
#include "base/log.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* The file's text. Caller frees. */
static char *read_all(const char *path)
{
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    char *text = mem_alloc(1 << 20);
    text[fread(text, 1, (1 << 20) - 1, f)] = 0;
    assert_int_equal(fclose(f), 0);
    return text;
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void test_lines(void **state)
{
    (void)state;
    char path[] = "/tmp/lockstep-log-XXXXXX";
    assert_int_equal(close(mkstemp(path)), 0);
    for (int threaded = 0; threaded < 2; threaded++) {
        struct log *log = log_create(path, LOG_INFO, false, threaded);
        log_info(log, "test", "a thing", "number=%d", threaded);
        log_debug(log, "test", "not of this level", "x=%d", 1);
        log_destroy(log);
    }
    char *text = read_all(path);
    assert_int_equal(count(text, "\n"), 2); /* appended, not begun anew */
    assert_non_null(strstr(text, "Z info  test: a thing number=0\n"));
    assert_non_null(strstr(text, "Z info  test: a thing number=1\n"));
    assert_int_equal(text[10], 'T');
    mem_free(text);
    assert_int_equal(unlink(path), 0);
}

/* More than the ring holds before anybody looks: the rest is counted, and the file says how much. */
static void test_full_ring(void **state)
{
    (void)state;
    char path[] = "/tmp/lockstep-log-XXXXXX";
    assert_int_equal(close(mkstemp(path)), 0);
    struct log *log = log_create(path, LOG_INFO, false, false);
    for (int i = 0; i < 20000; i++)
        log_info(log, "test", "line", "i=%d", i);
    uint64_t dropped = log_dropped(log);
    assert_true(dropped > 0 && dropped < 20000);
    log_drain(log);
    char *text = read_all(path), *line = mem_sprintf("log: records dropped count=%llu\n", (unsigned long long)dropped);
    assert_non_null(strstr(text, line));
    assert_int_equal(count(text, "test: line"), 20000 - dropped);
    mem_free(line);
    mem_free(text);
    log_destroy(log);
    assert_int_equal(unlink(path), 0);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct log *log = log_create("/dev/full", LOG_INFO, false, false);
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 200; i++) /* more than the stream's buffer */
            log_info(log, "test", "line", "i=%d", i);
        log_drain(log);
        assert_int_equal(log_dropped(log), (uint64_t)round * 200);
    }
    log_destroy(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_full_ring),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
