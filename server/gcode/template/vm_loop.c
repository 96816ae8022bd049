#include "server/gcode/template/value_private.h"

#include "base/check.h"

#include <string.h>

/* --------------------------------------------------------------------------------------------------- going round */

static int64_t item_count(struct value items)
{
    return items.kind == VALUE_RANGE ? value_range_count(items) : (int64_t)items.seq->count;
}

static struct value item_at(struct value items, int64_t index)
{
    return items.kind == VALUE_RANGE ? value_range_item(items, index) : items.seq->items[index];
}

enum err loop_begin(struct jinja_run *run, struct value iterable, unsigned flags)
{
    struct loop_state *loop = run_alloc(run, sizeof *loop);
    if (!loop)
        return ERR_LIMIT;
    const struct value_dict *dict = iterable.kind == VALUE_DICT ? iterable.dict
                                    : iterable.kind == VALUE_ITERATOR && iterable.iterator->is_view
                                        ? iterable.iterator->list.dict
                                        : NULL;
    /* Lists, tuples and ranges are walked where they are; everything else gives its items first. */
    if (iterable.kind != VALUE_LIST && iterable.kind != VALUE_TUPLE && iterable.kind != VALUE_RANGE) {
        enum err err = value_iterate(run, iterable, &iterable);
        if (err != OK)
            return err;
    }
    unsigned entry = flags & FOR_RECURSIVE ? flags >> 8 : 0;
    unsigned depth = entry && run->loop && run->loop->entry == entry ? run->loop->depth + 1 : 0;
    *loop = (struct loop_state){.outer = run->loop,
                                .run = run,
                                .items = iterable,
                                .dict = dict,
                                .dict_count = dict ? dict->count : 0,
                                .index = -1,
                                .depth = depth,
                                .entry = entry,
                                .has_loop_variable = (flags & FOR_HAS_LOOP) != 0,
                                .scope = run->scope};
    run->loop = loop;
    return OK;
}

bool loop_next(struct jinja_run *run, struct value *item)
{
    struct loop_state *loop = run->loop;
    if (loop->dict && loop->dict->count != loop->dict_count) {
        (void)value_error(run, "RuntimeError", "dictionary changed size during iteration");
        return false;
    }
    if (loop->index + 1 >= item_count(loop->items))
        return false;
    loop->index++;
    *item = item_at(loop->items, loop->index);
    run->scope = scope_new(run, loop->scope);
    if (!run->scope)
        return false;
    if (loop->has_loop_variable)
        scope_bind(run, run->scope, run->code->loop_name, value_object(run, &loop_object_type, loop));
    return true;
}

/* ------------------------------------------------------------------------------------------------- the loop object */

/* loop.cycle("a", "b") */
static enum err loop_cycle(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    const struct loop_state *loop = ctx;
    if (call->count == 0)
        return value_error(run, "TypeError", "no items for cycling given");
    *out = call->args[(size_t)loop->index % call->count];
    return OK;
}

/* loop.changed(value): is it another than at the last call? */
static enum err loop_changed(struct jinja_run *run, void *ctx, const struct value_call *call, struct value *out)
{
    struct loop_state *loop = ctx;
    struct value now = value_tuple(run, call->count);
    if (run->has_failed)
        return ERR_LIMIT;
    if (call->count)
        memcpy(now.seq->items, call->args, sizeof *call->args * call->count);
    bool is_equal = false;
    if (loop->has_changed) {
        enum err err = value_equal(run, loop->changed, now, &is_equal);
        if (err != OK)
            return err;
    }
    loop->changed = now;
    loop->has_changed = true;
    *out = value_bool(!is_equal);
    return OK;
}

enum loop_member {
    LOOP_INDEX,
    LOOP_INDEX0,
    LOOP_REVINDEX,
    LOOP_REVINDEX0,
    LOOP_FIRST,
    LOOP_LAST,
    LOOP_LENGTH,
    LOOP_DEPTH,
    LOOP_DEPTH0,
    LOOP_PREVITEM,
    LOOP_NEXTITEM,
    LOOP_CYCLE,
    LOOP_CHANGED
};
static const char *const loop_members[] = {"index", "index0", "revindex", "revindex0", "first", "last",   "length",
                                           "depth", "depth0", "previtem", "nextitem",  "cycle", "changed"};

static struct value neighbour(struct jinja_run *run, const struct loop_state *loop, int64_t index, const char *what)
{
    if (index < 0 || index >= item_count(loop->items))
        return value_undefined(run, what);
    return item_at(loop->items, index);
}

static enum err loop_get(struct jinja_run *run, void *ctx, const char *name, size_t len_bytes, struct value *out)
{
    struct loop_state *loop = ctx;
    size_t i = 0;
    while (i < ARRAY_COUNT(loop_members) &&
           (strlen(loop_members[i]) != len_bytes || memcmp(loop_members[i], name, len_bytes) != 0))
        i++;
    if (i == ARRAY_COUNT(loop_members))
        return ERR_NOT_FOUND;
    int64_t count = item_count(loop->items);
    switch ((enum loop_member)i) {
    case LOOP_INDEX:
        *out = value_int(loop->index + 1);
        break;
    case LOOP_INDEX0:
        *out = value_int(loop->index);
        break;
    case LOOP_REVINDEX:
        *out = value_int(count - loop->index);
        break;
    case LOOP_REVINDEX0:
        *out = value_int(count - loop->index - 1);
        break;
    case LOOP_FIRST:
        *out = value_bool(loop->index == 0);
        break;
    case LOOP_LAST:
        *out = value_bool(loop->index + 1 == count);
        break;
    case LOOP_LENGTH:
        *out = value_int(count);
        break;
    case LOOP_DEPTH:
        *out = value_int(loop->depth + 1);
        break;
    case LOOP_DEPTH0:
        *out = value_int(loop->depth);
        break;
    case LOOP_PREVITEM:
        *out = neighbour(run, loop, loop->index - 1, "there is no previous item");
        break;
    case LOOP_NEXTITEM:
        *out = neighbour(run, loop, loop->index + 1, "there is no next item");
        break;
    case LOOP_CYCLE:
        *out = value_native(run, "cycle", loop_cycle, loop);
        break;
    case LOOP_CHANGED:
        *out = value_native(run, "changed", loop_changed, loop);
        break;
    }
    return OK;
}

static enum err loop_text(struct jinja_run *run, void *ctx, struct value *out)
{
    const struct loop_state *loop = ctx;
    char *text = arena_sprintf(&run->arena, "<LoopContext %lld/%lld>", (long long)loop->index + 1,
                               (long long)item_count(loop->items));
    *out = value_cstr(run, text);
    return OK;
}

/* The loop is an iterator over (item, loop): going through it takes the items from the loop itself. */
static enum err loop_rest(struct jinja_run *run, void *ctx, struct value *out)
{
    struct loop_state *loop = ctx;
    *out = value_list(run);
    while (!run->has_failed && loop->index + 1 < item_count(loop->items) && run_charge(run, 1)) {
        struct value pair = value_tuple(run, 2);
        if (run->has_failed)
            break;
        loop->index++;
        pair.seq->items[0] = item_at(loop->items, loop->index);
        pair.seq->items[1] = value_object(run, &loop_object_type, loop);
        (void)value_append(run, *out, pair);
    }
    return run->has_failed ? ERR_LIMIT : OK;
}

static int64_t loop_length(void *ctx)
{
    return item_count(((const struct loop_state *)ctx)->items);
}

const struct value_object_type loop_object_type = {
    .type_name = "LoopContext", .get = loop_get, .text = loop_text, .rest = loop_rest, .length = loop_length};
