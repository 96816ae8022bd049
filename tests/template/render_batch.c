/* Renders many templates in one process, for the differential test: each line of standard input is a JSON object with
 * "t" (the template) and "c" (its variables); each line of output is {"text": ...} or {"error": ...}. */
#include "base/mem.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum err render(const json_t *request, struct strbuf *out, struct err_info *info)
{
    const json_t *text = json_object_get(request, "t"), *options_json = json_object_get(request, "o");
    struct jinja_options options = {.name = "test",
                                    .trim_blocks = json_is_true(json_object_get(options_json, "trim_blocks")),
                                    .lstrip_blocks = json_is_true(json_object_get(options_json, "lstrip_blocks")),
                                    .keep_trailing_newline =
                                        json_is_true(json_object_get(options_json, "keep_trailing_newline"))};
    struct jinja *code;
    enum err err = jinja_compile(json_string_value(text), json_string_length(text), &options, &code, info);
    if (err != OK)
        return err;
    struct jinja_limits limits = {.seed = 1};
    struct jinja_run *run = jinja_begin(code, &limits);
    void *iter = json_object_iter(json_object_get(request, "c"));
    for (; iter && err == OK; iter = json_object_iter_next(json_object_get(request, "c"), iter)) {
        char *member = json_dumps(json_object_iter_value(iter), JSON_ENCODE_ANY);
        struct value v;
        err = value_from_json(run, member, strlen(member), &v, info);
        free(member);
        if (err == OK)
            jinja_set(run, json_object_iter_key(iter), v);
    }
    if (err == OK)
        err = jinja_execute(run, out, info);
    jinja_end(run);
    jinja_destroy(code);
    return err;
}

int main(void)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    while ((len = getline(&line, &capacity, stdin)) > 0) {
        json_t *request = json_loadb(line, (size_t)len, JSON_ALLOW_NUL, NULL);
        if (!request)
            return 1;
        struct strbuf text, answer;
        strbuf_init(&text);
        strbuf_init(&answer);
        struct err_info info;
        bool is_good = render(request, &text, &info) == OK;
        strbuf_adds(&answer, is_good ? "{\"text\": " : "{\"error\": ");
        if (is_good)
            strbuf_add_json_string(&answer, text.data, text.len_bytes);
        else
            strbuf_add_json_string(&answer, info.text, strlen(info.text));
        printf("%s}\n", answer.data);
        fflush(stdout);
        strbuf_deinit(&text);
        strbuf_deinit(&answer);
        json_decref(request);
    }
    free(line);
    return 0;
}
