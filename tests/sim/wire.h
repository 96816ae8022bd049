/* The board protocol as text, for tests: an independent decoder and encoder driven by a data dictionary. It shares no
 * code with firmware/ and motion/link, so that a mistake there does not cancel out. */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_FIELDS_MAX 16
#define WIRE_BLOCK_MAX  64

struct wire_dict;
/* From the dictionary's JSON text; NULL if it is not one. */
struct wire_dict *wire_dict_create(const char *json, size_t len_bytes);
void wire_dict_destroy(struct wire_dict *dict);
/* A numeric constant, or `fallback`. */
double wire_constant(const struct wire_dict *dict, const char *name, double fallback);
/* Value of a name in an enumeration, ranges understood; -1 if absent. */
long wire_enum_value(const struct wire_dict *dict, const char *enumeration, const char *name);
/* First plain name with that value; NULL if none (ranges are not searched). */
const char *wire_enum_name(const struct wire_dict *dict, const char *enumeration, long value);

struct wire_field {
    char name[40];
    int64_t value;       /* numbers, sign as the format says */
    const uint8_t *data; /* buffers: inside the decoded bytes */
    size_t len_bytes;
    bool is_buffer;
};
struct wire_msg {
    char name[48];
    const char *format;
    size_t field_count;
    struct wire_field fields[WIRE_FIELDS_MAX];
};

/* Decode one message at `p`; returns the bytes it took, 0 if it is unknown or cut short. */
size_t wire_decode(const struct wire_dict *dict, const uint8_t *p, size_t len_bytes, struct wire_msg *msg);
/* Field by name, `fallback` if absent. */
int64_t wire_get(const struct wire_msg *msg, const char *field, int64_t fallback);
/* "clock clock=123"; buffers as hex. */
void wire_print(const struct wire_msg *msg, char *out, size_t out_bytes);
/* Encode "queue_step oid=1 interval=100 count=2 add=-1" (buffers as hex). Returns the length, 0 if the text does not
 * fit the dictionary. */
size_t wire_encode(const struct wire_dict *dict, const char *text, uint8_t *out, size_t out_bytes);

/* Blocks. */
uint16_t wire_crc(const uint8_t *data, size_t len_bytes);
size_t wire_block(uint8_t out[WIRE_BLOCK_MAX], unsigned seq, const uint8_t *payload, size_t len_bytes);
/* Splits a byte stream into good blocks. */
struct wire_stream {
    uint8_t data[4096];
    size_t len_bytes;
    size_t bad_count;
};
void wire_stream_add(struct wire_stream *stream, const uint8_t *data, size_t len_bytes);
/* The next good block, copied to `block`; returns its length, 0 if there is none yet. */
size_t wire_stream_next(struct wire_stream *stream, uint8_t block[WIRE_BLOCK_MAX]);

#endif
