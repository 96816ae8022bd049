/* The dispatcher: turns (one script at a time), nesting, errors and console output.
 *
 * Each nesting depth has a frame of its own (struct gcode_command), kept for reuse, so that running a line allocates
 * nothing once the buffers have grown and little of a fiber's stack is used. */
#include "server/gcode/gcode.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/mem.h"
#include "server/gcode/private.h"

#include <stdio.h>
#include <string.h>

static const struct gcode_source no_source = {GCODE_NO_OFFSET, GCODE_NO_OFFSET};

struct gcode *gcode_create(void)
{
    struct gcode *g = MEM_NEW(struct gcode);
    table_init(&g->table);
    list_init(&g->waiters);
    g->source = no_source;
    g->state_message = mem_strdup("Printer is not ready");
    gcode_set_firmware(g, "Lockstep", "unknown");
    enum err e = core_register(g, NULL);
    CHECK(e == OK);
    return g;
}

static void frame_destroy(struct gcode_command *frame)
{
    if (!frame)
        return;
    mem_free(frame->buf);
    mem_free(frame->params);
    mem_free(frame->line);
    mem_free(frame->raw);
    mem_free(frame);
}

void gcode_destroy(struct gcode *g)
{
    if (!g)
        return;
    CHECK(g->depth == 0 && g->hold_count == 0);
    for (unsigned i = 0; i < GCODE_DEPTH_MAX; i++)
        frame_destroy(g->frames[i]);
    table_deinit(&g->table);
    mem_free(g->state_message);
    mem_free(g->firmware);
    mem_free(g);
}

/* --- state --- */

void gcode_set_ready(struct gcode *g, bool is_ready, const char *state_message)
{
    if (g->is_ready != is_ready)
        g->table.version++;
    g->is_ready = is_ready;
    char *copy = mem_strdup(state_message);
    mem_free(g->state_message);
    g->state_message = copy;
}

bool gcode_is_ready(const struct gcode *g)
{
    return g->is_ready;
}

void gcode_set_batch(struct gcode *g, bool is_batch)
{
    g->is_batch = is_batch;
}

void gcode_set_firmware(struct gcode *g, const char *name, const char *version)
{
    mem_free(g->firmware);
    g->firmware = mem_sprintf("FIRMWARE_NAME:%s FIRMWARE_VERSION:%s", name, version);
}

void gcode_set_emergency(struct gcode *g, gcode_emergency_fn *fn, void *ctx)
{
    g->emergency = fn;
    g->emergency_ctx = ctx;
}

/* --- turns --- */

struct waiter {
    struct list node;
    struct fiber *fiber;
    bool has_turn;
};

static enum err wait_turn(struct gcode *g, struct fiber *self, bool is_first)
{
    struct waiter *waiter = MEM_NEW(struct waiter);
    waiter->fiber = self;
    if (is_first)
        list_prepend(&g->waiters, &waiter->node);
    else
        list_append(&g->waiters, &waiter->node);
    enum err e = OK;
    while (!waiter->has_turn && !e)
        e = fiber_park(HOST_NS_NEVER);
    if (waiter->has_turn)
        e = OK; /* a cancel that came with the turn is seen by the next wait */
    else
        list_remove(&waiter->node);
    mem_free(waiter);
    return e;
}

enum err gcode_lock(struct gcode *g)
{
    struct fiber *self = fiber_current();
    if (g->hold_count && g->owner != self) {
        CHECK(self); /* only fibers can wait */
        return wait_turn(g, self, false);
    }
    g->owner = self;
    g->hold_count++;
    return OK;
}

enum err gcode_seize(struct gcode *g)
{
    struct fiber *self = fiber_current();
    if (!g->hold_count || g->owner == self)
        return gcode_lock(g);
    CHECK(self);
    gcode_cancel_running(g);
    return wait_turn(g, self, true);
}

