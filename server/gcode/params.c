/* What handlers ask a command: texts and numbers of its parameters, with the error texts users know. */
#include "base/check.h"
#include "server/gcode/private.h"

#include <stdlib.h>
#include <string.h>

struct gcode *gcode_of(const struct gcode_command *cmd)
{
    return cmd->g;
}

const char *gcode_name(const struct gcode_command *cmd)
{
    return cmd->name;
}

const char *gcode_line(const struct gcode_command *cmd)
{
    struct gcode_command *self = (struct gcode_command *)cmd; /* the copy is a cache, made on first use */
    if (!self->has_line) {
        size_t len = cmd->text_bytes < GCODE_LINE_BYTES_MAX ? cmd->text_bytes : GCODE_LINE_BYTES_MAX;
        lex_copy(&self->line, &self->line_cap, cmd->text, len);
        self->has_line = true;
    }
    return cmd->line;
}

const char *gcode_rawparams(const struct gcode_command *cmd)
{
    struct gcode_command *self = (struct gcode_command *)cmd;
    if (!self->has_raw) {
        const char *text;
        size_t len_bytes;
        lex_raw_range(cmd, &text, &len_bytes);
        lex_copy(&self->raw, &self->raw_cap, text, len_bytes);
        self->has_raw = true;
    }
    return cmd->raw;
}

static const struct param *find(const struct gcode_command *cmd, const char *name)
{
    if (name[0] >= 'A' && name[0] <= 'Z' && name[1] == 0) {
        unsigned index = cmd->letter_index[name[0] - 'A'];
        return index ? &cmd->params[index - 1] : NULL;
    }
    for (size_t i = 0; i < cmd->param_count; i++)
        if (strcmp(cmd->params[i].name, name) == 0)
            return &cmd->params[i];
    return NULL;
}

const char *gcode_get(const struct gcode_command *cmd, const char *name)
{
    const struct param *param = find(cmd, name);
    return param ? param->value : NULL;
}

bool gcode_has(const struct gcode_command *cmd, const char *name)
{
    return find(cmd, name) != NULL;
}

size_t gcode_param_count(const struct gcode_command *cmd)
{
    return cmd->param_count;
}

void gcode_param_at(const struct gcode_command *cmd, size_t index, const char **name, const char **value)
{
    CHECK(index < cmd->param_count);
    *name = cmd->params[index].name;
    *value = cmd->params[index].value;
}

enum err gcode_get_str(struct gcode_command *cmd, const char *name, const char **out, struct err_info *info)
{
    const struct param *param = find(cmd, name);
    if (!param)
        return err_set(info, ERR_INVALID, "Error on '%s': missing %s", gcode_line(cmd), name);
    *out = param->value;
    return OK;
}

static enum err unparsable(struct gcode_command *cmd, const char *value, struct err_info *info)
{
    return err_set(info, ERR_INVALID, "Error on '%s': unable to parse %s", gcode_line(cmd), value);
}

static enum err parse_double(struct gcode_command *cmd, const char *value, double *out, struct err_info *info)
{
    if (gcode_parse_double(value, strlen(value), out) != OK)
        return unparsable(cmd, value, info);
    return OK;
}

/* A whole number: digits with an optional sign, within the range of long. */
static enum err parse_int(struct gcode_command *cmd, const char *value, long *out, struct err_info *info)
{
    static const long limit = 1L << 53; /* beyond it a comparison with limits in double would lie */
    const char *p = value + strspn(value, " \t");
    const char *digits = p + (*p == '+' || *p == '-');
    size_t count = strspn(digits, "0123456789");
    if (count == 0 || count > 17 || digits[count + strspn(digits + count, " \t")] != 0)
        return unparsable(cmd, value, info);
    long number = strtol(p, NULL, 10);
    if (number > limit || number < -limit)
        return unparsable(cmd, value, info);
    *out = number;
    return OK;
}

/* `is_whole`: bounds are shown as Python shows an int. */
static enum err out_of_bounds(struct gcode_command *cmd, const char *name, const char *words, double bound,
                              bool is_whole, struct err_info *info)
{
    struct strbuf text;
    strbuf_init(&text);
    if (is_whole)
        strbuf_addf(&text, "%.0f", bound);
    else
        gcode_format_number(&text, bound);
    enum err e = err_set(info, ERR_INVALID, "Error on '%s': %s must %s %s", gcode_line(cmd), name, words, text.data);
    strbuf_deinit(&text);
    return e;
}

static enum err check_limits(struct gcode_command *cmd, const char *name, double value, struct gcode_limits limits,
                             bool is_whole, struct err_info *info)
{
    if (value < limits.min)
        return out_of_bounds(cmd, name, "have minimum of", limits.min, is_whole, info);
    if (value > limits.max)
        return out_of_bounds(cmd, name, "have maximum of", limits.max, is_whole, info);
    if (value <= limits.above)
        return out_of_bounds(cmd, name, "be above", limits.above, is_whole, info);
    if (value >= limits.below)
        return out_of_bounds(cmd, name, "be below", limits.below, is_whole, info);
    return OK;
}

enum err gcode_get_double_in(struct gcode_command *cmd, const char *name, struct gcode_limits limits, double *out,
                             struct err_info *info)
{
    const char *text = NULL;
    double value = 0.0;
    enum err e = gcode_get_str(cmd, name, &text, info);
    if (!e)
        e = parse_double(cmd, text, &value, info);
    if (!e)
        e = check_limits(cmd, name, value, limits, false, info);
    if (!e)
        *out = value;
    return e;
}

enum err gcode_get_int_in(struct gcode_command *cmd, const char *name, struct gcode_limits limits, long *out,
                          struct err_info *info)
{
    const char *text = NULL;
    long value = 0;
    enum err e = gcode_get_str(cmd, name, &text, info);
    if (!e)
        e = parse_int(cmd, text, &value, info);
    if (!e)
        e = check_limits(cmd, name, (double)value, limits, true, info);
    if (!e)
        *out = value;
    return e;
}

enum err gcode_get_double(struct gcode_command *cmd, const char *name, double *out, struct err_info *info)
{
    return gcode_get_double_in(cmd, name, GCODE_ANY, out, info);
}

enum err gcode_get_int(struct gcode_command *cmd, const char *name, long *out, struct err_info *info)
{
    return gcode_get_int_in(cmd, name, GCODE_ANY, out, info);
}

enum err gcode_opt_double(struct gcode_command *cmd, const char *name, struct gcode_limits limits, double *out,
                          struct err_info *info)
{
    return gcode_has(cmd, name) ? gcode_get_double_in(cmd, name, limits, out, info) : OK;
}

enum err gcode_opt_int(struct gcode_command *cmd, const char *name, struct gcode_limits limits, long *out,
                       struct err_info *info)
{
    return gcode_has(cmd, name) ? gcode_get_int_in(cmd, name, limits, out, info) : OK;
}

bool gcode_ack(struct gcode_command *cmd, const char *text)
{
    if (!cmd->wants_ack)
        return false;
    struct strbuf line;
    strbuf_init(&line);
    strbuf_addf(&line, text && *text ? "ok %s" : "ok%s", text ? text : "");
    gcode_respond_raw(cmd->g, line.data);
    strbuf_deinit(&line);
    cmd->wants_ack = false;
    return true;
}
