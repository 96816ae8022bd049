#include "tests/sim/checker.h"

#include "tests/sim/wire.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VIOLATIONS_KEPT 64
#define OIDS            256

/* One queue_step: steps at first, first + interval, ... the interval growing by add. */
struct segment {
    uint64_t first, last;
    int64_t before; /* position before its first step */
    uint32_t interval, count;
    int32_t add;
    int32_t sign;
};

struct stepper {
    uint32_t oid, step_pin;
    struct segment *segments;
    size_t count, room;
    uint32_t base; /* clock of the last step queued, modulo 2^32 */
    int64_t position;
    bool dir, needs_reset;
    int trsync; /* stops with this one, -1: none */
};

struct change {
    uint64_t clock;
    int64_t value;
};
struct output {
    uint32_t oid, pin;
    int64_t initial, standard; /* at configuration; at shutdown */
    bool is_limited;
    struct change *changes;
    size_t count, room;
};

struct checker {
    struct wire_dict *dict;
    struct wire_stream to_board, to_host;
    unsigned expected; /* sequence number of the next block to the board */
    bool is_synced;    /* `expected` is known */
    uint64_t now;
    double hz;
    struct stepper steppers[OIDS];
    size_t stepper_count;
    struct output outputs[OIDS];
    size_t output_count;
    bool is_fired[OIDS]; /* trsync by oid */
    struct checker_totals totals;
    uint64_t shutdown_clock;
    size_t violation_count;
    char violations[VIOLATIONS_KEPT][160];
};

static void violate(struct checker *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void violate(struct checker *c, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    if (c->violation_count < VIOLATIONS_KEPT)
        vsnprintf(c->violations[c->violation_count], sizeof(c->violations[0]), fmt, args);
    va_end(args);
    c->violation_count++;
}

static uint64_t extend(const struct checker *c, uint32_t clock)
{
    return c->now + (uint64_t)(int64_t)(int32_t)(clock - (uint32_t)c->now);
}

static void note_lead(struct checker *c, uint64_t clock, const char *what)
{
    double lead_s = ((double)clock - (double)c->now) / c->hz;
    if (lead_s < c->totals.least_lead_s)
        c->totals.least_lead_s = lead_s;
    if (lead_s < 0)
        violate(c, "%s arrived %.6f s late at %.6f s", what, -lead_s, (double)c->now / c->hz);
}

/* --- steppers --- */

static struct stepper *stepper_of(struct checker *c, int64_t oid)
{
    for (size_t i = 0; i < c->stepper_count; i++) {
        if (c->steppers[i].oid == (uint32_t)oid)
            return &c->steppers[i];
    }
    violate(c, "stepper %lld was never configured", (long long)oid);
    return NULL;
}

static uint64_t step_clock(const struct segment *s, uint32_t k)
{
    int64_t n = k;
    return s->first + (uint64_t)(n * (int64_t)s->interval + (int64_t)s->add * (n * (n + 1) / 2));
}

static void queue_step(struct checker *c, const struct wire_msg *msg)
{
    struct stepper *s = stepper_of(c, wire_get(msg, "oid", -1));
    if (!s || s->needs_reset)
        return;
    uint32_t interval = (uint32_t)wire_get(msg, "interval", 0), count = (uint32_t)wire_get(msg, "count", 0);
    int32_t add = (int32_t)(int16_t)wire_get(msg, "add", 0);
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->segments = realloc(s->segments, s->room * sizeof(*s->segments));
    }
    struct segment *seg = &s->segments[s->count];
    *seg = (struct segment){.first = extend(c, s->base + interval),
                            .before = s->position,
                            .interval = interval,
                            .count = count,
                            .add = add,
                            .sign = s->dir ? 1 : -1};
    seg->last = count ? step_clock(seg, count - 1) : seg->first;
    bool is_idle = !s->count || s->segments[s->count - 1].last < c->now;
    if (is_idle)
        note_lead(c, seg->first, "queue_step");
    if (!count)
        violate(c, "queue_step of 0 steps");
    int64_t end_gap = (int64_t)interval + (int64_t)add * ((int64_t)count - 1);
    if (s->count && seg->first <= s->segments[s->count - 1].last)
        violate(c, "steps of pin %u do not follow each other at %.6f s", s->step_pin, (double)seg->first / c->hz);
    if (count > 1 && (end_gap <= 0 || (int64_t)interval + add <= 0))
        violate(c, "steps of pin %u run backwards in time at %.6f s", s->step_pin, (double)seg->first / c->hz);
    s->position += (int64_t)seg->sign * count;
    s->base = (uint32_t)seg->last;
    s->count++;
    c->totals.queue_steps++;
    c->totals.steps += count;
}

