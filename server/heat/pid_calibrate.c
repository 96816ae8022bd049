/* PID_CALIBRATE: let a heater swing around a temperature, find its PID constants, and put them where SAVE_CONFIG writes
 * them. The heater is off at the end, however it ends. */
#include "server/machine/object.h"

#include "base/fiber.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/worker.h"
#include "motion/engine.h"
#include "server/config/autosave.h"
#include "server/gcode/gcode.h"
#include "server/heat/heater.h"
#include "server/heat/pid_tune.h"
#include "server/machine/motion_stream.h"
#include "server/machine/printer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REPORT_PERIOD_S 1.0
#define PHASE_MAX_S     3600.0 /* a heater that needs longer to rise or fall will not do so at all */
#define SAMPLES_MAX     100000 /* of WRITE_FILE */
#define SAMPLES_FILE    "heattest.txt"

struct calibration {
    struct pid_tune tune;
    double last_turn_s, last_s; /* times of readings; 0: none yet */
    bool was_heating;
    bool keeps_samples;
    size_t sample_count;
    struct strbuf samples;
};

static double on_reading(void *ctx, double time_s, double temp_c, double *target_c)
{
    struct calibration *c = ctx;
    double power = pid_tune_update(&c->tune, time_s, temp_c, target_c);
    if (c->last_s == 0 || c->was_heating != c->tune.is_heating)
        c->last_turn_s = time_s;
    if (c->keeps_samples && c->sample_count++ < SAMPLES_MAX)
        strbuf_addf(&c->samples, "%.3f %.3f %.3f\n", time_s, temp_c, power);
    c->was_heating = c->tune.is_heating;
    c->last_s = time_s;
    return pid_tune_is_done(&c->tune) ? 0 : power;
}

static enum err wait_done(struct printer *printer, struct heater *heater, struct calibration *c, struct err_info *info)
{
    while (!pid_tune_is_done(&c->tune)) {
        if (printer_is_shutdown(printer))
            return err_set(info, ERR_SHUTDOWN, "%s", printer_state_message(printer));
        if (!heater_is_controlled_by(heater, c))
            return err_set(info, ERR_STATE, "pid_calibrate interrupted: the heater was given another target");
        if (c->last_s - c->last_turn_s > PHASE_MAX_S)
            return err_set(info, ERR_TIMEOUT, "pid_calibrate interrupted: the heater stays on one side of the target");
        char *line = heaters_report(printer);
        printer_console(printer, line);
        mem_free(line);
        if (fiber_sleep(REPORT_PERIOD_S) != OK)
            return err_set(info, ERR_CANCELLED, "pid_calibrate interrupted");
    }
    return OK;
}

static enum err save(struct printer *printer, const struct heater *heater, const struct calibration *c,
                     struct err_info *info)
{
    double value[3];
    if (!pid_tune_result(&c->tune, &value[0], &value[1], &value[2]))
        return err_set(info, ERR_INVALID, "pid_calibrate: the temperature of %s does not swing", heater_name(heater));
    static const char *const names[] = {"pid_Kp", "pid_Ki", "pid_Kd"};
    printer_respond_info(printer,
                         "PID parameters: pid_Kp=%.3f pid_Ki=%.3f pid_Kd=%.3f\n"
                         "The SAVE_CONFIG command will update the printer config file\n"
                         "with these parameters and restart the printer.",
                         value[0], value[1], value[2]);
    enum err err = config_set_autosave(printer->config, heater_name(heater), "control", "pid", info);
    for (size_t i = 0; i < 3 && err == OK; i++) {
        char text[32];
        (void)snprintf(text, sizeof text, "%.3f", value[i]);
        err = config_set_autosave(printer->config, heater_name(heater), names[i], text, info);
    }
    return err;
}

/* Writing the readings, on the worker. */
struct samples_file {
    struct worker_job job; /* first */
    char *path;
    struct strbuf text;
};

static enum err write_file(struct worker_job *job, struct err_info *info)
{
    const struct samples_file *s = CONTAINER_OF(job, struct samples_file, job);
    FILE *f = fopen(s->path, "we");
    bool is_good = f && fwrite(s->text.data, 1, s->text.len_bytes, f) == s->text.len_bytes;
    if (f)
        is_good &= fclose(f) == 0;
    return is_good ? OK : err_set(info, ERR_IO, "%s", strerror(errno));
}

static void release_file(struct worker_job *job)
{
    struct samples_file *s = CONTAINER_OF(job, struct samples_file, job);
    strbuf_deinit(&s->text);
    mem_free(s->path);
}

static void write_samples(struct printer *printer, struct calibration *c)
{
    if (!c->keeps_samples || !printer->services->data_dir)
        return;
    struct samples_file *s = MEM_NEW(struct samples_file);
    struct err_info info;
    s->job.run = write_file;
    s->job.release = release_file;
    s->path = mem_sprintf("%s/" SAMPLES_FILE, printer->services->data_dir);
    s->text = c->samples;
    strbuf_init(&c->samples);
    if (worker_call(&printer->disk, &s->job, &info) == OK)
        printer_respond_info(printer, "Readings (time, temperature, power) are in %s", s->path);
    else
        printer_respond_info(printer, "Unable to write %s: %s", s->path, info.text);
    worker_release(&s->job);
}

static enum err calibrate(struct printer *printer, struct heater *heater, double target_c, bool keeps_samples,
                          struct err_info *info)
{
    struct print_time at;
    enum err err = engine_wait_planned(printer->engine, motion_source(printer), &at, info);
    if (err != OK)
        return err;
    struct calibration *c = MEM_NEW(struct calibration); /* readings come while this fiber sleeps */
    c->keeps_samples = keeps_samples;
    strbuf_init(&c->samples);
    pid_tune_begin(&c->tune, target_c, heater_max_power(heater));
    err = heater_take_control(heater, target_c, on_reading, c, info);
    if (err == OK)
        err = wait_done(printer, heater, c, info);
    heater_release_control(heater, c);
    write_samples(printer, c);
    if (err == OK)
        err = save(printer, heater, c, info);
    strbuf_deinit(&c->samples);
    mem_free(c);
    return err;
}

static enum err cmd_pid_calibrate(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct printer *printer = ((struct printer_object *)ctx)->printer;
    const char *name = NULL;
    double target_c = 0;
    long write_file = 0;
    enum err err = gcode_get_str(cmd, "HEATER", &name, info);
    if (err == OK)
        err = gcode_get_double_in(cmd, "TARGET", GCODE_ABOVE(0.0), &target_c, info);
    if (err == OK)
        err = gcode_opt_int(cmd, "WRITE_FILE", GCODE_ANY, &write_file, info);
    if (err != OK)
        return err;
    struct heater *heater = heater_find(printer, name);
    if (!heater)
        return err_set(info, ERR_NOT_FOUND, "Unknown heater '%s'", name);
    return printer->services->is_batch ? OK : calibrate(printer, heater, target_c, write_file != 0, info);
}

static const struct command_param params[] = {
    {"HEATER", "str", "required", NULL}, {"TARGET", "float", "required", ">0"}, {"WRITE_FILE", "int", "0", NULL}, {0}};
static const struct command_desc commands[] = {
    {.name = "PID_CALIBRATE", .params = params, .help = "Run PID calibration test", .handler = cmd_pid_calibrate},
};

const struct object_desc pid_calibrate_desc = {
    .section = "pid_calibrate",
    .flags = OBJECT_ON_DEMAND | OBJECT_INTERNAL,
    .help = "Finds the PID constants of a heater.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_COMMANDS(commands),
};
