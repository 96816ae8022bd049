/* An output switched in order with the moves that follows a [display_template]: each text it gives becomes a value, and a
 * fiber waits for room in the stream. A newer value replaces one that still waits. Machine thread. */
#ifndef SERVER_MACHINE_OUTPUT_FOLLOW_H
#define SERVER_MACHINE_OUTPUT_FOLLOW_H

#include "base/err.h"

#include <stdbool.h>

struct fiber;
struct gcode_command;
struct printer;

struct output_follow {
    struct printer *printer;
    const char *what; /* for messages: the object's name */
    enum err (*set)(void *ctx, double value, struct err_info *info); /* [fiber] value [0, 1] */
    void *ctx;
    /* its own */
    double wanted;
    bool is_wanted;
    struct fiber *fiber;
};

/* TEMPLATE= and PARAM_x= of a command; an empty name ends it. */
enum err output_follow_assign(struct output_follow *follow, struct gcode_command *cmd, struct err_info *info) ERR_NODISCARD;

#endif
