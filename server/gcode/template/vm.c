#include "server/gcode/template/vm.h"

#include "base/check.h"

#include <stdio.h>
#include <string.h>

#define STACK_FIRST      64
#define STACK_VALUES_MAX 100000
#define SHOWN_BYTES_MAX  120 /* of the line in an error text */

/* ------------------------------------------------------------------------------------------- budget and failure */

/* The template's line `line` without the white space around it. */
static const char *source_line(const struct jinja *code, unsigned line, int *len)
{
    const char *p = code->source;
    for (; line > 1 && *p; p++)
        line -= *p == '\n';
    p += strspn(p, " \t");
    const char *end = p + strcspn(p, "\n");
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    *len = end - p > SHOWN_BYTES_MAX ? SHOWN_BYTES_MAX : (int)(end - p);
    return p;
}

static enum err fail_words(struct jinja_run *run, const char *kind, const char *text)
{
    if (!run->has_failed) {
        run->has_failed = true;
        unsigned line = run->code->op_count ? run->code->lines[run->at] : 0;
        int shown;
        const char *source = source_line(run->code, line, &shown);
        char place[160];
        if (run->code->file)
            (void)snprintf(place, sizeof place, " (%.120s:%u)", run->code->file, shown_line(run->code, line));
        else
            (void)snprintf(place, sizeof place, ": line %u", line);
        (void)err_set(&run->error, ERR_INVALID, "%s%s: %s%s%.600s, in '%.*s'", run->code->name, place, kind ? kind : "",
                      kind ? ": " : "", text, shown, source);
    }
    return ERR_INVALID;
}

enum err value_error(struct jinja_run *run, const char *python_kind, const char *fmt, ...)
{
    struct err_info words;
    va_list args;
    va_start(args, fmt);
    (void)err_vset(&words, ERR_INVALID, fmt, args);
    va_end(args);
    return fail_words(run, python_kind, words.text);
}

enum err value_raise(struct jinja_run *run, const char *text)
{
    if (!run->has_failed) {
        run->has_failed = true;
        (void)err_set(&run->error, ERR_INVALID, "%s", text);
    }
    return ERR_INVALID;
}

static size_t memory_in_use(const struct jinja_run *run)
{
    size_t used = run->arena.used_bytes + run->stack_capacity * sizeof *run->stack;
    for (size_t i = 0; i < run->output_count; i++)
        used += run->outputs[i].len_bytes;
    return used;
}

bool run_has_room(struct jinja_run *run, size_t size_bytes)
{
    size_t used = memory_in_use(run), limit = run->limits.memory_max_bytes;
    if (used <= limit && size_bytes <= limit - used)
        return true;
    (void)value_error(run, "MemoryError", "the template uses more than %zu bytes of memory", limit);
    return false;
}

void *run_alloc(struct jinja_run *run, size_t size_bytes)
{
    return run_has_room(run, size_bytes) ? arena_alloc(&run->arena, size_bytes) : NULL;
}

bool run_charge(struct jinja_run *run, uint64_t count)
{
    run->steps += count;
    if (run->steps <= run->limits.steps_max)
        return true;
    (void)value_error(run, "RuntimeError", "the template runs for more than %llu steps: an endless loop?",
                      (unsigned long long)run->limits.steps_max);
    return false;
}

/* ---------------------------------------------------------------------------------------------------- begin, end */

struct jinja_run *jinja_begin(const struct jinja *code, const struct jinja_limits *limits)
{
    struct jinja_run *run = MEM_NEW(struct jinja_run);
    run->code = code;
    run->limits = limits ? *limits : (struct jinja_limits){0};
    if (!run->limits.steps_max)
        run->limits.steps_max = JINJA_STEPS_MAX;
    if (!run->limits.memory_max_bytes)
        run->limits.memory_max_bytes = JINJA_MEMORY_BYTES_MAX;
    rng_init(&run->rng, run->limits.seed);
    arena_init(&run->arena, 0);
    run->scope = &run->root;
    run->stack_capacity = STACK_FIRST + STACK_ROOM;
    run->stack = MEM_ARRAY(struct value, run->stack_capacity);
    return run;
}