/* Steps of a segment at or before `clock`: bisection, the clocks rise. */
static uint32_t steps_until(const struct segment *s, uint64_t clock)
{
    uint32_t lo = 0, hi = s->count;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (step_clock(s, mid) <= clock)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The motor stopped at `clock`: what was queued beyond never happened. */
static void truncate_at(struct stepper *s, uint64_t clock)
{
    while (s->count && s->segments[s->count - 1].first > clock)
        s->position = s->segments[--s->count].before;
    if (s->count && s->segments[s->count - 1].last > clock) {
        struct segment *seg = &s->segments[s->count - 1];
        seg->count = steps_until(seg, clock);
        seg->last = step_clock(seg, seg->count - 1);
        s->position = seg->before + (int64_t)seg->sign * seg->count;
    }
    s->needs_reset = true;
    s->base = 0;
    s->dir = false;
}

static void reset_step_clock(struct checker *c, const struct wire_msg *msg)
{
    struct stepper *s = stepper_of(c, wire_get(msg, "oid", -1));
    if (!s)
        return;
    if (s->count && s->segments[s->count - 1].last >= c->now && !s->needs_reset)
        violate(c, "reset_step_clock while pin %u steps", s->step_pin);
    s->base = (uint32_t)wire_get(msg, "clock", 0);
    s->needs_reset = false;
}

/* --- outputs --- */

static struct output *output_of(struct checker *c, int64_t oid)
{
    for (size_t i = 0; i < c->output_count; i++) {
        if (c->outputs[i].oid == (uint32_t)oid)
            return &c->outputs[i];
    }
    violate(c, "output %lld was never configured", (long long)oid);
    return NULL;
}

static void change_output(struct output *o, uint64_t clock, int64_t value)
{
    if (o->count == o->room) {
        o->room = o->room ? 2 * o->room : 64;
        o->changes = realloc(o->changes, o->room * sizeof(*o->changes));
    }
    o->changes[o->count++] = (struct change){clock, value};
}

static void add_output(struct checker *c, const struct wire_msg *msg)
{
    if (c->output_count < OIDS)
        c->outputs[c->output_count++] = (struct output){.oid = (uint32_t)wire_get(msg, "oid", 0),
                                                        .pin = (uint32_t)wire_get(msg, "pin", 0),
                                                        .initial = wire_get(msg, "value", 0),
                                                        .standard = wire_get(msg, "default_value", 0),
                                                        .is_limited = wire_get(msg, "max_duration", 0) > 0};
}

static void queue_output(struct checker *c, const struct wire_msg *msg, const char *field)
{
    struct output *o = output_of(c, wire_get(msg, "oid", -1));
    if (!o)
        return;
    uint64_t clock = extend(c, (uint32_t)wire_get(msg, "clock", 0));
    note_lead(c, clock, msg->name);
    if (o->count && clock < o->changes[o->count - 1].clock)
        violate(c, "clocks of output pin %u fall at %.6f s", o->pin, (double)clock / c->hz);
    change_output(o, clock, wire_get(msg, field, 0));
}

/* --- messages --- */

static void forget(struct checker *c)
{
    for (size_t i = 0; i < c->stepper_count; i++)
        free(c->steppers[i].segments);
    for (size_t i = 0; i < c->output_count; i++)
        free(c->outputs[i].changes);
    c->stepper_count = c->output_count = 0;
}

static void on_command(struct checker *c, const struct wire_msg *msg)
{
    const char *name = msg->name;
    struct stepper *s;
    c->totals.commands++;
    if (!strcmp(name, "queue_step")) {
        queue_step(c, msg);
    } else if (!strcmp(name, "set_next_step_dir")) {
        if ((s = stepper_of(c, wire_get(msg, "oid", -1))))
            s->dir = wire_get(msg, "dir", 0) != 0;
    } else if (!strcmp(name, "reset_step_clock")) {
        reset_step_clock(c, msg);
    } else if (!strcmp(name, "config_stepper") && c->stepper_count < OIDS) {
        c->steppers[c->stepper_count++] = (struct stepper){
            .oid = (uint32_t)wire_get(msg, "oid", 0), .step_pin = (uint32_t)wire_get(msg, "step_pin", 0), .trsync = -1};
    } else if (!strcmp(name, "stepper_stop_on_trigger")) {
        if ((s = stepper_of(c, wire_get(msg, "oid", -1))))
            s->trsync = (int)wire_get(msg, "trsync_oid", -1);
    } else if (!strcmp(name, "trsync_start")) {
        c->is_fired[wire_get(msg, "oid", 0) & 255] = false;
    } else if (!strcmp(name, "config_digital_out") || !strcmp(name, "config_pwm_out")) {
        add_output(c, msg);
    } else if (!strcmp(name, "queue_digital_out")) {
        queue_output(c, msg, "on_ticks");
    } else if (!strcmp(name, "queue_pwm_out")) {
        queue_output(c, msg, "value");
    } else if (!strcmp(name, "update_digital_out")) {
        struct output *o = output_of(c, wire_get(msg, "oid", -1));
        if (o)
            change_output(o, c->now, wire_get(msg, "value", 0));
    } else if (!strcmp(name, "reset") || !strcmp(name, "config_reset")) {
        forget(c);
        c->totals.is_shut_down = false;
        if (name[0] == 'r')
            c->expected = 0;
    }
}

static void stop_everything(struct checker *c, uint64_t clock)
{
    for (size_t i = 0; i < c->stepper_count; i++)
        truncate_at(&c->steppers[i], clock);
    for (size_t i = 0; i < c->output_count; i++) {
        struct output *o = &c->outputs[i];
        while (o->count && o->changes[o->count - 1].clock > clock)
            o->count--;
        change_output(o, clock, o->standard);
    }
}

static void on_response(struct checker *c, const struct wire_msg *msg)
{
    if (!strcmp(msg->name, "trsync_state")) {
        unsigned oid = wire_get(msg, "oid", 0) & 255;
        if (wire_get(msg, "can_trigger", 1) || c->is_fired[oid])
            return;
        c->is_fired[oid] = true;
        uint32_t clock = (uint32_t)wire_get(msg, "clock", 0); /* 0: it was trsync_trigger, just now */
        for (size_t i = 0; i < c->stepper_count; i++) {
            if (c->steppers[i].trsync != (int)oid)
                continue;
            truncate_at(&c->steppers[i], clock ? extend(c, clock) : c->now);
            c->steppers[i].trsync = -1;
        }
    } else if (!strcmp(msg->name, "stepper_position")) {
        struct stepper *s = stepper_of(c, wire_get(msg, "oid", -1));
        size_t index = s ? (size_t)(s - c->steppers) : 0;
        if (s && checker_position(c, index, c->now) != wire_get(msg, "pos", 0))
            violate(c, "pin %u is at %lld, was told %lld", s->step_pin, (long long)wire_get(msg, "pos", 0),
                    (long long)checker_position(c, index, c->now));
    } else if (!strcmp(msg->name, "shutdown")) {
        const char *why = wire_enum_name(c->dict, "static_string_id", (long)wire_get(msg, "static_string_id", 0));
        violate(c, "shutdown at %.6f s: %s", (double)c->now / c->hz, why ? why : "?");
        stop_everything(c, extend(c, (uint32_t)wire_get(msg, "clock", 0)));
        c->totals.is_shut_down = true;
    }
}

/* A block to the board counts if it has the number the board expects. Who begins to listen in the middle of a conversation
 * learns that number from the board's next answer. */
static void take_block(struct checker *c, bool to_host, const uint8_t *block, size_t len)
{
    const uint8_t *p = block + 2;
    size_t left = len - 5;
    if (to_host && !c->is_synced) {
        c->is_synced = true;
        c->expected = block[1] & 15u;
    }
    if (!to_host) {
        if (!c->is_synced || (block[1] & 15u) != c->expected)
            return;
        c->expected = (c->expected + 1) & 15;
        c->totals.blocks++;
    }
    while (left) {
        struct wire_msg msg;
        size_t n = wire_decode(c->dict, p, left, &msg);
        if (!n) {
            violate(c, "a block %s the board does not decode", to_host ? "from" : "to");
            return;
        }
        (to_host ? on_response : on_command)(c, &msg);
        p += n;
        left -= n;
    }
}

void checker_feed(void *ctx, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes)
{
    struct checker *c = ctx;
    uint8_t block[WIRE_BLOCK_MAX];
    struct wire_stream *stream = to_host ? &c->to_host : &c->to_board;
    c->now = clock.t;
    wire_stream_add(stream, data, len_bytes);
    for (size_t n; (n = wire_stream_next(stream, block)) > 0;)
        take_block(c, to_host, block, n);
}

/* --- life and looking --- */

struct checker *checker_create(const char *dictionary_json, size_t len_bytes)
{
    struct wire_dict *dict = wire_dict_create(dictionary_json, len_bytes);
    if (!dict)
        return NULL;
    struct checker *c = calloc(1, sizeof(*c));
    c->dict = dict;
    c->hz = wire_constant(dict, "CLOCK_FREQ", 1);
    c->totals.least_lead_s = INFINITY;
    return c;
}

void checker_destroy(struct checker *c)
{
    if (!c)
        return;
    forget(c);
    wire_dict_destroy(c->dict);
    free(c);
}

size_t checker_violation_count(const struct checker *c)
{
    return c->violation_count;
}

const char *checker_violation(const struct checker *c, size_t index)
{
    return index < c->violation_count && index < VIOLATIONS_KEPT ? c->violations[index] : "";
}

struct checker_totals checker_totals(const struct checker *c)
{
    struct checker_totals totals = c->totals;
    totals.damaged = c->to_board.bad_count;
    return totals;
}

size_t checker_stepper(const struct checker *c, uint32_t step_pin)
{
    for (size_t i = 0; i < c->stepper_count; i++) {
        if (c->steppers[i].step_pin == step_pin)
            return i;
    }
    return SIZE_MAX;
}

int64_t checker_position(const struct checker *c, size_t stepper, uint64_t clock)
{
    const struct stepper *s = &c->steppers[stepper];
    size_t lo = 0, hi = s->count; /* the last segment that has begun */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->segments[mid].first <= clock)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (!lo)
        return s->count ? s->segments[0].before : s->position;
    const struct segment *seg = &s->segments[lo - 1];
    return seg->before + (int64_t)seg->sign * steps_until(seg, clock);
}

