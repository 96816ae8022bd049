/* Inside of server/config: what its files share. */
#ifndef SERVER_CONFIG_PRIVATE_H
#define SERVER_CONFIG_PRIVATE_H

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "server/config/config.h"

#define SECTION_TABLES_MAX 8

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
};
void config_parse_unit(struct parse_cursor *cursor, const char **include);

void config_verror_at(struct config *config, unsigned file_index, int line, const char *fmt, va_list args);
void config_error_file(struct config *config, unsigned file_index, int line, const char *fmt, ...) ERR_PRINTF(4, 5);

struct config_section *config_get_section(struct config *config, const char *name, size_t len, unsigned file_index,
                                          int line);
/* Set or replace an option; NULL if a limit is hit. */
struct stored_option *section_store(struct config_section *section, const char *name, size_t name_len,
                                    unsigned file_index, int line);
struct stored_option *section_stored(const struct config_section *section, const char *name);

void section_record(struct config_section *section, const char *name, struct strbuf *json, const double *number);

/* Numbers as Python's float() and int() read them, but finite: white space around, '_' between digits. */
bool config_parse_float(const char *text, double *value);
bool config_parse_int(const char *text, int *value);

/* Lower case of ASCII letters: in a buffer (false: the name is too long to be one we know), or in the arena. */
#define CONFIG_KEY_MAX 128
bool config_key(const char *name, char key[CONFIG_KEY_MAX]);
const char *config_lower(struct config *config, const char *text, size_t len);

#endif
