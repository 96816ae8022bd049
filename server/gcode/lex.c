/* The lexer. Two kinds of commands share one alphabet:
 *   traditional  G1 X10.5Y2 F3000 *71   keys are runs of letters, a value is all text up to the next key
 *   extended     SET_PIN PIN=fan VALUE="0.5"   words split like a shell's, each KEY=value
 * The name decides which: it is the first key with the text behind it ("G1", "SET_PIN", "PRINT_START2"), or the second
 * one behind a line number. Only the part before ';' is code. One pass for the name, one for the parameters, everything
 * written with terminating zeros into the command's own buffer; nothing is allocated once buffers have grown. */
#include "base/mem.h"
#include "base/utf8.h"
#include "server/gcode/private.h"

#include <string.h>

static inline char to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

static inline bool is_key(char c)
{
    char u = to_upper(c);
    return (u >= 'A' && u <= 'Z') || u == '_' || u == '*';
}

static inline bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline bool is_strange(char c)
{
    return c == 0 || (unsigned char)c >= 0x80;
}

static void strip(const char **text, size_t *len_bytes)
{
    const char *p = *text, *end = p + *len_bytes;
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    *text = p;
    *len_bytes = (size_t)(end - p);
}

static enum err malformed(const struct gcode_command *cmd, const char *why, struct err_info *info)
{
    int shown = cmd->text_bytes > 200 ? 200 : (int)cmd->text_bytes;
    return err_set(info, ERR_INVALID, "Malformed command '%.*s%s'%s%s", shown, cmd->text,
                   cmd->text_bytes > 200 ? "..." : "", why ? ": " : "", why ? why : "");
}

/* Code with NUL bytes or bytes that are not UTF-8 is refused; valid UTF-8 passes (M117 Füße). */
static enum err check_bytes(const struct gcode_command *cmd, const char *text, size_t len_bytes, struct err_info *info)
{
    bool has_strange = false;
    for (size_t i = 0; i < len_bytes; i++)
        has_strange |= is_strange(text[i]);
    for (size_t i = 0; has_strange && i < len_bytes;) {
        if (text[i] == 0)
            return malformed(cmd, "it contains a NUL byte", info);
        size_t len = utf8_sequence((const unsigned char *)text + i, len_bytes - i);
        if (len == 0)
            return malformed(cmd, "it is not UTF-8", info);
        i += len;
    }
    return OK;
}

static void reserve(char **buf, size_t *cap, size_t size_bytes)
{
    if (size_bytes <= *cap)
        return;
    size_t grown = *cap ? *cap * 2 : 256;
    while (grown < size_bytes)
        grown *= 2;
    *buf = mem_realloc(*buf, grown);
    *cap = grown;
}

char *lex_copy(char **buf, size_t *cap, const char *text, size_t len_bytes)
{
    reserve(buf, cap, len_bytes + 1);
    memcpy(*buf, text, len_bytes);
    (*buf)[len_bytes] = 0;
    return *buf;
}

/* Append `text` in upper case to the buffer, whose room has been reserved. */
static void put_upper(struct gcode_command *cmd, const char *text, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i++)
        cmd->buf[cmd->buf_bytes++] = to_upper(text[i]);
}

static void put_end(struct gcode_command *cmd)
{
    cmd->buf[cmd->buf_bytes++] = 0;
}

/* End of the key at `p`: a run of letters and underscores, or one asterisk. */
static const char *key_end(const char *p, const char *end)
{
    if (*p == '*')
        return p + 1;
    while (p < end && *p != '*' && is_key(*p))
        p++;
    return p;
}

static const char *value_end(const char *p, const char *end)
{
    while (p < end && !is_key(*p))
        p++;
    return p;
}

