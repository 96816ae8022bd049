/* printer.cfg: files -> sections -> options, each with the file and line it came from, and typed getters that know the
 * limits of every option.
 *
 * Nothing here fails hard. Whatever is wrong is added to the list of errors of the configuration, a getter then returns
 * the default (or a value inside the limits), and whoever loads a printer looks at config_error_count at the end: that is
 * how all errors are reported at once. Getters also record what was read: options nobody read are errors in the end
 * (config_check_unused), and the values read, defaults included, are what `configfile.settings` shows.
 *
 * The format is what Klipper's hosts accept: `[section]`, `option: value` or `option = value`, '#' anywhere and ';' at
 * the start of a line or after white space begin a comment, indented lines continue a value, option names are lower
 * case, sections keep their case, a repeated section or option is merged and the later value wins, `[include GLOB]`
 * relative to the including file in sorted order, and an autosave block (lines that begin with "#*# ") at the end.
 *
 * One thread (the machine actor, or the caller of `lockstep check`). All texts live until config_destroy. */
#ifndef SERVER_CONFIG_CONFIG_H
#define SERVER_CONFIG_CONFIG_H

#include "base/err.h"
#include "server/config/option.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_FILE_BYTES_MAX (8u << 20)   /* one file */
#define CONFIG_FILES_MAX 1000              /* files of one configuration, includes counted */
#define CONFIG_INCLUDE_DEPTH_MAX 32
#define CONFIG_SECTIONS_MAX 10000
#define CONFIG_OPTIONS_MAX 200000          /* of all sections */
#define CONFIG_LIST_ITEMS_MAX 4096         /* of one option */
#define CONFIG_ERRORS_MAX 200              /* later ones are counted, not kept */

struct config;
struct config_section;

/* One option as it stands in a file. */
struct config_option {
    const char *name;  /* lower case */
    const char *value; /* white space around it and comments removed; lines joined by '\n' */
    const char *file;  /* as the user would write it: relative to the folder of the first file */
    int line;          /* of the option's name, from 1 */
    bool is_autosave;  /* from the autosave block */
    const int *lines;  /* of each line of the value; NULL: they follow each other from `line` on */
};
/* Line of the file in which line `value_line` (from 1) of the option's value stands. */
int config_option_line(const struct config_option *option, unsigned value_line);

/* --- loading --- */

/* Where the files of a configuration come from. Tests and fuzzers keep theirs in memory. */
struct config_files {
    void *ctx; /* of the three functions */
    /* The whole file, to be freed with mem_free, and its length; NULL with the reason in `info`. At most
     * CONFIG_FILE_BYTES_MAX. */
    char *(*read)(void *ctx, const char *path, size_t *len_bytes, struct err_info *info);
    /* Call `found` for each path that the glob `pattern` matches, in the order of their names. */
    void (*find)(void *ctx, const char *pattern, void (*found)(void *arg, const char *path), void *arg);
    /* The one name of a file that may have several, to be freed with mem_free; NULL: unknown. */
    char *(*resolve)(void *ctx, const char *path);
};
extern const struct config_files config_files_disk;

/* Read `path` and everything it includes. Never NULL: errors are in the result. */
struct config *config_load(const char *path);
struct config *config_load_from(const struct config_files *files, const char *path); /* `files` are kept */
/* The same for a text in memory; `name` stands for the file, includes are relative to the current folder. */
struct config *config_parse(const char *name, const char *text, size_t len_bytes);
void config_destroy(struct config *config); /* NULL allowed */

/* Write sections and options (no comments, no includes) so that config_parse reads back the same. Caller frees with
 * mem_free. */
char *config_write(const struct config *config);

/* --- sections, in the order of their first line --- */
size_t config_section_count(const struct config *config);
struct config_section *config_section_at(const struct config *config, size_t index);
struct config_section *config_find(const struct config *config, const char *name); /* NULL if absent */
/* Find it, or add an empty one that stands in no file: for objects that exist with their defaults. */
struct config_section *config_ensure(struct config *config, const char *name);
const char *section_name(const struct config_section *section);
bool section_is_in_file(const struct config_section *section);
struct config *section_config(const struct config_section *section);
/* Where the section begins (of its first occurrence). */
const char *section_file(const struct config_section *section);
int section_line(const struct config_section *section);
size_t section_option_count(const struct config_section *section);
const struct config_option *section_option_at(const struct config_section *section, size_t index);
/* NULL if the file does not have it. `name` in any case. Does not count as reading. */
const struct config_option *section_find(const struct config_section *section, const char *name);

/* --- errors and warnings --- */
struct config_error {
    const char *file; /* "" if it belongs to no file */
    int line;         /* 0 if none */
    const char *text; /* without the place */
};
size_t config_error_count(const struct config *config);      /* of those kept */
size_t config_error_dropped(const struct config *config);
const struct config_error *config_error_at(const struct config *config, size_t index); /* sorted by file order, line */
/* "file:line: text" per line for all errors. Caller frees with mem_free. */
char *config_error_text(const struct config *config);

/* Add an error: at an option if the file has it (else at its section), at a section, at any place (`file` "": at the
 * main file as a whole). */
