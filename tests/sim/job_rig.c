#include "tests/sim/job_rig.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/machine/printer.h"
#include "server/mmu/mmu.h"

#include <math.h>

struct rig *job_rig_start(const char *config)
{
    struct rig *rig =
        rig_create(&(struct rig_options){.config_text = config, .seed = 7, .is_verbose = getenv("VERBOSE")});
    assert_true(rig_wait_ready(rig));
    return rig;
}

void script(struct rig *rig, const char *text)
{
    if (rig_script(rig, text, 600) != OK)
        fail_msg("%s: %s", text, rig_error(rig));
}

void expect_status(struct rig *rig, const char *object, const char *field, const char *json)
{
    const char *now = rig_status(rig, object, field);
    if (!now || strcmp(now, json) != 0)
        fail_msg("%s.%s is %s instead of %s\n%s", object, field, now ? now : "absent", json, rig_console(rig));
}

void expect_job(struct rig *rig, const char *state)
{
    char *json = mem_sprintf("\"%s\"", state);
    expect_status(rig, "mmu", "print_state", json);
    expect_status(rig, "mmu", "print_job_state", json);
    mem_free(json);
}

struct status_wait {
    struct rig *rig;
    const char *object, *field, *json;
};

static bool has_status(void *ctx)
{
    const struct status_wait *w = ctx;
    const char *now = rig_status(w->rig, w->object, w->field);
    return now && strcmp(now, w->json) == 0;
}

void wait_status(struct rig *rig, const char *object, const char *field, const char *json, double timeout_s)
{
    struct status_wait w = {rig, object, field, json};
    if (!rig_run_until(rig, has_status, &w, timeout_s))
        fail_msg("%s.%s is %s, not %s after %.1f s\n%s", object, field, rig_status(rig, object, field), json, timeout_s,
                 rig_console(rig));
}

static void run_request(void *arg)
{
    struct request *r = arg;
    double begun_s = rig_now_s(r->rig);
    r->result = r->fn ? r->fn(rig_printer(r->rig), &r->info)
                      : mmu_pause(rig_printer(r->rig), r->message, r->is_forced, &r->info);
    r->took_s = rig_now_s(r->rig) - begun_s;
    r->is_done = true;
}

static bool is_request_done(void *ctx)
{
    return ((struct request *)ctx)->is_done;
}

void request_begin(struct rig *rig, struct request *r)
{
    r->rig = rig;
    assert_non_null(fiber_spawn(rig_printer(rig)->fibers, "client", run_request, r));
}

double request_finish(struct request *r, double timeout_s)
{
    if (!rig_run_until(r->rig, is_request_done, r, timeout_s))
        fail_msg("the request has not ended after %.1f s\n%s", timeout_s, rig_console(r->rig));
    return r->took_s;
}

double ask(struct rig *rig, request_fn *fn)
{
    struct request r = {.fn = fn};
    request_begin(rig, &r);
    double took_s = request_finish(&r, 120);
    if (r.result)
        fail_msg("refused: %s\n%s", r.info.text, rig_console(rig));
    return took_s;
}

/* Lines of `count` squares of 20 mm at 50 mm/s with relative filament. */
static char *squares(int count)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "G90\nM83\nG1 X50 Y50 Z0.2 F6000\n");
    for (int i = 0; i < count; i++)
        strbuf_addf(
            &text,
            "G1 X70 E1 F3000\nG1 Y70 E1\nG1 X50 E1\nG1 Y50 E1\nSET_PRINT_STATS_INFO CURRENT_LAYER=%d TOTAL_LAYER=%d\n",
            i + 1, count);
    return strbuf_take(&text);
}

void add_squares(struct rig *rig, const char *name, int count)
{
    char *text = squares(count);
    rig_add_gcode(rig, name, text);
    mem_free(text);
}

void position(struct rig *rig, double pos[4])
{
    double all[ENGINE_AXES_MAX];
    engine_commanded_position(rig_printer(rig)->engine, all);
    memcpy(pos, all, 4 * sizeof(double));
}

void expect_position(struct rig *rig, double x, double y, double z)
{
    double pos[4];
    position(rig, pos);
    if (fabs(pos[0] - x) > 1e-6 || fabs(pos[1] - y) > 1e-6 || fabs(pos[2] - z) > 1e-6)
        fail_msg("at %f %f %f instead of %f %f %f", pos[0], pos[1], pos[2], x, y, z);
}
