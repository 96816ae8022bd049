/* Reading the shared test data: whole files and tab-separated lines. */
#ifndef TESTS_UNIT_MOTION_LINK_TEST_FILES_H
#define TESTS_UNIT_MOTION_LINK_TEST_FILES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"

/* The whole file, zero-terminated, or NULL if there is none. The caller frees it. */
static inline char *test_read_file(const char *path, size_t *len_bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    rewind(f);
    char *data = mem_alloc(size + 1);
    *len_bytes = fread(data, 1, size, f);
    fclose(f);
    assert_int_equal(*len_bytes, size);
    return data;
}

static inline char *test_read_shared(const char *name, size_t *len_bytes)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%.400s", TEST_SHARED_DIR, name);
    return test_read_file(path, len_bytes);
}

/* Cut the next line off *rest; NULL at the end. */
static inline char *test_next_line(char **rest)
{
    char *line = *rest;
    if (!line || !*line)
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : NULL;
    if (end)
        *end = 0;
    return line;
}

/* Cut the next tab-separated field off *rest. */
static inline char *test_next_field(char **rest)
{
    char *field = *rest;
    if (!field)
        return NULL;
    char *tab = strchr(field, '\t');
    *rest = tab ? tab + 1 : NULL;
    if (tab)
        *tab = 0;
    return field;
}

static inline size_t test_from_hex(const char *hex, uint8_t *out, size_t cap_bytes)
{
    size_t n = 0;
    unsigned byte;
    for (; sscanf(hex + 2 * n, "%2x", &byte) == 1 && hex[2 * n] && hex[2 * n + 1]; n++) {
        assert_true(n < cap_bytes);
        out[n] = (uint8_t)byte;
    }
    return n;
}

#endif
