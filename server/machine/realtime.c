/* realtime: how late each stage of motion runs, in numbers anybody can watch. Shown only: nothing of the printer depends on
 * it. In a simulation with virtual time nothing is ever late, and the stages are empty. */
#include "server/machine/object.h"

#include "base/log.h"
#include "base/strbuf.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <string.h>

#define PERIOD_S    1.0 /* how often the figures are renewed */
#define LOG_AFTER_S 0.5 /* the threads have begun by then */

struct realtime {
    struct printer_object obj;
    struct printer_timer log_timer;
};

struct figures {
    bool has_machine;
    struct actor_stats machine;
    struct engine_lateness motion;
    struct boards_lateness link;
};

static struct figures read_figures(const struct printer *printer)
{
    struct figures f;
    memset(&f, 0, sizeof f);
    const struct printer_services *services = printer->services;
    if (services->runtime && services->machine)
        f.has_machine = runtime_actor_stats(services->runtime, services->machine, &f.machine);
    if (printer->engine)
        engine_get_lateness(printer->engine, &f.motion);
    if (printer->boards)
        boards_get_lateness(printer->boards, &f.link);
    return f;
}

/* --- status --- */

static void write_histogram(struct strbuf *json, const char *name, const struct histogram_view *h)
{
    unsigned used = HISTOGRAM_BUCKETS;
    while (used > 0 && h->bucket[used - 1] == 0)
        used--;
    strbuf_addf(json, "%s\"%s\": {\"count\": %llu, \"min_us\": %u, \"p99_us\": %u, \"max_us\": %u, \"buckets\": [",
                json->data[json->len_bytes - 1] == '{' ? "" : ", ", name, (unsigned long long)h->count, h->min_us,
                histogram_quantile_us(h, 0.99), h->max_us);
    for (unsigned i = 0; i < used; i++)
        strbuf_addf(json, "%s%u", i ? ", " : "", h->bucket[i]);
    strbuf_adds(json, "]}");
}

static void write_stages(struct status_writer *writer, const struct figures *f)
{
    struct strbuf *json = status_begin_json(writer, "stages");
    strbuf_addc(json, '{');
    write_histogram(json, "machine_wake", &f->machine.wake);
    write_histogram(json, "machine_step", &f->machine.step);
    write_histogram(json, "motion_wake", &f->motion.thread.wake);
    write_histogram(json, "motion_step", &f->motion.thread.step);
    write_histogram(json, "motion_ahead", &f->motion.ahead);
    write_histogram(json, "link_wake", &f->link.thread.wake);
    write_histogram(json, "link_step", &f->link.thread.step);
    write_histogram(json, "wire_late", &f->link.late);
    write_histogram(json, "wire_lead", &f->link.lead);
    strbuf_addc(json, '}');
    status_end_json(writer);
}

static void write_thread(struct strbuf *json, const char *name, bool exists, const struct actor_stats *s)
{
    strbuf_addf(json, "%s\"%s\": ", json->data[json->len_bytes - 1] == '{' ? "" : ", ", name);
    if (exists)
        strbuf_addf(json, "{\"fifo\": %s, \"locked\": %s, \"minor_faults\": %llu, \"major_faults\": %llu}",
                    s->has_fifo ? "true" : "false", s->is_locked ? "true" : "false",
                    (unsigned long long)s->minor_faults, (unsigned long long)s->major_faults);
    else
        strbuf_adds(json, "null");
}

static void realtime_status(struct printer_object *obj, struct status_writer *writer)
{
    const uint64_t period = (uint64_t)(printer_now_s(obj->printer) / PERIOD_S) + 1;
    if (!status_needs(writer, "stages", period))
        return;
    const struct figures f = read_figures(obj->printer);
    write_stages(writer, &f);
    struct strbuf *json = status_begin_json(writer, "threads");
    strbuf_addc(json, '{');
    write_thread(json, "motion", f.motion.has_thread, &f.motion.thread);
    write_thread(json, "link", f.link.has_thread, &f.link.thread);
    strbuf_addc(json, '}');
    status_end_json(writer);
    status_float(writer, "commit_horizon", f.motion.horizon_s);
    status_float(writer, "buffer_low_mark", ENGINE_BUFFER_LOW_S);
    status_int(writer, "buffer_low_count", f.motion.low_count);
}

/* --- what the log says once --- */

static struct host_ns on_log_timer(void *ctx, struct host_ns now)
{
    const struct realtime *r = ctx;
    (void)now;
    const struct figures f = read_figures(r->obj.printer);
    struct log *log = r->obj.printer->services->log;
    if (!f.motion.has_thread || !f.link.has_thread)
        return HOST_NS_NEVER;
    if (f.motion.thread.has_fifo && f.link.thread.has_fifo)
        log_info(log, "realtime", "motion and link run with real-time priority", "horizon_s=%.2f", f.motion.horizon_s);
    else
        log_warn(log, "realtime", "no real-time priority: the limit RLIMIT_RTPRIO does not permit it",
                 "motion=%d link=%d horizon_s=%.2f", f.motion.thread.has_fifo, f.link.thread.has_fifo, f.motion.horizon_s);
    if (!f.motion.thread.is_locked)
        log_warn(log, "realtime", "memory is not locked: the limit RLIMIT_MEMLOCK does not permit it", "prefaulted=1");
    return HOST_NS_NEVER;
}

static void realtime_ready(struct printer_object *obj)
{
    struct realtime *r = (struct realtime *)obj;
    r->log_timer.fn = on_log_timer;
    r->log_timer.ctx = r;
    printer_timer_start(obj->printer, &r->log_timer, host_ns_add_s(printer_now(obj->printer), LOG_AFTER_S));
}

static void realtime_destroy(struct printer_object *obj)
{
    printer_timer_stop(obj->printer, &((struct realtime *)obj)->log_timer);
}

static const struct status_field_desc realtime_fields[] = {
    {"stages", "dict", "per stage: count, min, p99 and max in microseconds, counts in buckets of powers of two"},
    {"threads", "dict", "of motion and link: real-time priority, locked memory, page faults; null in virtual time"},
    {"commit_horizon", "float", "how far ahead of the boards steps are made, s"},
    {"buffer_low_mark", "float", "less than this ahead, in motion, counts as low, s"},
    {"buffer_low_count", "int", "how often motion_ahead was below it"},
};

const struct object_desc realtime_desc = {
    .section = "realtime",
    .flags = OBJECT_ALWAYS,
    .help = "How late each stage of motion runs.",
    .size_bytes = sizeof(struct realtime),
    OBJECT_FIELDS(realtime_fields),
    .ready = realtime_ready,
    .destroy = realtime_destroy,
    .status = realtime_status,
};
