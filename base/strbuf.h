/* A growing text buffer. Always ends in a zero that is not counted. */
#ifndef BASE_STRBUF_H
#define BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

struct strbuf {
    char *data; /* never NULL after the first append or strbuf_init */
    size_t len_bytes, cap_bytes;
};

void strbuf_init(struct strbuf *sb);
void strbuf_deinit(struct strbuf *sb);
void strbuf_clear(struct strbuf *sb);
void strbuf_add(struct strbuf *sb, const char *data, size_t len_bytes);
void strbuf_adds(struct strbuf *sb, const char *text);
void strbuf_addc(struct strbuf *sb, char c);
void strbuf_addf(struct strbuf *sb, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_vaddf(struct strbuf *sb, const char *fmt, va_list args);
/* The text; the caller frees it with mem_free. The buffer is empty afterwards. */
char *strbuf_take(struct strbuf *sb);

/* Append `text` as a JSON string with quotes. Bytes that are not UTF-8 become U+FFFD. */
void strbuf_add_json_string(struct strbuf *sb, const char *text, size_t len_bytes);
/* Append a JSON number; NaN and infinities become null. Shortest text that reads back to the same double; whole numbers
 * keep ".0" as Python prints them. */
void strbuf_add_json_double(struct strbuf *sb, double value);

#endif
