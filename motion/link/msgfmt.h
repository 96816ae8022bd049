/* Message formats: the text in a board's dictionary ("queue_step oid=%c interval=%u ..."), parsed once into a compact
 * descriptor that encodes and decodes without looking at the text again. Pure; any thread. */
#ifndef MOTION_LINK_MSGFMT_H
#define MOTION_LINK_MSGFMT_H

#include "base/err.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MSGFMT_FIELDS_MAX 16
#define MSGFMT_TEXT_MAX   512 /* [bytes] */

enum msgfmt_kind { MSGFMT_U32, MSGFMT_I32, MSGFMT_U16, MSGFMT_I16, MSGFMT_BYTE, MSGFMT_BUFFER };

struct msgfmt_field {
    const char *name; /* "" in an output line */
    enum msgfmt_kind kind;
    int enum_index; /* of the dictionary; -1: none */
};

struct board_format {
    const char *text; /* as in the dictionary */
    const char *name; /* its first word */
    uint32_t id;      /* as a VLQ decodes it */
    uint8_t id_bytes[2];
    uint8_t id_len_bytes;
    uint8_t field_count, integer_count;
    int8_t buffer_field; /* index of the first buffer, -1: none */
    bool has_more_buffers;
    struct msgfmt_field fields[MSGFMT_FIELDS_MAX];
};

/* Parse `text` into `format`; strings live in `arena`. `is_output`: a line of an output() call, whose fields have no
 * names. ERR_INVALID or ERR_LIMIT for what is no format. */
enum err msgfmt_parse(const char *text, int64_t id, bool is_output, struct arena *arena, struct board_format *format,
                      struct err_info *info) ERR_NODISCARD;

/* Index of the field called `name`, or -1. */
int msgfmt_field_index(const struct board_format *format, const char *name);

/* Encode id and fields to `out` (at least `cap_bytes`). Returns the length, or 0 if it does not fit. CHECKs that
 * `arg_count` is the number of integer fields and each arg lies in [-2^31, 2^32). */
size_t msgfmt_encode(const struct board_format *format, const int64_t *args, size_t arg_count, const void *data,
                     size_t data_bytes, uint8_t *out, size_t cap_bytes);

/* Fields of a payload that begins with this format's id. False unless all of it is used up. `value` gets the fields (a
 * buffer's length), cut to the type's width, sign-extended; *data points into the payload at the first buffer. */
bool msgfmt_decode(const struct board_format *format, const uint8_t *payload, size_t len_bytes,
                   uint32_t value[MSGFMT_FIELDS_MAX], const uint8_t **data, size_t *data_bytes);

/* The 14-bit number at the start of a message, its length in *id_bytes; -1 if there is none. */
int msgfmt_peek_id(const uint8_t *payload, size_t len_bytes, size_t *id_bytes);
/* The same number for a dictionary id. */
int msgfmt_id_number(const struct board_format *format);

#endif
