/* Console output: texts to all listeners, in the forms users and front ends know. */
#include "base/check.h"
#include "server/gcode/private.h"

#include <string.h>

void gcode_add_output(struct gcode *g, gcode_output_fn *fn, void *ctx)
{
    CHECK(g->output_count < OUTPUT_COUNT_MAX);
    g->outputs[g->output_count].fn = fn;
    g->outputs[g->output_count++].ctx = ctx;
}

void gcode_remove_output(struct gcode *g, gcode_output_fn *fn, void *ctx)
{
    for (size_t i = 0; i < g->output_count; i++)
        if (g->outputs[i].fn == fn && g->outputs[i].ctx == ctx) {
            g->outputs[i] = g->outputs[--g->output_count];
            return;
        }
}

void gcode_add_error_listener(struct gcode *g, gcode_error_fn *fn, void *ctx)
{
    CHECK(g->error_listener_count < OUTPUT_COUNT_MAX);
    g->error_listeners[g->error_listener_count].fn = fn;
    g->error_listeners[g->error_listener_count++].ctx = ctx;
}

void gcode_remove_error_listener(struct gcode *g, gcode_error_fn *fn, void *ctx)
{
    for (size_t i = 0; i < g->error_listener_count; i++)
        if (g->error_listeners[i].fn == fn && g->error_listeners[i].ctx == ctx) {
            g->error_listeners[i] = g->error_listeners[--g->error_listener_count];
            return;
        }
}

void gcode_respond_raw(struct gcode *g, const char *text)
{
    for (size_t i = 0; i < g->output_count; i++)
        g->outputs[i].fn(g->outputs[i].ctx, text);
}

/* The next line of *text without the blanks around it; false at the end. */
static bool next_line(const char **text, const char **line, size_t *len_bytes)
{
    if (!*text)
        return false;
    const char *begin = *text, *end = strchr(begin, '\n');
    *text = end ? end + 1 : NULL;
    if (!end)
        end = begin + strlen(begin);
    begin += strspn(begin, " \t\r\v\f") < (size_t)(end - begin) ? strspn(begin, " \t\r\v\f") : (size_t)(end - begin);
    while (end > begin && strchr(" \t\r\v\f", end[-1]))
        end--;
    *line = begin;
    *len_bytes = (size_t)(end - begin);
    return true;
}

/* "// " before each line of `text`, blank lines at both ends left out. */
static void respond_lines(struct gcode *g, const char *text)
{
    struct strbuf out;
    strbuf_init(&out);
    const char *line;
    size_t len_bytes, kept_bytes = 0;
    bool has_text = false;
    text += strspn(text, " \t\r\n\v\f");
    for (const char *rest = text; next_line(&rest, &line, &len_bytes);) {
        if (has_text)
            strbuf_addc(&out, '\n');
        strbuf_adds(&out, "// ");
        strbuf_add(&out, line, len_bytes);
        has_text = true;
        if (len_bytes)
            kept_bytes = out.len_bytes;
    }
    if (kept_bytes == 0) {
        strbuf_clear(&out);
        strbuf_adds(&out, "// ");
    } else {
        out.data[kept_bytes] = 0;
    }
    gcode_respond_raw(g, out.data);
    strbuf_deinit(&out);
}

void gcode_respond_info(struct gcode *g, const char *fmt, ...)
{
    struct strbuf text;
    strbuf_init(&text);
    va_list args;
    va_start(args, fmt);
    strbuf_vaddf(&text, fmt, args);
    va_end(args);
    respond_lines(g, text.data);
    strbuf_deinit(&text);
}

void gcode_respond_error(struct gcode *g, const char *text)
{
    text += strspn(text, " \t\r\n\v\f");
    const char *rest = text, *first;
    size_t first_bytes;
    next_line(&rest, &first, &first_bytes);
    if (rest && rest[strspn(rest, " \t\r\n\v\f")])
        respond_lines(g, text);
    struct strbuf out;
    strbuf_init(&out);
    strbuf_adds(&out, "!! ");
    strbuf_add(&out, first, first_bytes);
    gcode_respond_raw(g, out.data);
    strbuf_deinit(&out);
}
