/* Bodies of macros: text with or without the template language in it.
 *
 * This is the seam between what runs macros (gcode_macro, delayed_gcode, idle_timeout, virtual_sdcard) and the language
 * they are written in: they compile a body once and render it whenever it is to run. Here bodies are plain G-code: one
 * that holds template syntax compiles, so that its configuration loads, and says so when it is to be rendered. */
#ifndef SERVER_JOB_TEMPLATE_H
#define SERVER_JOB_TEMPLATE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct gcode_command;
struct printer;
struct strbuf;
struct strmap;
struct template;

/* What a body may refer to besides the printer: the call (params, rawparams; NULL: not called as a command) and the
 * variables of its macro, JSON texts by name (NULL: none). Borrowed for the render. */

struct template_context {
    struct printer *printer;
    const struct gcode_command *call;
    const struct strmap *variables;
};

/* Take in the body `text` (copied); `name` is for messages ("gcode_macro PAUSE:gcode"). ERR_INVALID: syntax error. */
enum err template_compile(const char *name, const char *text, struct template **out,
                          struct err_info *info) ERR_NODISCARD;
void template_destroy(struct template *tpl); /* NULL allowed */

/* Append the G-code that the body is at this moment. May be called again from inside of what it made. ERR_UNSUPPORTED:
 * the body uses the template language, which is not available; the text names macro, line and expression. */
enum err template_render(struct template *tpl, const struct template_context *context, struct strbuf *out,
                         struct err_info *info) ERR_NODISCARD;

/* Render it and run the result as a script (see gcode_run_script). */
enum err template_run(struct template *tpl, const struct template_context *context,
                      struct err_info *info) ERR_NODISCARD;

/* Does it need a language that is not there? Then `reason` (NULL allowed) gets the text that rendering would fail with.
 */
bool template_is_unsupported(const struct template *tpl, struct err_info *reason);

#endif
