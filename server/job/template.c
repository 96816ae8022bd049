#include "server/job/template.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"

#include <string.h>

struct template
{
    char *name, *text;
    size_t len_bytes;
    const char *syntax; /* in text: where template syntax begins; NULL: plain G-code */
    int syntax_line;
};

/* The first '{' outside of a comment. Every brace means something in the template language; a comment line of G-code
 * that mentions one is harmless, unless it holds a statement, which would run even there. */
static const char *find_syntax(const char *text, int *line)
{
    *line = text[0] == '\n' ? 0 : 1; /* the first line of a body stands below its option */
    bool is_comment = false;
    for (const char *p = text; *p; p++) {
        if (*p == '\n') {
            ++*line;
            is_comment = false;
        } else if (*p == ';') {
            is_comment = true;
        } else if (*p == '{' && (!is_comment || p[1] == '%')) {
            return p;
        }
    }
    return NULL;
}

enum err template_compile(const char *name, const char *text, struct template **out, struct err_info *info)
{
    (void)info;
    struct template *tpl = MEM_NEW(struct template);
    tpl->name = mem_strdup(name);
    tpl->text = mem_strdup(text);
    tpl->len_bytes = strlen(text);
    tpl->syntax = find_syntax(tpl->text, &tpl->syntax_line);
    *out = tpl;
    return OK;
}

void template_destroy(struct template *tpl)
{
    if (!tpl)
        return;
    mem_free(tpl->name);
    mem_free(tpl->text);
    mem_free(tpl);
}

bool template_is_unsupported(const struct template *tpl, struct err_info *reason)
{
    if (!tpl->syntax)
        return false;
    int shown = (int)strcspn(tpl->syntax, "\n");
    enum err ignored = err_set(reason, ERR_UNSUPPORTED,
                               "'%s' uses the template language, which this version cannot run yet: line %d of its "
                               "G-code, \"%.*s\". Write it as plain G-code.",
                               tpl->name, tpl->syntax_line, shown > 80 ? 80 : shown, tpl->syntax);
    (void)ignored;
    return true;
}

enum err template_render(struct template *tpl, const struct template_context *context, struct strbuf *out,
                         struct err_info *info)
{
    (void)context;
    if (template_is_unsupported(tpl, info))
        return ERR_UNSUPPORTED;
    strbuf_add(out, tpl->text, tpl->len_bytes);
    return OK;
}

enum err template_run(struct template *tpl, const struct template_context *context, struct err_info *info)
{
    struct strbuf script;
    strbuf_init(&script);
    enum err err = template_render(tpl, context, &script, info);
    if (!err)
        err = gcode_run_script(context->printer->gcode, script.data, script.len_bytes, info);
    strbuf_deinit(&script);
    return err;
}
