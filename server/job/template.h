/* Bodies of macros: text in the template language (server/gcode/template) that gives G-code.
 *
 * This is the seam between what runs macros (gcode_macro, delayed_gcode, idle_timeout, virtual_sdcard) and the language
 * they are written in: they compile a body once, when the configuration is loaded, and render it whenever it is to run.
 * What a body sees: `printer` (template_printer.h), params, rawparams, the variables of its macro, and the actions
 * action_emergency_stop, action_respond_info, action_raise_error, action_call_remote_method. Machine thread. */
#ifndef SERVER_JOB_TEMPLATE_H
#define SERVER_JOB_TEMPLATE_H

#include "base/err.h"
#include "server/gcode/template/value.h"

#include <stdbool.h>
#include <stddef.h>

struct config_section;
struct gcode_command;
struct jinja;
struct jinja_run;
struct printer;
struct strbuf;
struct strmap;
struct template;

/* A variable of a macro: a Python literal. */
struct template_variable;
/* ERR_INVALID: not a literal; `info` says why. */
enum err template_variable_create(const char *literal, struct template_variable **out,
                                  struct err_info *info) ERR_NODISCARD;
/* The same from parameter `param` of a command; errors in the words of SET_GCODE_VARIABLE. */
enum err template_variable_of_param(struct gcode_command *cmd, const char *param, struct template_variable **out,
                                    struct err_info *info) ERR_NODISCARD;
void template_variable_destroy(struct template_variable *variable);              /* NULL allowed */
const char *template_variable_literal(const struct template_variable *variable); /* as it was written, on one line */
const char *template_variable_json(const struct template_variable *variable);
struct value template_variable_value(struct jinja_run *run, const struct template_variable *variable);

/* What a body may refer to besides the printer: the call (params, rawparams; NULL: not called as a command) and the
 * variables of its macro, struct template_variable by name (NULL: none). Borrowed for the render. */
struct template_context {
    struct printer *printer;
    const struct gcode_command *call;
    const struct strmap *variables;
};

/* Take in the body that `option` (OPTION_TEMPLATE) of the section is; messages call it "SECTION:OPTION". NULL: a syntax
 * error, which has been added to the configuration at the very line that is wrong, or the option has no text. In a create
 * hook; the caller destroys it. */
struct template *template_read(struct config_section *section, const char *option);
const struct jinja *template_code(const struct template *tpl);
void template_destroy(struct template *tpl); /* NULL allowed */

/* Append the G-code that the body is at this moment. May be called again from inside of what it made. ERR_INVALID: the
 * text names macro, line, kind of error and what stands in that line. */
enum err template_render(struct template *tpl, const struct template_context *context, struct strbuf *out,
                         struct err_info *info) ERR_NODISCARD;

/* Render it and run the result as a script (see gcode_run_script). */
enum err template_run(struct template *tpl, const struct template_context *context,
                      struct err_info *info) ERR_NODISCARD;

/* Set what every body sees of `printer`: the object itself and the actions. For other users of the language. */
void template_set_printer(struct jinja_run *run, struct printer *printer);
/* Set each variable of a macro (struct template_variable by name). */
void template_set_variables(struct jinja_run *run, const struct strmap *variables);

#endif
