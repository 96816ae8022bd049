/* `lockstep plan --compare DIR`: the recorded case in a folder, and the plan's bytes against it. Main thread. */
#ifndef SERVER_APP_PLAN_COMPARE_H
#define SERVER_APP_PLAN_COMPARE_H

#include "base/err.h"
#include "server/compare/compare.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct printer;

struct plan_case {
    struct oracle oracle; /* its gcode: what to plan */
    char config_path[1024], dict_path[1024];
    char output_path[64]; /* a temporary file for the bytes of [mcu] */
};

enum err plan_case_open(struct plan_case *c, const char *dir, struct err_info *info) ERR_NODISCARD;
void plan_case_close(struct plan_case *c); /* also removes the temporary file */
/* Decode the output file with the dictionary, print the table. *passes: everything is within the tolerance. */
enum err plan_case_compare(struct plan_case *c, struct printer *printer, const char *dict_json, size_t dict_bytes,
                           FILE *out, bool *passes, struct err_info *info) ERR_NODISCARD;

#endif
