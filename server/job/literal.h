/* Literals of the Python language, as macro variables are written: numbers, texts, True, False, None, lists, tuples and
 * dicts of them. Pure; any thread. */
#ifndef SERVER_JOB_LITERAL_H
#define SERVER_JOB_LITERAL_H

#include "base/err.h"

#include <stddef.h>

struct strbuf;

#define LITERAL_DEPTH_MAX 64
#define LITERAL_BYTES_MAX (1u << 20)

/* Read one literal that takes up all of `text` and append the JSON that Python's json.dumps makes of it (tuples become
 * arrays). ERR_INVALID: no literal; `info` says what and at which character. ERR_LIMIT: too deep or too long. On
 * failure nothing is appended. */
enum err literal_to_json(const char *text, size_t len_bytes, struct strbuf *json, struct err_info *info) ERR_NODISCARD;

#endif