enum err lex_name(struct gcode_command *cmd, const char *text, size_t len_bytes, struct err_info *info)
{
    strip(&text, &len_bytes);
    cmd->text = text;
    cmd->text_bytes = len_bytes;
    cmd->has_line = cmd->has_raw = cmd->has_line_number = cmd->has_word = false;
    cmd->param_count = 0;
    memset(cmd->letter_index, 0, sizeof cmd->letter_index);
    cmd->buf_bytes = 0;
    cmd->name = "";
    cmd->name_bytes = 0;
    const char *comment = len_bytes ? memchr(text, ';', len_bytes) : NULL;
    cmd->code_bytes = comment ? (size_t)(comment - text) : len_bytes;
    while (cmd->code_bytes && is_blank(text[cmd->code_bytes - 1]))
        cmd->code_bytes--;
    if (cmd->code_bytes == 0)
        return OK;
    if (cmd->code_bytes > GCODE_LINE_BYTES_MAX)
        return malformed(cmd, "the line is longer than 65536 bytes", info);

    const char *end = text + cmd->code_bytes;
    const char *first = value_end(text, end);
    const char *begin = text;
    const char *stop = first < end ? key_end(first, end) : end;
    if (first == text && stop == text + 1 && to_upper(*text) == 'N') {
        cmd->has_line_number = true;
        begin = value_end(stop, end);
        stop = begin < end ? key_end(begin, end) : end;
    }
    stop = value_end(stop, end);
    size_t name_bytes = (size_t)(stop - begin);
    strip(&begin, &name_bytes);

    enum err e = check_bytes(cmd, text, cmd->code_bytes, info);
    if (e)
        return e;
    /* Room for the name and, later, for every parameter with two zeros each. */
    reserve(&cmd->buf, &cmd->buf_cap, name_bytes + 3 * cmd->code_bytes + 8);
    put_upper(cmd, begin, name_bytes);
    put_end(cmd);
    cmd->name = cmd->buf;
    cmd->name_bytes = name_bytes;
    return OK;
}

/* The next free parameter, its name beginning at the present end of the buffer; NULL: too many. */
static struct param *new_param(struct gcode_command *cmd)
{
    if (cmd->param_count == GCODE_PARAM_COUNT_MAX)
        return NULL;
    if (cmd->param_count == cmd->param_cap) {
        cmd->param_cap = cmd->param_cap ? cmd->param_cap * 2 : 16;
        cmd->params = mem_realloc(cmd->params, cmd->param_cap * sizeof *cmd->params);
    }
    struct param *param = &cmd->params[cmd->param_count++];
    param->name = cmd->buf + cmd->buf_bytes;
    return param;
}

static uint16_t *letter_slot(struct gcode_command *cmd, const char *name)
{
    bool is_letter = name[0] >= 'A' && name[0] <= 'Z' && name[1] == 0;
    return is_letter ? &cmd->letter_index[name[0] - 'A'] : NULL;
}

/* A name given twice keeps its place and takes the new value. `param` is the newest one. */
static void merge_param(struct gcode_command *cmd, const struct param *param)
{
    uint16_t *slot = letter_slot(cmd, param->name);
    size_t newest = cmd->param_count - 1;
    size_t index = newest;
    if (slot && *slot) {
        index = *slot - 1u;
    } else if (!slot) {
        for (index = 0; index < newest && strcmp(cmd->params[index].name, param->name) != 0; index++)
            continue;
    }
    if (index < newest) {
        cmd->params[index].value = param->value;
        cmd->param_count--;
    } else if (slot) {
        *slot = (uint16_t)(newest + 1);
    }
}