struct jinja_run *jinja_begin_inside(const struct jinja *code, struct jinja_run *outer)
{
    if (outer->depth + 1 > JINJA_RENDER_DEPTH_MAX) {
        (void)value_error(outer, "RecursionError", "templates render each other more than %d deep",
                          JINJA_RENDER_DEPTH_MAX);
        return NULL;
    }
    size_t used = memory_in_use(outer);
    if (!run_charge(outer, 1) || !run_has_room(outer, 1))
        return NULL;
    struct jinja_limits limits = {.steps_max = outer->limits.steps_max - outer->steps + 1,
                                  .memory_max_bytes = outer->limits.memory_max_bytes - used,
                                  .seed = rng_below(&outer->rng, UINT32_MAX)};
    struct jinja_run *run = jinja_begin(code, &limits);
    run->outer = outer;
    run->depth = outer->depth + 1;
    return run;
}

void jinja_set(struct jinja_run *run, const char *name, struct value value)
{
    for (unsigned i = 0; i < run->code->name_count; i++)
        if (strcmp(run->code->names[i], name) == 0) {
            scope_bind(run, &run->root, i, value);
            return;
        }
    /* The template does not mention it. */
}

void jinja_end(struct jinja_run *run)
{
    if (!run)
        return;
    if (run->outer)
        run->outer->steps += run->steps;
    for (size_t i = 0; i < run->output_count; i++)
        strbuf_deinit(&run->outputs[i]);
    mem_free(run->outputs);
    mem_free(run->gathers);
    mem_free(run->stack);
    arena_deinit(&run->arena);
    mem_free(run);
}

/* ------------------------------------------------------------------------------------------------------ the stack */

bool stack_reserve(struct jinja_run *run, size_t more)
{
    if (run->stack_count + more <= run->stack_capacity)
        return true;
    if (run->stack_count + more > STACK_VALUES_MAX) {
        (void)value_error(run, "RecursionError", "too many values at once");
        return false;
    }
    while (run->stack_count + more > run->stack_capacity)
        run->stack_capacity *= 2;
    run->stack = mem_realloc(run->stack, sizeof *run->stack * run->stack_capacity);
    return true;
}

enum err jinja_execute(struct jinja_run *run, struct strbuf *out, struct err_info *info)
{
    CHECK(run->output_count == 0);
    if (output_begin(run))
        vm_run(run, 0);
    if (run->has_failed)
        return err_set(info, ERR_INVALID, "%s", run->error.text);
    strbuf_add(out, run->outputs[0].data, run->outputs[0].len_bytes);
    return OK;
}

/* A literal runs on stacks of its own: whoever asks for it may be in the middle of an instruction of the template. */
struct value value_literal(struct jinja_run *run, const struct jinja *literal)
{
    const struct jinja *code = run->code;
    struct value *stack = run->stack, out = value_none();
    size_t count = run->stack_count, capacity = run->stack_capacity;
    unsigned frame_count = run->frame_count, at = run->at;
    run->code = literal;
    run->stack_capacity = STACK_FIRST + STACK_ROOM;
    run->stack = MEM_ARRAY(struct value, run->stack_capacity);
    run->stack_count = 0;
    run->frame_count = 0;
    vm_run(run, 0);
    if (!run->has_failed)
        out = stack_pop(run);
    mem_free(run->stack);
    run->code = code;
    run->stack = stack;
    run->stack_count = count;
    run->stack_capacity = capacity;
    run->frame_count = frame_count;
    run->at = at;
    return out;
}

void *value_alloc(struct jinja_run *run, size_t size_bytes)
{
    return run_alloc(run, size_bytes);
}