/* The turn goes straight to the first who waits, so that nobody can come in between. */
void gcode_unlock(struct gcode *g)
{
    CHECK(g->hold_count > 0 && g->owner == fiber_current());
    if (--g->hold_count)
        return;
    g->owner = NULL;
    if (list_is_empty(&g->waiters))
        return;
    struct waiter *first = CONTAINER_OF(g->waiters.next, struct waiter, node);
    list_remove(&first->node);
    first->has_turn = true;
    g->owner = first->fiber;
    g->hold_count = 1;
    fiber_wake(first->fiber);
}

void gcode_cancel_running(struct gcode *g)
{
    if (g->hold_count && g->owner && g->owner != fiber_current())
        fiber_cancel(g->owner);
}

bool gcode_is_busy(const struct gcode *g)
{
    return g->hold_count > 0;
}

unsigned gcode_depth(const struct gcode *g)
{
    return g->depth;
}

const struct gcode_source *gcode_source(const struct gcode *g)
{
    return &g->source;
}

const char *gcode_current_line(const struct gcode *g)
{
    return g->depth ? gcode_line(g->frames[0]) : "";
}

/* --- running --- */

static struct gcode_command *frame_at(struct gcode *g, unsigned depth)
{
    if (!g->frames[depth]) {
        g->frames[depth] = MEM_NEW(struct gcode_command);
        g->frames[depth]->g = g;
    }
    return g->frames[depth];
}

/* Run one line in `frame`. */
static enum err dispatch(struct gcode_command *frame, const char *line, size_t len_bytes, struct err_info *info)
{
    struct gcode *g = frame->g;
    enum err e = lex_name(frame, line, len_bytes, info);
    if (e || frame->name_bytes == 0)
        return e;
    const struct entry *entry = table_find(&g->table, frame->name, frame->name_bytes);
    if (!entry || (!g->is_ready && !entry->when_not_ready))
        return core_default(frame, info);
    /* The handler may unregister its own entry. */
    gcode_handler_fn *fn = entry->fn;
    void *ctx = entry->ctx;
    if (!entry->takes_text)
        e = entry->is_traditional ? lex_letters(frame, info) : lex_pairs(frame, info);
    if (!e && entry->watch)
        entry->watch(entry->watch_ctx, entry->watch_name, frame);
    return e ? e : fn(ctx, frame, info);
}

static void tell_error(struct gcode *g, enum err code, const char *text)
{
    for (size_t i = 0; i < g->error_listener_count; i++)
        g->error_listeners[i].fn(g->error_listeners[i].ctx, code, text);
}

/* Words for errors that came without: a wait that was cancelled, a printer that stopped. */
static void complete_info(struct gcode *g, struct gcode_command *frame, enum err code, struct err_info *info)
{
    if (info->text[0])
        return;
    if (code == ERR_SHUTDOWN && !g->is_ready)
        err_set(info, code, "%s", g->state_message);
    else
        err_set(info, code, "Error on '%s': %s", gcode_line(frame), err_name(code));
}

/* Say which line has failed, if its text does not: the innermost one, and where it came from. */
static void place_error(struct gcode *g, struct gcode_command *frame, struct err_info *info)
{
    bool is_nested = g->depth > 0, is_from_file = g->source.file_offset != GCODE_NO_OFFSET;
    if (g->is_error_placed || (!is_nested && !is_from_file))
        return;
    g->is_error_placed = true;
    size_t used = strlen(info->text);
    const char *line = gcode_line(frame);
    bool is_named = strstr(info->text, line) != NULL;
    if ((is_named && !is_from_file) || used + 2 >= sizeof info->text)
        return;
    struct strbuf place;
    strbuf_init(&place);
    strbuf_addf(&place, "\nin '%.200s'", line);
    if (is_nested)
        strbuf_addf(&place, ", run by '%.200s'", gcode_line(g->frames[0]));
    if (is_from_file)
        strbuf_addf(&place, ", byte %llu of the file", (unsigned long long)g->source.file_offset);
    snprintf(info->text + used, sizeof info->text - used, "%s", place.data);
    strbuf_deinit(&place);
}

