#include "server/api/api_printer.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/api/api.h"
#include "server/gcode/gcode.h"
#include "server/job/job.h"
#include "server/machine/printer.h"
#include "server/mmu/mmu.h"
#include "server/toolhead/motion_report.h"
#include "server/toolhead/query_endstops.h"

#include <pthread.h>
#include <string.h>

struct api_printer {
    struct api_backend backend;
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct api *api;
    struct printer *printer; /* machine thread */
    pthread_mutex_t lock;    /* guards `boards`, so that nobody stops boards that are being destroyed */
    struct boards *boards;
};

static void bind(void *ctx, struct api *api)
{
    ((struct api_printer *)ctx)->api = api;
}

static void wake(void *ctx)
{
    struct api_printer *ap = ctx;
    ap->wake(ap->wake_ctx);
}

static struct fiber_pool *fibers(void *ctx)
{
    struct api_printer *ap = ctx;
    return ap->printer ? ap->printer->fibers : NULL;
}

static bool is_emergency(void *ctx, const char *script)
{
    (void)ctx;
    return gcode_has_emergency(script, strlen(script));
}

static void emergency_stop(void *ctx)
{
    struct api_printer *ap = ctx;
    if (ap->printer)
        printer_emergency_stop(ap->printer, "webhooks request");
}

static void stop_boards(void *ctx)
{
    struct api_printer *ap = ctx;
    pthread_mutex_lock(&ap->lock);
    if (ap->boards)
        boards_emergency_stop(ap->boards, "a client asks for an emergency stop");
    pthread_mutex_unlock(&ap->lock);
}

static enum err restart(void *ctx, bool is_firmware, struct err_info *info)
{
    struct api_printer *ap = ctx;
    if (!ap->printer)
        return err_set(info, ERR_CLOSED, "Klippy Host not connected");
    printer_request_restart(ap->printer, is_firmware ? PRINTER_RESTART_FIRMWARE : PRINTER_RESTART_HOST);
    return OK;
}

/* What a request has changed is published before it is answered: a client that asks right behind sees it. */
static enum err settled(struct api_printer *ap, enum err err)
{
    if (ap->printer)
        printer_refresh_status(ap->printer);
    return err;
}

static enum err run_script(void *ctx, const char *script, struct err_info *info)
{
    struct api_printer *ap = ctx;
    return settled(ap, job_run_script(ap->printer, script, info));
}

static void add_help(void *ctx, const char *name, const char *help)
{
    struct strbuf *out = ctx;
    if (!help[0])
        return;
    if (out->data[out->len_bytes - 1] != '{')
        strbuf_addc(out, ',');
    strbuf_add_json_string(out, name, strlen(name));
    strbuf_addc(out, ':');
    strbuf_add_json_string(out, help, strlen(help));
}

static void gcode_help(void *ctx, struct strbuf *out)
{
    struct api_printer *ap = ctx;
    strbuf_addc(out, '{');
    if (ap->printer)
        gcode_visit_commands(ap->printer->gcode, add_help, out);
    strbuf_addc(out, '}');
}

static enum err print_start(void *ctx, const char *filename, struct err_info *info)
{
    return settled(ctx, job_start(((struct api_printer *)ctx)->printer, filename, info));
}

static enum err print_pause(void *ctx, struct err_info *info)
{
    return settled(ctx, job_pause(((struct api_printer *)ctx)->printer, info));
}

static enum err print_resume(void *ctx, struct err_info *info)
{
    return settled(ctx, job_resume(((struct api_printer *)ctx)->printer, info));
}

static enum err print_cancel(void *ctx, struct err_info *info)
{
    return settled(ctx, job_cancel(((struct api_printer *)ctx)->printer, info));
}

static void add_endstop(void *ctx, const char *name, bool is_triggered)
{
    struct strbuf *out = ctx;
    strbuf_adds(out, out->data[out->len_bytes - 1] == '{' ? "" : ",");
    strbuf_add_json_string(out, name, strlen(name));
    strbuf_adds(out, is_triggered ? ":\"TRIGGERED\"" : ":\"open\"");
}

static enum err show_endstops(void *ctx, struct strbuf *out, struct err_info *info)
{
    strbuf_addc(out, '{');
    enum err err = query_endstops(((struct api_printer *)ctx)->printer, add_endstop, out, info);
    strbuf_addc(out, '}');
    return err;
}

static enum err dump_motion(void *ctx, bool is_queue, const char *name, double since_s, struct strbuf *out,
                            struct err_info *info)
{
    struct printer *printer = ((struct api_printer *)ctx)->printer;
    return is_queue ? motion_report_dump_trapq(printer, name, since_s, out, info)
                    : motion_report_dump_stepper(printer, name, since_s, out, info);
}

static enum err mmu_state(void *ctx, struct strbuf *out, struct err_info *info)
{
    struct api_printer *ap = ctx;
    if (!ap->printer)
        return err_set(info, ERR_CLOSED, "Klippy Host not connected");
    return mmu_print_job_state(ap->printer, true, out, info);
}

static enum err pause_mmu(void *ctx, const char *message, bool is_forced, struct err_info *info)
{
    return settled(ctx, mmu_pause(((struct api_printer *)ctx)->printer, message, is_forced, info));
}

static enum err unlock_mmu(void *ctx, struct err_info *info)
{
    return settled(ctx, mmu_unlock(((struct api_printer *)ctx)->printer, info));
}

static enum err resume_mmu(void *ctx, struct err_info *info)
{
    return settled(ctx, mmu_resume(((struct api_printer *)ctx)->printer, info));
}

struct api_printer *api_printer_create(void (*wake_fn)(void *ctx), void *ctx)
{
    struct api_printer *ap = MEM_NEW(struct api_printer);
    pthread_mutex_init(&ap->lock, NULL);
    ap->wake = wake_fn;
    ap->wake_ctx = ctx;
    ap->backend = (struct api_backend){
        .ctx = ap,
        .bind = bind,
        .wake = wake,
        .fibers = fibers,
        .is_emergency = is_emergency,
        .emergency_stop = emergency_stop,
        .stop_boards = stop_boards,
        .restart = restart,
        .run_script = run_script,
        .gcode_help = gcode_help,
        .print_start = print_start,
        .print_pause = print_pause,
        .print_resume = print_resume,
        .print_cancel = print_cancel,
        .query_endstops = show_endstops,
        .dump_motion = dump_motion,
        .mmu_state = mmu_state,
        .mmu_pause = pause_mmu,
        .mmu_unlock = unlock_mmu,
        .mmu_resume = resume_mmu,
    };
    return ap;
}

void api_printer_destroy(struct api_printer *ap)
{
    if (!ap)
        return;
    pthread_mutex_destroy(&ap->lock);
    mem_free(ap);
}

const struct api_backend *api_printer_backend(struct api_printer *ap)
{
    return &ap->backend;
}

static void on_mmu_state(void *ctx, const char *event, void *data)
{
    (void)event;
    struct api_printer *ap = ctx;
    if (ap->api)
        api_event_mmu_state(ap->api, data);
}

void api_printer_set_boards(struct api_printer *ap, struct boards *boards)
{
    pthread_mutex_lock(&ap->lock);
    ap->boards = boards;
    pthread_mutex_unlock(&ap->lock);
}

void api_printer_attach(struct api_printer *ap, struct printer *printer)
{
    ap->printer = printer;
    if (printer)
        printer_subscribe(printer, MMU_STATE_EVENT, on_mmu_state, ap);
}
