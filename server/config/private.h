/* Inside of server/config: what its files share. */
#ifndef SERVER_CONFIG_PRIVATE_H
#define SERVER_CONFIG_PRIVATE_H

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "server/config/config.h"

#define SECTION_TABLES_MAX 8
#define AUTOSAVE_MARK "#*#"
#define AUTOSAVE_HEADER "#*# <---------------------- SAVE_CONFIG ---------------------->"

/* A file of the configuration, in order of first opening: errors are sorted by it. */
struct config_file {
    const char *label; /* as shown to users */
    unsigned index;
};

struct stored_option {
    struct config_option pub;
    unsigned file_index;
    bool is_read;
};

/* What SAVE_CONFIG is to do with one section of the block. */
struct autosave_change {
    struct autosave_change *next;
    const char *section;
    bool is_removed;       /* before `values` are set */
    struct strmap values;  /* option -> text (arena), in the order of setting */
};

/* One value as it was read, for configfile.settings. */
struct read_value {
    const char *name; /* lower case */
    char *json;       /* owned */
    double number;
    bool has_number;
};

struct option_table {
    const struct option_desc *options;
    size_t count;
};

struct config_section {
    struct config *config;
    const char *name;
    const char *file;
    int line;
    unsigned file_index;
    bool is_made; /* by config_ensure: in no file */
    struct stored_option **options;
    size_t option_count, option_cap;
    struct strmap by_name; /* lower case name -> struct stored_option */
    struct option_table tables[SECTION_TABLES_MAX];
    size_t table_count;
    struct read_value **reads;
    size_t read_count, read_cap;
    struct strmap reads_by_name;
    size_t error_count;
    struct strbuf settings; /* cache of section_settings_json */
    bool is_settings_fresh;
};

struct stored_error {
    struct config_error pub;
    unsigned file_index;
    size_t order;
};

struct config {
    struct arena arena;
    struct config_section **sections;
    size_t section_count, section_cap;
    struct strmap sections_by_name;
    size_t option_count;
    struct config_file *files;
    size_t file_count, file_cap;
    struct stored_error *errors;
    size_t error_count, error_cap, error_dropped;
    bool is_sorted;
    struct config_warning *warnings;
    size_t warning_count, warning_cap;
    bool is_full; /* a limit on sections or options was hit and reported */
    const struct config_files *from;
    const char *path; /* of the first file; NULL: from memory */
    struct autosave_change *changes, **last_change; /* what SAVE_CONFIG is to write */
    uint64_t pending_revision;
};

struct config *config_create(void);
unsigned config_add_file(struct config *config, const char *label);

/* Parse one text into `config`. Returns after the first line that begins an include (its pattern in *include, arena), or
 * at the end of the text (*include NULL). The cursor keeps the place. */
struct parse_cursor {
    struct config *config;
    unsigned file_index;
    const char *text, *end, *next;
    int line;          /* of the line last taken */
    bool is_autosave;  /* within the autosave block */
    bool is_main;      /* only the first file has an autosave block */
    const char *line_text; /* where the line last taken begins */
    const char *block; /* where the autosave block begins; NULL: nowhere so far */
    /* NULL, or told of each line that is part of an option */
    void (*on_line)(void *ctx, const char *line, const struct config_section *section, const struct config_option *option);
    void *ctx;
};
void config_parse_unit(struct parse_cursor *cursor, const char **include);

/* Read `text` as the file `path` would be, with everything it includes. */
struct config *config_load_text(const struct config_files *from, const char *path, const char *text, size_t len_bytes);
/* Report bytes that no configuration can hold. NULs and bad bytes are replaced, so that the rest is still checked. */
void config_check_bytes(struct config *config, unsigned file, char *text, size_t len);
/* The whole file of a disk; NULL with the reason in `info`. Caller frees with mem_free. */
char *config_read_file(const char *path, size_t *len_bytes, struct err_info *info);

void config_verror_at(struct config *config, unsigned file_index, int line, const char *fmt, va_list args);
void config_error_file(struct config *config, unsigned file_index, int line, const char *fmt, ...) ERR_PRINTF(4, 5);

struct config_section *config_get_section(struct config *config, const char *name, size_t len, unsigned file_index,
                                          int line);
/* Set or replace an option; NULL if a limit is hit. */
struct stored_option *section_store(struct config_section *section, const char *name, size_t name_len,
                                    unsigned file_index, int line);
/* Does `name` fit a documented name, which may be a pattern: "variable_*" (any rest), "screw<n>_name" (digits)? */
bool option_matches(const char *pattern, const char *name);
struct stored_option *section_stored(const struct config_section *section, const char *name);

void section_record(struct config_section *section, const char *name, struct strbuf *json, const double *number);

/* White space as Python's str.strip has it, no-break spaces included: people paste those. Bytes of the one that begins at
 * `p`, and of the one that ends there; 0 if there is none. */
size_t config_blank_at(const char *p, const char *end);
size_t config_blank_before(const char *begin, const char *p);

/* Numbers as Python's float() and int() read them, but finite: white space around, '_' between digits. */
bool config_parse_float(const char *text, double *value);
bool config_parse_int(const char *text, int *value);

/* Lower case of ASCII letters: in a buffer (false: the name is too long to be one we know), or in the arena. */
#define CONFIG_KEY_MAX 128
bool config_key(const char *name, char key[CONFIG_KEY_MAX]);
const char *config_lower(struct config *config, const char *text, size_t len);

#endif
