#include "base/strbuf.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRBUF_FIRST_BYTES 64

static void reserve(struct strbuf *sb, size_t more_bytes)
{
    CHECK(more_bytes < SIZE_MAX / 2 - sb->len_bytes);
    size_t need = sb->len_bytes + more_bytes + 1;
    if (need <= sb->cap_bytes)
        return;
    size_t cap = sb->cap_bytes ? sb->cap_bytes : STRBUF_FIRST_BYTES;
    while (cap < need)
        cap *= 2;
    sb->data = mem_realloc(sb->data, cap);
    sb->cap_bytes = cap;
}

void strbuf_init(struct strbuf *sb)
{
    *sb = (struct strbuf){0};
    reserve(sb, 0);
    sb->data[0] = 0;
}

void strbuf_deinit(struct strbuf *sb)
{
    mem_free(sb->data);
    *sb = (struct strbuf){0};
}

void strbuf_clear(struct strbuf *sb)
{
    sb->len_bytes = 0;
    if (sb->data)
        sb->data[0] = 0;
}

void strbuf_add(struct strbuf *sb, const char *data, size_t len_bytes)
{
    reserve(sb, len_bytes);
    if (len_bytes)
        memcpy(sb->data + sb->len_bytes, data, len_bytes);
    sb->len_bytes += len_bytes;
    sb->data[sb->len_bytes] = 0;
}

void strbuf_adds(struct strbuf *sb, const char *text)
{
    strbuf_add(sb, text, strlen(text));
}

void strbuf_addc(struct strbuf *sb, char c)
{
    strbuf_add(sb, &c, 1);
}

void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    CHECK(len >= 0);
    reserve(sb, (size_t)len);
    (void)vsnprintf(sb->data + sb->len_bytes, (size_t)len + 1, fmt, again);
    va_end(again);
    sb->len_bytes += (size_t)len;
}

void strbuf_addf(struct strbuf *sb, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    strbuf_vaddf(sb, fmt, args);
    va_end(args);
}

char *strbuf_take(struct strbuf *sb)
{
    reserve(sb, 0);
    char *text = sb->data;
    text[sb->len_bytes] = 0;
    *sb = (struct strbuf){0};
    return text;
}

static void add_json_escape(struct strbuf *sb, unsigned char c)
{
    switch (c) {
    case '"':
        strbuf_add(sb, "\\\"", 2);
        break;
    case '\\':
        strbuf_add(sb, "\\\\", 2);
        break;
    case '\n':
        strbuf_add(sb, "\\n", 2);
        break;
    case '\r':
        strbuf_add(sb, "\\r", 2);
        break;
    case '\t':
        strbuf_add(sb, "\\t", 2);
        break;
    default:
        strbuf_addf(sb, "\\u%04x", c);
    }
}

void strbuf_add_json_string(struct strbuf *sb, const char *text, size_t len_bytes)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + len_bytes, *plain = p;
    strbuf_addc(sb, '"');
    while (p < end) {
        size_t len = utf8_sequence(p, (size_t)(end - p));
        if (len && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f) {
            p += len;
            continue;
        }
        strbuf_add(sb, (const char *)plain, (size_t)(p - plain));
        if (len)
            add_json_escape(sb, *p);
        else
            strbuf_add(sb, "\xef\xbf\xbd", 3);
        plain = ++p;
    }
    strbuf_add(sb, (const char *)plain, (size_t)(p - plain));
    strbuf_addc(sb, '"');
}

void strbuf_add_json_double(struct strbuf *sb, double value)
{
    if (!isfinite(value)) {
        strbuf_adds(sb, "null");
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    strbuf_adds(sb, text);
    if (!strpbrk(text, ".e"))
        strbuf_adds(sb, ".0");
}