void config_error_option(struct config_section *section, const char *option, const char *fmt, ...) ERR_PRINTF(3, 4);
/* At a line of an option's value (see config_option_line). */
void section_error_line(struct config_section *section, const char *option, int line, const char *fmt, ...)
    ERR_PRINTF(4, 5);
void config_error_section(struct config_section *section, const char *fmt, ...) ERR_PRINTF(2, 3);
void config_error_place(struct config *config, const char *file, int line, const char *fmt, ...) ERR_PRINTF(4, 5);
/* Number of errors of this section so far: a create hook that computes from several options asks it first. */
size_t section_error_count(const struct config_section *section);

struct config_warning {
    const char *type; /* "deprecated_option", "deprecated_value", "deprecated_gcode", "runtime_warning" */
    const char *message;
    const char *section, *option, *value; /* NULL if it does not apply */
    const char *command, *parameter;      /* of "deprecated_gcode"; else NULL */
};
size_t config_warning_count(const struct config *config);
const struct config_warning *config_warning_at(const struct config *config, size_t index);
/* `option` and `value` NULL: a warning of the whole configuration. The same warning again is none. */
void config_warn(struct config *config, const char *type, const char *section, const char *option, const char *value,
                 const char *message);
/* Of a command that was run: type "deprecated_gcode". `value` NULL: whatever the parameter is. */
void config_warn_command(struct config *config, const char *command, const char *parameter, const char *value,
                         const char *message);

/* --- typed getters ---
 * The option must be in a table bound to the section (CHECK): type, default, limits and choices come from there, so the
 * table cannot differ from what the code does. A table is bound by the printer for each object's descriptor; an object
 * that reads more (a sensor type in a heater's section) binds another. */
void section_bind(struct config_section *section, const struct option_desc *options, size_t count);

bool section_has(const struct config_section *section, const char *name); /* in the file; counts as known */

double section_float(struct config_section *section, const char *name);
int section_int(struct config_section *section, const char *name);
bool section_bool(struct config_section *section, const char *name);
/* Index of the choice in the descriptor's list ("watermark|pid": 0 or 1). */
int section_choice(struct config_section *section, const char *name);
/* NULL if the option may be absent and is. Also for pins and templates (the text as it is). */
const char *section_string(struct config_section *section, const char *name);

/* The same with a default (and further limits) that the caller has computed. NAN: no such limit. */
double section_float_or(struct config_section *section, const char *name, double default_value);
double section_float_in(struct config_section *section, const char *name, double default_value, double min, double max);
int section_int_or(struct config_section *section, const char *name, int default_value);
bool section_bool_or(struct config_section *section, const char *name, bool default_value);
const char *section_string_or(struct config_section *section, const char *name, const char *default_value);
/* A conditional option that has become required: an error if the file lacks it. */
double section_float_required(struct config_section *section, const char *name);
int section_int_required(struct config_section *section, const char *name);
const char *section_string_required(struct config_section *section, const char *name);

/* Lists. The texts and arrays live as long as the configuration. A missing optional list has count 0. */
struct config_list {
    const char *const *items;
    size_t count;
};
struct config_numbers {
    const double *items;
    size_t count;
};
/* A list of lists: rows of equal meaning, such as "80:16, 2:1" (outer separator ',', inner ':'). */
struct config_table {
    const struct config_list *rows;
    size_t count;
};
/* The same of numbers: "80:16, 2:1" is {{80, 16}, {2, 1}}. */
struct config_number_table {
    const struct config_numbers *rows;
    size_t count;
};
struct config_list section_list(struct config_section *section, const char *name);
struct config_numbers section_numbers(struct config_section *section, const char *name); /* float and int lists */
struct config_table section_table(struct config_section *section, const char *name);
struct config_number_table section_number_table(struct config_section *section, const char *name);

/* Options whose names follow a pattern of the table ("variable_*", "aliases_*"): start with `*cursor` 0; returns NULL
 * at the end. Marks what it returns as read. `suffix` (NULL allowed) is set to what stands for the '*'. */
const struct config_option *section_next(struct config_section *section, const char *pattern, size_t *cursor,
                                         const char **suffix);

/* --- what was read --- */
/* An error for each option of `section` that nobody read and no table knows; call after all objects were created. */
void section_check_unused(struct config_section *section);
/* Nothing of this section will be reported as unused (a device that is not supported yet reads it otherwise). */
void section_accept_all(struct config_section *section);
bool section_is_bound(const struct config_section *section); /* has anybody bound a table? */
/* JSON object of the values read, defaults included: {"kinematics": "corexy", "max_velocity": 300.0, ...}. Options in
 * the order of reading. Never NULL. */
const char *section_settings_json(const struct config_section *section);
/* The number `name` was read as; false if it was not read or is no number. */
bool section_number_read(const struct config_section *section, const char *name, double *value);

/* JSON of the raw file: {"section": {"option": "text"}}; and of the settings of all sections, keys in lower case.
 * Caller frees with mem_free. */
char *config_raw_json(const struct config *config);
char *config_settings_json(const struct config *config);
char *config_warnings_json(const struct config *config);

#endif
