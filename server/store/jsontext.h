/* JSON text to trees and back: jansson with a depth limit on the way in and short numbers on the way out. */
#ifndef STORE_JSONTEXT_H
#define STORE_JSONTEXT_H

#include "base/err.h"
#include "base/strbuf.h"

#include <jansson.h>
#include <stddef.h>

/* Parse `len_bytes` of text. ERR_LIMIT: nested deeper than `depth_max` (found before anything is built); ERR_INVALID:
 * not JSON; the text says where. Any value is allowed at the top. */
enum err jsontext_parse(const char *text, size_t len_bytes, unsigned depth_max, json_t **out, struct err_info *info)
    ERR_NODISCARD;

/* Append `value` as JSON text: members in their order, numbers in the shortest form that reads back the same. */
void jsontext_add(struct strbuf *out, const json_t *value);

/* Append ,"key": or "key": if the buffer ends in '{' or is empty. */
void jsontext_key(struct strbuf *out, const char *key);

#endif
