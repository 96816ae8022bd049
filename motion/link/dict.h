/* A board's data dictionary: what it can be told, what it answers, its enumerations and constants.
 *
 * It comes from a board that may be damaged or hostile, so each size has a named limit and nothing half-read is
 * returned. Immutable once read: any thread may look things up. */
#ifndef MOTION_LINK_DICT_H
#define MOTION_LINK_DICT_H

#include "base/err.h"
#include "motion/link/msgfmt.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DICT_BLOB_BYTES_MAX   (256 * 1024)  /* compressed */
#define DICT_JSON_BYTES_MAX   (1024 * 1024) /* uncompressed */
#define DICT_DEPTH_MAX        8             /* nesting of the JSON */
#define DICT_FORMATS_MAX      2048
#define DICT_CONSTANTS_MAX    2048
#define DICT_ENUMS_MAX        256
#define DICT_ENUM_ENTRIES_MAX 8192  /* of all enumerations together */
#define DICT_RANGE_MAX        65536 /* names made by one range */
#define DICT_TEXT_BYTES_MAX   1024  /* a name or a text constant */

struct dict;

/* Read a dictionary. `json_bytes` of `json` are not zero-terminated. The caller destroys it. */
enum err dict_parse_json(const char *json, size_t json_bytes, struct dict **dict, struct err_info *info) ERR_NODISCARD;
/* The same from the compressed form that `identify` gives. */
enum err dict_parse_blob(const uint8_t *blob, size_t blob_bytes, struct dict **dict,
                         struct err_info *info) ERR_NODISCARD;
void dict_destroy(struct dict *dict); /* NULL allowed */

const char *dict_version(const struct dict *dict);
const char *dict_build_versions(const struct dict *dict);
const char *dict_app(const struct dict *dict);

struct dict_constant {
    const char *name, *text;
    double number;
    bool is_number;
};
size_t dict_constant_count(const struct dict *dict);
const struct dict_constant *dict_constant_at(const struct dict *dict, size_t index);
const struct dict_constant *dict_constant(const struct dict *dict, const char *name); /* NULL if absent */

/* Enumerations by index, -1 if absent. */
int dict_enum(const struct dict *dict, const char *name);
bool dict_enum_value(const struct dict *dict, int enum_index, const char *value_name, int32_t *value);
const char *dict_enum_name(const struct dict *dict, int enum_index, int32_t value, char scratch[64]);
typedef void dict_enum_fn(void *ctx, const char *value_name, int32_t value);
void dict_enum_each(const struct dict *dict, int enum_index, dict_enum_fn *fn, void *ctx);

/* By exact format; NULL if absent. */
const struct board_format *dict_command(const struct dict *dict, const char *text);
const struct board_format *dict_response(const struct dict *dict, const char *text);
/* By first word. */
const struct board_format *dict_command_named(const struct dict *dict, const char *name);
const struct board_format *dict_response_named(const struct dict *dict, const char *name);
/* Whatever message starts this payload; NULL if the dictionary has none. *is_output tells an output() line. */
const struct board_format *dict_message(const struct dict *dict, const uint8_t *payload, size_t len_bytes,
                                        bool *is_output);

/* Encode a command from text ("config_endstop oid=1 pin=PA3 pull_up=0"): names of enumerations, decimal or 0x integers,
 * hex buffers, fields in any order, all of them. Errors name what is wrong. *len_bytes: length in `out`. */
enum err dict_encode_text(const struct dict *dict, const char *line, uint8_t *out, size_t cap_bytes, size_t *len_bytes,
                          struct err_info *info) ERR_NODISCARD;

/* The checksum of configurations and dictionaries (CRC-32 of zlib). */
uint32_t dict_crc32(const void *data, size_t size_bytes);

#endif
