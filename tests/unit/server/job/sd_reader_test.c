/* The print file reader against whole-file splitting, and against files nobody should print. */
#include "server/job/sd_reader.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "base/worker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define CHANGED_LINES 200000 /* far more than is read ahead */

struct file {
    char path[64];
    struct sd_reader *reader;
    struct worker *worker; /* NULL: fills read at once */
    struct worker_calls calls;
    struct actor owner; /* never driven: these tests look themselves whether something has come */
};

static void put(const char *path, const char *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

static int setup(void **state)
{
    struct file *f = MEM_NEW(struct file);
    strcpy(f->path, "/tmp/lockstep_sd_XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    close(fd);
    *state = f;
    return 0;
}

static int setup_with_worker(void **state)
{
    (void)setup(state);
    struct file *f = *state;
    f->worker = worker_create("disk", 64, 0, 0);
    worker_calls_init(&f->calls, f->worker, &f->owner);
    return 0;
}

static int teardown(void **state)
{
    struct file *f = *state;
    sd_reader_close(f->reader);
    worker_destroy(f->worker);
    unlink(f->path);
    mem_free(f);
    return 0;
}

static void open_with(struct file *f, const char *data, size_t len)
{
    sd_reader_close(f->reader);
    f->reader = NULL;
    put(f->path, data, len);
    struct err_info info;
    assert_int_equal(sd_reader_open(&f->reader, f->path, &info), OK);
    assert_int_equal(sd_reader_size_bytes(f->reader), len);
    if (f->worker)
        sd_reader_use(f->reader, &f->calls);
}

static enum err next(struct file *f, struct sd_line *line, struct err_info *info)
{
    for (int i = 0; i < 100000; i++) {
        enum err err = sd_reader_next(f->reader, line, info);
        if (err != ERR_AGAIN)
            return err;
        bool has_come = sd_reader_fill(f->reader);
        assert_true(has_come || f->worker);
        if (!has_come)
            usleep(100);
        if (f->worker)
            worker_calls_poll(&f->calls);
    }
    fail_msg("100000 fills without a line");
    return ERR_AGAIN;
}

static void expect(struct file *f, const char *text, uint64_t offset, uint64_t end)
{
    struct sd_line line;
    struct err_info info = {{0}};
    assert_int_equal(next(f, &line, &info), OK);
    assert_string_equal(line.text, text);
    assert_int_equal(line.len_bytes, strlen(text));
    assert_int_equal(line.offset_bytes, offset);
    assert_int_equal(line.end_bytes, end);
}

static void expect_error(struct file *f, enum err want, const char *word)
{
    struct sd_line line;
    struct err_info info = {{0}};
    assert_int_equal(next(f, &line, &info), want);
    if (word && !strstr(info.text, word))
        fail_msg("\"%s\" lacks \"%s\"", info.text, word);
    /* it stays */
    assert_int_equal(next(f, &line, &info), want);
}

static void line_ends_and_offsets(void **state)
{
    struct file *f = *state;
    static const char text[] = "G28\r\n\nG1 X1\n  ; note\r\r\nM84";
    open_with(f, text, sizeof(text) - 1);
    expect(f, "G28", 0, 5);
    expect(f, "", 5, 6);
    expect(f, "G1 X1", 6, 12);
    expect(f, "  ; note\r", 12, 23);
    expect(f, "M84", 23, 26);
    expect_error(f, ERR_CLOSED, NULL);
    sd_reader_seek(f->reader, 6);
    expect(f, "G1 X1", 6, 12);
    sd_reader_seek(f->reader, 1000);
    expect_error(f, ERR_CLOSED, NULL);
}

static void empty_file(void **state)
{
    open_with(*state, "", 0);
    expect_error(*state, ERR_CLOSED, NULL);
}

/* Random files, split by the reader and by memchr over the whole text. */
static void agrees_with_whole_file_splitting(void **state)
{
    struct file *f = *state;
    const uint64_t seed = 4711;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    for (int round = 0; round < 20; round++) {
        size_t len = (size_t)rng_below(&rng, 400000);
        char *data = MEM_ARRAY(char, len + 1);
        uint64_t mean = 1 + rng_below(&rng, 3000);
        for (size_t i = 0; i < len; i++)
            data[i] = rng_below(&rng, mean) == 0 ? '\n' : (char)('A' + rng_below(&rng, 26));
        open_with(f, data, len);
        size_t at = 0;
        while (at < len) {
            const char *nl = memchr(data + at, '\n', len - at);
            size_t line_len = nl ? (size_t)(nl - data) - at : len - at;
            struct sd_line line;
            struct err_info info = {{0}};
            if (rng_below(&rng, 50) == 0)
                sd_reader_fill(f->reader);
            assert_int_equal(next(f, &line, &info), OK);
            assert_int_equal(line.offset_bytes, at);
            assert_int_equal(line.len_bytes, line_len);
            assert_memory_equal(line.text, data + at, line_len);
            at += line_len + (nl ? 1 : 0);
            assert_int_equal(line.end_bytes, at);
        }
        expect_error(f, ERR_CLOSED, NULL);
        mem_free(data);
    }
}

static void zero_bytes_are_named(void **state)
{
    static const char text[] = "G28\nG1 \0X1\nM84\n";
    open_with(*state, text, sizeof(text) - 1);
    expect(*state, "G28", 0, 4);
    expect_error(*state, ERR_INVALID, "offset 7");
}

static void oversized_lines(void **state)
{
    struct file *f = *state;
    const size_t big = 1000000;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "G28\n ;");
    for (size_t i = 0; i < big; i++)
        strbuf_addc(&text, 'c');
    strbuf_adds(&text, "\nG1 X1\n");
    open_with(f, text.data, text.len_bytes);
    expect(f, "G28", 0, 4);
    expect(f, "G1 X1", 7 + big, 13 + big); /* the comment is passed over */
    expect_error(f, ERR_CLOSED, NULL);

    text.data[5] = 'M'; /* now it is no comment */
    open_with(f, text.data, text.len_bytes);
    expect(f, "G28", 0, 4);
    expect_error(f, ERR_LIMIT, "offset 4");

    strbuf_clear(&text); /* the longest allowed, and an endless comment as the last line */
    for (size_t i = 0; i < SD_LINE_MAX; i++)
        strbuf_addc(&text, 'M');
    strbuf_adds(&text, "\n;");
    for (size_t i = 0; i < big; i++)
        strbuf_addc(&text, 'c');
    open_with(f, text.data, text.len_bytes);
    struct sd_line line;
    struct err_info info;
    assert_int_equal(next(f, &line, &info), OK);
    assert_int_equal(line.len_bytes, SD_LINE_MAX);
    expect_error(f, ERR_CLOSED, NULL);
    strbuf_deinit(&text);
}

static void changes_while_printing(void **state)
{
    struct file *f = *state;
    struct strbuf text;
    strbuf_init(&text);
    for (int i = 0; i < CHANGED_LINES; i++)
        strbuf_addf(&text, "G1 X%d\n", i % 100);
    open_with(f, text.data, text.len_bytes);
    expect(f, "G1 X0", 0, 6);
    assert_int_equal(truncate(f->path, 600000), 0);
    struct sd_line line;
    struct err_info info = {{0}};
    enum err err;
    while ((err = next(f, &line, &info)) == OK)
        ;
    assert_int_equal(err, ERR_IO);
    assert_non_null(strstr(info.text, "shorter"));

    open_with(f, text.data, text.len_bytes); /* deleted: what is open can be read to the end */
    expect(f, "G1 X0", 0, 6);
    assert_int_equal(unlink(f->path), 0);
    size_t count = 1;
    while ((err = next(f, &line, &info)) == OK)
        count++;
    assert_int_equal(err, ERR_CLOSED);
    assert_int_equal(count, CHANGED_LINES);
    strbuf_deinit(&text);
}

static void refuses_what_is_no_file(void **state)
{
    struct file *f = *state;
    struct err_info info;
    assert_int_equal(sd_reader_open(&f->reader, "/tmp", &info), ERR_INVALID);
    assert_int_equal(sd_reader_open(&f->reader, "/tmp/lockstep_no_such_file", &info), ERR_NOT_FOUND);
    unlink(f->path);
    assert_int_equal(mkfifo(f->path, 0600), 0);
    assert_int_equal(sd_reader_open(&f->reader, f->path, &info), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(line_ends_and_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(empty_file, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_whole_file_splitting, setup, teardown),
        cmocka_unit_test_setup_teardown(zero_bytes_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(oversized_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_while_printing, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_is_no_file, setup, teardown),
        {"line_ends_and_offsets_with_worker", line_ends_and_offsets, setup_with_worker, teardown, NULL},
        {"empty_file_with_worker", empty_file, setup_with_worker, teardown, NULL},
        {"agrees_with_whole_file_splitting_with_worker", agrees_with_whole_file_splitting, setup_with_worker, teardown, NULL},
        {"zero_bytes_are_named_with_worker", zero_bytes_are_named, setup_with_worker, teardown, NULL},
        {"oversized_lines_with_worker", oversized_lines, setup_with_worker, teardown, NULL},
        {"changes_while_printing_with_worker", changes_while_printing, setup_with_worker, teardown, NULL},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