uint64_t checker_last_step(const struct checker *c, size_t stepper)
{
    const struct stepper *s = &c->steppers[stepper];
    return s->count ? s->segments[s->count - 1].last : 0;
}

uint64_t checker_step_count(const struct checker *c, size_t stepper)
{
    const struct stepper *s = &c->steppers[stepper];
    uint64_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += s->segments[i].count;
    return total;
}

void checker_each_step(const struct checker *c, size_t stepper, checker_step_fn *fn, void *ctx)
{
    const struct stepper *s = &c->steppers[stepper];
    for (size_t i = 0; i < s->count; i++) {
        const struct segment *seg = &s->segments[i];
        for (uint32_t k = 0; k < seg->count; k++)
            fn(ctx, step_clock(seg, k), seg->before + (int64_t)seg->sign * (k + 1));
    }
}

struct rate {
    uint64_t *clocks; /* of the last `window` + 1 steps */
    unsigned window, filled, at;
    int64_t last;
    int sign;
    double hz, peak;
};

static void rate_step(void *ctx, uint64_t clock, int64_t position)
{
    struct rate *r = ctx;
    int sign = position > r->last ? 1 : -1;
    if (sign != r->sign)
        r->filled = 0;
    r->sign = sign;
    r->last = position;
    if (r->filled >= r->window) {
        uint64_t oldest = r->clocks[r->at];
        double rate = r->window * r->hz / (double)(clock - oldest + (clock == oldest));
        r->peak = rate > r->peak ? rate : r->peak;
    } else {
        r->filled++;
    }
    r->clocks[r->at] = clock;
    r->at = (r->at + 1) % r->window;
}

double checker_peak_rate(const struct checker *c, size_t stepper, unsigned window)
{
    struct rate r = {.clocks = calloc(window, sizeof(uint64_t)), .window = window, .hz = c->hz};
    checker_each_step(c, stepper, rate_step, &r);
    free(r.clocks);
    return r.peak;
}

int64_t checker_output(const struct checker *c, uint32_t pin, uint64_t clock, int64_t fallback)
{
    for (size_t i = 0; i < c->output_count; i++) {
        const struct output *o = &c->outputs[i];
        if (o->pin != pin)
            continue;
        int64_t value = o->initial;
        for (size_t k = 0; k < o->count && o->changes[k].clock <= clock; k++)
            value = o->changes[k].value;
        return value;
    }
    return fallback;
}

bool checker_heaters_are_off(const struct checker *c, uint64_t clock)
{
    for (size_t i = 0; i < c->output_count; i++) {
        const struct output *o = &c->outputs[i];
        if (o->is_limited && checker_output(c, o->pin, clock, o->standard) != o->standard)
            return false;
    }
    return true;
}

double checker_clock_hz(const struct checker *c)
{
    return c->hz;
}