/* One line in a frame of its own, with the error told to whom it concerns. */
static enum err run_one(struct gcode *g, const char *line, size_t len_bytes, bool wants_ack, struct err_info *info)
{
    struct gcode_command *frame = frame_at(g, g->depth);
    if (!info)
        info = &frame->info;
    info->text[0] = 0;
    g->is_error_placed = false;
    frame->wants_ack = wants_ack;
    g->depth++;
    enum err e = dispatch(frame, line, len_bytes, info);
    g->depth--;
    if (e) {
        complete_info(g, frame, e, info);
        place_error(g, frame, info);
        tell_error(g, e, info->text);
        if (g->depth == 0 && e != ERR_CANCELLED)
            gcode_respond_error(g, info->text);
    }
    if (frame->wants_ack)
        gcode_ack(frame, NULL);
    return e;
}

/* May another script begin here? */
static enum err begin(struct gcode *g, struct err_info *info)
{
    if (gcode_lock(g))
        return err_set(info, ERR_CANCELLED, "The command was cancelled before its turn came");
    if (g->depth < GCODE_DEPTH_MAX)
        return OK;
    gcode_unlock(g);
    return err_set(info, ERR_LIMIT, "Scripts are nested more than %d deep: does a macro call itself?", GCODE_DEPTH_MAX);
}

static bool is_cancelled(void)
{
    const struct fiber *self = fiber_current();
    return self && fiber_is_cancelled(self);
}

static enum err run_lines(struct gcode *g, const char *text, size_t len_bytes, bool is_console, struct err_info *info)
{
    const char *p = text, *end = text + len_bytes;
    while (p < end) {
        if (is_cancelled() && !is_console)
            return err_set(info, ERR_CANCELLED, "The script was cancelled");
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t line_bytes = (size_t)((line_end ? line_end : end) - p);
        enum err e = run_one(g, p, line_bytes, is_console, info);
        if (e && !is_console)
            return e;
        p += line_bytes + 1;
    }
    return OK;
}

enum err gcode_run_script(struct gcode *g, const char *text, size_t len_bytes, struct err_info *info)
{
    enum err e = begin(g, info);
    if (e)
        return e;
    e = run_lines(g, text, len_bytes, false, info);
    gcode_unlock(g);
    return e;
}

enum err gcode_run_line(struct gcode *g, const char *line, size_t len_bytes, const struct gcode_source *source,
                        struct err_info *info)
{
    enum err e = begin(g, info);
    if (e)
        return e;
    struct gcode_source outer = g->source;
    g->source = source ? *source : outer;
    e = run_one(g, line, len_bytes, false, info);
    g->source = outer;
    gcode_unlock(g);
    return e;
}

void gcode_run_console(struct gcode *g, const char *text, size_t len_bytes)
{
    if (begin(g, NULL))
        return;
    enum err ignored = run_lines(g, text, len_bytes, true, NULL); /* each line has reported for itself */
    (void)ignored;
    gcode_unlock(g);
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "M112" at the start of a line, perhaps behind a line number, and no further letter or digit. */
static bool is_emergency_line(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    if (p < end && (*p == 'N' || *p == 'n')) {
        p++;
        while (p < end && is_digit(*p))
            p++;
        while (p < end && is_blank(*p))
            p++;
    }
    if (end - p < 4 || (*p != 'M' && *p != 'm') || memcmp(p + 1, "112", 3) != 0)
        return false;
    return end - p == 4 || is_blank(p[4]) || p[4] == ';' || p[4] == '*';
}

bool gcode_has_emergency(const char *text, size_t len_bytes)
{
    const char *p = text, *end = text + len_bytes;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        if (!line_end)
            line_end = end;
        if (is_emergency_line(p, line_end))
            return true;
        p = line_end + 1;
    }
    return false;
}
