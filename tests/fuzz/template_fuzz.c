/* Any bytes as a template: it compiles or says why; what compiles ends within a small budget, with a text that is UTF-8
 * or an error with words. Any bytes as a literal too. */
#include "base/check.h"
#include "base/strbuf.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char context_json[] =
    "{\"i\": 7, \"n\": -3, \"f\": 2.5, \"s\": \"Hello World\", \"u\": \"Stra\\u00dfe \\ud83d\\ude00\", \"l\": [3, 1, "
    "2], \"ls\": [\"b\", \"A\"], "
    "\"d\": {\"a\": 1, \"b\": [1, 2]}, \"ll\": [[1, 2], [3, 4]], \"params\": {\"X\": \"10\", \"NAME\": \"n\"}, "
    "\"nil\": null, \"t\": true, "
    "\"printer\": {\"toolhead\": {\"position\": [1.0, 2.0, 3.0, 0.0], \"homed_axes\": \"xyz\"}}, "
    "\"users\": [{\"name\": \"ann\", \"age\": 30}, {\"name\": \"Bob\", \"age\": 25}]}";

static void render(const struct jinja *code)
{
    struct jinja_limits limits = {.steps_max = 20000, .memory_max_bytes = 1u << 20, .seed = 1};
    struct jinja_run *run = jinja_begin(code, &limits);
    struct value context, items;
    struct err_info info = {{0}};
    CHECK(value_from_json(run, context_json, sizeof context_json - 1, &context, &info) == OK);
    CHECK(value_items(run, context, &items) == OK);
    for (size_t i = 0; i < items.seq->count; i++)
        jinja_set(run, items.seq->items[i].seq->items[0].str->data, items.seq->items[i].seq->items[1]);
    struct strbuf out;
    strbuf_init(&out);
    if (jinja_execute(run, &out, &info) == OK)
        CHECK(strlen(out.data) <= out.len_bytes);
    else
        CHECK(info.text[0] && out.len_bytes == 0);
    strbuf_deinit(&out);
    jinja_end(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err_info info = {{0}};
    struct jinja_options options = {.name = "fuzz", .trim_blocks = size & 1, .lstrip_blocks = (size & 2) != 0};
    struct jinja *code, *literal;
    if (jinja_compile((const char *)data, size, &options, &code, &info) == OK) {
        render(code);
        jinja_destroy(code);
    } else {
        CHECK(info.text[0]);
    }
    if (jinja_compile_literal((const char *)data, size, &literal, &info) == OK) {
        struct jinja *empty;
        CHECK(jinja_compile("", 0, &options, &empty, &info) == OK);
        struct jinja_run *run = jinja_begin(empty, NULL);
        (void)value_literal(run, literal);
        jinja_end(run);
        jinja_destroy(empty);
        jinja_destroy(literal);
    }
    return 0;
}