enum err lex_letters(struct gcode_command *cmd, struct err_info *info)
{
    const char *end = cmd->text + cmd->code_bytes;
    const char *p = value_end(cmd->text, end);
    while (p < end) {
        struct param *param = new_param(cmd);
        if (!param)
            return malformed(cmd, "it has more than 512 parameters", info);
        const char *stop = key_end(p, end);
        cmd->has_word |= stop - p > 1;
        put_upper(cmd, p, (size_t)(stop - p));
        put_end(cmd);
        const char *value = stop;
        p = value_end(stop, end);
        size_t value_bytes = (size_t)(p - value);
        strip(&value, &value_bytes);
        param->value = cmd->buf + cmd->buf_bytes;
        memcpy(cmd->buf + cmd->buf_bytes, value, value_bytes); /* no letters in it: nothing to turn upper case */
        cmd->buf_bytes += value_bytes;
        put_end(cmd);
        merge_param(cmd, param);
    }
    return OK;
}

/* All text behind the command's name. A line with a number in front also loses its checksum. */
void lex_raw_range(const struct gcode_command *cmd, const char **text, size_t *len_bytes)
{
    const char *begin = cmd->text, *end = cmd->text + cmd->text_bytes;
    if (cmd->has_line_number) {
        begin = value_end(cmd->text + 1, end);
        const char *star = memrchr(cmd->text, '*', cmd->text_bytes);
        if (star && star + 1 < end) {
            const char *p = star + 1;
            while (p < end && *p >= '0' && *p <= '9')
                p++;
            end = p == end ? star : end;
        }
    }
    size_t name_bytes = (size_t)(end - begin) < cmd->name_bytes ? (size_t)(end - begin) : cmd->name_bytes;
    begin += name_bytes;
    if (begin < end && is_blank(*begin))
        begin++;
    *text = begin;
    *len_bytes = (size_t)(end - begin);
}

/* One shell-like word at *pos, without its quotes, into the buffer. Returns 1: a word, 0: no more, -1: an open quote or
 * a backslash at the end. A '#' or ';' outside of quotes ends the line. */
static int next_word(struct gcode_command *cmd, const char **pos, const char *end)
{
    const char *p = *pos;
    while (p < end && is_blank(*p))
        p++;
    if (p == end || *p == '#' || *p == ';') {
        *pos = end;
        return 0;
    }
    char quote = 0;
    for (; p < end; p++) {
        char c = *p;
        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
            continue;
        }
        if (!quote && (is_blank(c) || c == '#' || c == ';'))
            break;
        if (c == '\\' && quote != '\'') {
            if (p + 1 == end)
                return -1;
            bool is_escape = !quote || p[1] == '"' || p[1] == '\\';
            p += is_escape;
            c = *p;
        }
        cmd->buf[cmd->buf_bytes++] = c;
    }
    put_end(cmd);
    *pos = p < end && !is_blank(*p) ? end : p;
    return quote ? -1 : 1;
}

enum err lex_pairs(struct gcode_command *cmd, struct err_info *info)
{
    const char *p = NULL;
    size_t len_bytes = 0;
    lex_raw_range(cmd, &p, &len_bytes);
    const char *end = p + len_bytes;
    /* Quoted text may hold ';', so that more than the code counts here. */
    if (len_bytes > GCODE_LINE_BYTES_MAX)
        return malformed(cmd, "the line is longer than 65536 bytes", info);
    enum err e = cmd->text_bytes > cmd->code_bytes ? check_bytes(cmd, p, len_bytes, info) : OK;
    if (e)
        return e;
    reserve(&cmd->buf, &cmd->buf_cap, cmd->buf_bytes + 2 * len_bytes + 8);
    cmd->name = cmd->buf;
    for (;;) {
        struct param *param = new_param(cmd);
        char *word = cmd->buf + cmd->buf_bytes;
        int result = param ? next_word(cmd, &p, end) : -1;
        if (result <= 0) {
            cmd->param_count -= param != NULL;
            return result == 0 ? OK : malformed(cmd, param ? NULL : "it has more than 512 parameters", info);
        }
        char *equals = strchr(word, '=');
        if (!equals)
            return malformed(cmd, NULL, info);
        *equals = 0;
        param->value = equals + 1;
        for (char *c = word; *c; c++)
            *c = to_upper(*c);
        merge_param(cmd, param);
    }
}
