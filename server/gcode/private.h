/* What the files of the dispatcher share; nobody else includes this. */
#ifndef SERVER_GCODE_PRIVATE_H
#define SERVER_GCODE_PRIVATE_H

#include "base/list.h"
#include "base/strmap.h"
#include "server/gcode/gcode.h"

struct param {
    const char *name, *value; /* in gcode_command.buf */
};

/* One command being run; also the storage of one nesting depth, kept for the next line at that depth. */
struct gcode_command {
    struct gcode *g;
    const char *text; /* the line as it came, stripped; the caller's, not terminated */
    size_t text_bytes;
    size_t code_bytes; /* of `text` before a comment, stripped */
    const char *name;  /* upper case, in buf */
    size_t name_bytes;
    bool has_line_number; /* N123 in front */
    bool wants_ack;
    bool has_word; /* by letter: some key is longer than one letter ("XFOO") */

    char *buf; /* name, names and values of parameters, each with its zero */
    size_t buf_bytes, buf_cap;
    struct param *params;
    size_t param_count, param_cap;
    uint16_t letter_index[26]; /* 1 + index of the parameter with this letter, 0: absent */

    char *line; /* terminated copy of text, made when asked for */
    size_t line_cap;
    bool has_line;
    char *raw; /* terminated copy of the raw parameters, made when asked for */
    size_t raw_cap;
    bool has_raw;
    struct err_info info; /* for runs whose caller gives none */
};

/* --- lex.c: from text to name and parameters --- */

/* Begin with a line: strip it and find its command name (name_bytes 0: nothing to do). */
enum err lex_name(struct gcode_command *cmd, const char *text, size_t len_bytes, struct err_info *info);
/* Parameters by letter ("G1 X1Y2"); the command word itself is the first. */
enum err lex_letters(struct gcode_command *cmd, struct err_info *info);
/* KEY=value with quoting. */
enum err lex_pairs(struct gcode_command *cmd, struct err_info *info);
/* Put `text` into a growing buffer of the command. */
char *lex_copy(char **buf, size_t *cap, const char *text, size_t len_bytes);
void lex_raw_range(const struct gcode_command *cmd, const char **text, size_t *len_bytes);

/* --- table.c --- */

struct entry {
    char *name, *help;
    bool when_not_ready, is_traditional, takes_text;
    gcode_handler_fn *fn;
    void *ctx;
    struct mux *mux; /* NULL: a plain command */
    gcode_watch_fn *watch; /* NULL: nobody */
    const char *watch_name;
    void *watch_ctx;
    struct list node;
};

struct table {
    struct strmap by_name;
    struct list order;
    uint64_t version;
};

void table_init(struct table *table);
void table_deinit(struct table *table);
struct entry *table_find(const struct table *table, const char *name, size_t len_bytes);

/* --- core.c: commands every printer has --- */
enum err core_register(struct gcode *g, struct err_info *info);
/* What happens to a command that nobody has registered, or that may not run now. */
enum err core_default(struct gcode_command *cmd, struct err_info *info);

#define OUTPUT_COUNT_MAX 16

struct gcode {
    struct table table;
    bool is_ready, is_batch;
    char *state_message;
    char *firmware;       /* M115's answer */
    bool is_error_placed; /* the error on its way up names its line */
    gcode_emergency_fn *emergency;
    void *emergency_ctx;

    /* the turn: held by one fiber (or by code outside of fibers), hold_count deep */
    struct fiber *owner;
    unsigned hold_count;
    struct list waiters;

    struct gcode_command *frames[GCODE_DEPTH_MAX]; /* made when first needed */
    unsigned depth;
    struct gcode_source source;

    struct {
        gcode_output_fn *fn;
        void *ctx;
    } outputs[OUTPUT_COUNT_MAX];
    struct {
        gcode_error_fn *fn;
        void *ctx;
    } error_listeners[OUTPUT_COUNT_MAX];
    size_t output_count, error_listener_count;
};

#endif
