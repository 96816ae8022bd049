/* Inside the dictionary: shared by dict.c (look-up), dict_json.c (reading), dict_text.c (commands as text). */
#ifndef MOTION_LINK_DICT_IMPL_H
#define MOTION_LINK_DICT_IMPL_H

#include "base/strmap.h"
#include "motion/link/dict.h"

struct dict_entry {
    const char *name;
    size_t stem_bytes; /* of the name, without the digits that count up; ranges only */
    uint32_t first;    /* the number the digits show */
    int32_t value;
    uint32_t count; /* 1: a single name */
};
struct dict_enum {
    const char *name;
    struct dict_entry *entries;
    size_t entry_count;
    struct strmap names; /* names of entries -> struct dict_entry */
};

struct dict {
    struct arena arena;
    const char *version, *build_versions, *app;
    struct dict_constant *constants;
    size_t constant_count;
    struct strmap constant_names;
    struct dict_enum *enums;
    size_t enum_count, entry_count;
    struct board_format *formats;
    size_t format_count;
    struct strmap commands, responses;           /* by text */
    struct strmap command_names, response_names; /* by first word */
    const struct board_format **by_number;       /* by the number on the wire */
    size_t number_count;
    const struct board_format *first_output, *end_output; /* the range of `formats` that are output() lines */
};

/* Fill `dict` (empty, arena ready) from JSON. */
enum err dict_read_json(struct dict *dict, const char *json, size_t json_bytes, struct err_info *info) ERR_NODISCARD;
/* Uncompress; *json is the caller's to mem_free. */
enum err dict_inflate(const uint8_t *blob, size_t blob_bytes, char **json, size_t *json_bytes,
                      struct err_info *info) ERR_NODISCARD;

#endif
