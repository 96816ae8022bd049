/* [z_tilt] and [quad_gantry_level]: a gantry or bed that hangs on several motors of z is set level by moving each motor on
 * its own until the probe finds the bed equally high everywhere. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/engine.h"
#include "server/bed/bed_plane.h"
#include "server/bed/probe_round.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/motion_stream.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"
#include "server/machine/stepper.h"
#include "server/toolhead/probe_device.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MOTORS_MAX    8
#define RETRIES_MAX   30
#define QUAD_MOTORS   4
#define GROWTHS_MAX   1 /* times in a row that the range may grow */
#define MOVE_LEAST_MM 1e-6

struct z_level;
/* How far [mm] each motor must lift for the bed to be level at the height z = 0. */
typedef void z_level_solve_fn(const struct z_level *z, const struct probe_round_result *result, double *lift_mm);

struct z_level {
    struct printer_object obj;
    struct probe_round round;
    z_level_solve_fn *solve;
    struct probe_place places[MOTORS_MAX]; /* z_tilt: of the motors; quad_gantry_level: two opposite corners */
    size_t place_count, motor_count;
    double max_adjust_mm; /* INFINITY: no limit */
    double tolerance_mm;
    int retries;
    bool is_applied;
    /* of the command that runs */
    double want_mm, last_range_mm;
    long tries, tries_max;
    int growths;
};

static struct z_level *z_level_of(void *obj)
{
    return obj;
}

static void motor_name(char name[32], size_t index)
{
    (void)snprintf(name, 32, index ? "stepper_z%zu" : "stepper_z", index);
}

/* --- z_tilt: a plane --- */

static void solve_plane(const struct z_level *z, const struct probe_round_result *result, double *lift_mm)
{
    struct bed_plane plane = bed_plane_fit(result->bed_mm, result->count);
    for (size_t i = 0; i < z->motor_count; i++)
        lift_mm[i] = bed_plane_at(&plane, z->places[i].x_mm, z->places[i].y_mm);
}

/* --- quad_gantry_level: straight lines along x in front and behind, and along y between their ends --- */

static double on_line(double x0, double z0, double x1, double z1, double x)
{
    return z0 + (z1 - z0) * (x - x0) / (x1 - x0);
}

/* Points and motors: front left, rear left, rear right, front right. */
static void solve_quad(const struct z_level *z, const struct probe_round_result *result, double *lift_mm)
{
    const double(*p)[3] = result->bed_mm;
    struct gcode *g = z->obj.printer->gcode;
    double height[QUAD_MOTORS], at[QUAD_MOTORS], mean = 0.0;
    for (size_t i = 0; i < QUAD_MOTORS; i++)
        height[i] = z->round.travel_z_mm - result->bed_mm[i][2]; /* of the gantry above the bed */
    for (int side = 0; side < 2; side++) {
        double x = z->places[side].x_mm;
        double front = on_line(p[0][0], height[0], p[3][0], height[3], x);
        double rear = on_line(p[1][0], height[1], p[2][0], height[2], x);
        double near_y = p[side ? 3 : 0][1], far_y = p[side ? 2 : 1][1];
        at[side ? 3 : 0] = on_line(near_y, front, far_y, rear, z->places[0].y_mm);
        at[side ? 2 : 1] = on_line(near_y, front, far_y, rear, z->places[1].y_mm);
    }
    for (size_t i = 0; i < QUAD_MOTORS; i++)
        mean += at[i] / QUAD_MOTORS;
    gcode_respond_info(g, "Gantry-relative probe points:\n0: %.6f 1: %.6f 2: %.6f 3: %.6f", height[0], height[1],
                       height[2], height[3]);
    gcode_respond_info(g, "Actuator Positions:\nz: %.6f z1: %.6f z2: %.6f z3: %.6f", at[0], at[1], at[2], at[3]);
    gcode_respond_info(g, "Average: %.6f", mean);
    for (size_t i = 0; i < QUAD_MOTORS; i++)
        lift_mm[i] = mean - at[i];
}

/* --- the motors --- */

static enum err lift_motor(struct z_level *z, size_t index, double lift_mm, struct err_info *info)
{
    struct printer *printer = z->obj.printer;
    char name[32];
    double accel_mm_s2;
    const struct config_section *limits = config_find(printer->config, "printer");
    motor_name(name, index);
    struct stepper *stepper = stepper_find(printer, name);
    if (!stepper)
        return err_set(info, ERR_NOT_FOUND, "Unknown stepper %s", name);
    if (!section_number_read(limits, "max_z_accel", &accel_mm_s2))
        accel_mm_s2 = toolhead_max_accel(printer_toolhead(printer));
    enum err e;
    do {
        e = engine_force_move(printer->engine, stepper->engine, lift_mm, z->round.lift_speed_mm_s, accel_mm_s2,
                              motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

static enum err lift_motors(struct z_level *z, const double *lift_mm, struct err_info *info)
{
    struct strbuf text;
    strbuf_init(&text);
    strbuf_adds(&text, "Making the following Z adjustments:");
    for (size_t i = 0; i < z->motor_count; i++) {
        char name[32];
        motor_name(name, i);
        strbuf_addf(&text, "\n%s = %.6f", name, lift_mm[i]);
    }
    gcode_respond_info(z->obj.printer->gcode, "%s", text.data);
    strbuf_deinit(&text);
    enum err e = OK;
    for (size_t i = 0; i < z->motor_count && !e; i++)
        if (fabs(lift_mm[i]) > MOVE_LEAST_MM)
            e = lift_motor(z, i, lift_mm[i], info);
    return e;
}

/* --- once measured --- */

static enum err judge(struct z_level *z, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < result->count; i++) {
        low = fmin(low, result->bed_mm[i][2]);
        high = fmax(high, result->bed_mm[i][2]);
    }
    double range_mm = round((high - low) * 1e6) / 1e6;
    if (z->tries_max == 0)
        return OK;
    gcode_respond_info(z->obj.printer->gcode, "Retries: %ld/%ld Probed points range: %.6f tolerance: %.6f", z->tries,
                       z->tries_max, range_mm, z->want_mm);
    z->growths = range_mm > z->last_range_mm + 1e-7 ? z->growths + 1 : z->growths > 0 ? z->growths - 1 : 0;
    z->last_range_mm = range_mm;
    if (z->growths > GROWTHS_MAX)
        return err_set(info, ERR_STATE,
                       "Retries aborting: Probed points range is increasing. Possibly Z motor numbering is wrong.");
    if (range_mm <= z->want_mm)
        return OK;
    if (++z->tries > z->tries_max)
        return err_set(info, ERR_STATE, "Too many retries");
    *again = true;
    return OK;
}

static enum err measured(void *ctx, const struct probe_round_result *result, bool *again, struct err_info *info)
{
    struct z_level *z = ctx;
    double lift_mm[MOTORS_MAX] = {0.0}, most_mm = 0.0;
    z->solve(z, result, lift_mm);
    for (size_t i = 0; i < z->motor_count; i++)
        most_mm = fmax(most_mm, fabs(lift_mm[i]));
    if (most_mm > z->max_adjust_mm)
        return err_set(info, ERR_STATE, "Aborting %s required adjustment %.6f is greater than max_adjust %.6f",
                       z->obj.name, most_mm, z->max_adjust_mm);
    enum err e = lift_motors(z, lift_mm, info);
    if (!e)
        e = judge(z, result, again, info);
    z->is_applied = !e && !*again;
    printer_status_touch(&z->obj);
    return e;
}

static enum err cmd_level(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct z_level *z = ctx;
    long tries_max = z->retries;
    double want_mm = z->tolerance_mm;
    enum err e = gcode_opt_int(cmd, "RETRIES", GCODE_RANGE(0, RETRIES_MAX), &tries_max, info);
    if (!e)
        e = gcode_opt_double(cmd, "RETRY_TOLERANCE", GCODE_RANGE(0.0, 1.0), &want_mm, info);
    if (e)
        return e;
    z->is_applied = false;
    z->tries = 0;
    z->tries_max = tries_max;
    z->want_mm = want_mm;
    z->last_range_mm = INFINITY;
    z->growths = 0;
    printer_status_touch(&z->obj);
    return probe_round_run(&z->round, cmd, info);
}

/* --- the objects --- */

static void on_motor_off(void *ctx, const char *event, void *data)
{
    struct z_level *z = ctx;
    (void)event;
    (void)data;
    z->is_applied = false; /* what is held by motors may sink now */
    printer_status_touch(&z->obj);
}

static size_t count_motors(const struct config *config)
{
    size_t count = 0;
    char name[32];
    for (motor_name(name, 0); count <= MOTORS_MAX && config_find(config, name); motor_name(name, count))
        count++;
    return count;
}

static void read_places(struct z_level *z, struct config_section *section, const char *option, size_t wanted)
{
    struct config_number_table table = section_number_table(section, option);
    if (section_error_count(section) > 0)
        return;
    if (table.count != wanted || wanted > MOTORS_MAX) {
        config_error_option(section, option, "%s: %s must have exactly %zu items, one for each motor or corner",
                            section_name(section), option, wanted);
        return;
    }
    for (size_t i = 0; i < wanted; i++)
        z->places[i] = (struct probe_place){table.rows[i].items[0], table.rows[i].items[1]};
    z->place_count = wanted;
}

static void create_common(struct z_level *z, struct config_section *section)
{
    struct printer *printer = z->obj.printer;
    probe_round_setup(&z->round, printer, section, measured, z);
    z->retries = section_int(section, "retries");
    z->tolerance_mm = section_has(section, "retry_tolerance") ? section_float(section, "retry_tolerance") : 0.0;
    z->motor_count = count_motors(printer->config);
    if (z->retries > RETRIES_MAX)
        config_error_option(section, "retries", "Option 'retries' in section '%s' must have maximum of %d",
                            section_name(section), RETRIES_MAX);
    printer_subscribe(printer, STEPPER_EVENT_MOTOR_OFF, on_motor_off, z);
}

static enum err create_tilt(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct z_level *z = z_level_of(obj);
    (void)info;
    create_common(z, section);
    z->solve = solve_plane;
    z->max_adjust_mm = INFINITY;
    if (z->motor_count < 2 || z->motor_count > MOTORS_MAX)
        config_error_section(section, "z_tilt requires multiple z steppers: [stepper_z1] and so on, %d at most", MOTORS_MAX);
    else
        read_places(z, section, "z_positions", z->motor_count);
    probe_round_read_places(&z->round, section, "points", 2);
    return OK;
}

static enum err create_quad(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct z_level *z = z_level_of(obj);
    (void)info;
    create_common(z, section);
    z->solve = solve_quad;
    z->max_adjust_mm = section_float(section, "max_adjust");
    if (z->motor_count != QUAD_MOTORS)
        config_error_section(section, "quad_gantry_level needs exactly 4 z steppers: [stepper_z] to [stepper_z3]");
    read_places(z, section, "gantry_corners", 2);
    probe_round_read_places(&z->round, section, "points", QUAD_MOTORS);
    if (section_error_count(section) > 0)
        return OK;
    const struct probe_place *p = z->round.places;
    if (z->round.count != QUAD_MOTORS)
        config_error_option(section, "points", "Need exactly 4 probe points for quad_gantry_level");
    else if (p[0].x_mm == p[3].x_mm || p[1].x_mm == p[2].x_mm || p[0].y_mm == p[1].y_mm || p[3].y_mm == p[2].y_mm)
        config_error_option(section, "points",
                            "quad_gantry_level: points must be front left, rear left, rear right, front right");
    return OK;
}

static void destroy(struct printer_object *obj)
{
    probe_round_deinit(&z_level_of(obj)->round);
}

static void write_status(struct printer_object *obj, struct status_writer *writer)
{
    status_bool(writer, "applied", z_level_of(obj)->is_applied);
}

#define LEVEL_OPTIONS                                                                                                  \
    {.name = "retries",                                                                                                \
     .type = OPTION_INT,                                                                                               \
     .default_text = "0",                                                                                              \
     .limits = ">=0",                                                                                                  \
     .help = "Times to measure again while the points differ by more than retry_tolerance"},                           \
        {.name = "retry_tolerance",                                                                                    \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm",                                                                                                 \
         .default_text = "0",                                                                                          \
         .limits = ">0",                                                                                               \
         .help = "Difference between points that is good enough"},                                                     \
        PROBE_ROUND_OPTIONS

static const struct option_desc tilt_options[] = {
    {.name = "z_positions",
     .type = OPTION_FLOAT_TABLE,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .separators = "\n,",
     .count = 2,
     .help = "Where each motor of z lifts: a line \"x, y\" for stepper_z, stepper_z1, ..."},
    PROBE_ROUND_POINTS("Where the nozzle is while the bed is measured, a line each"),
    LEVEL_OPTIONS,
};
static const struct option_desc quad_options[] = {
    {.name = "gantry_corners",
     .type = OPTION_FLOAT_TABLE,
     .flags = OPTION_REQUIRED,
     .unit = "mm",
     .separators = "\n,",
     .count = 2,
     .help = "Front left and rear right corner of the gantry, where motors lift it"},
    PROBE_ROUND_POINTS("Front left, rear left, rear right, front right: where the nozzle is while the bed is measured"),
    {.name = "max_adjust",
     .type = OPTION_FLOAT,
     .unit = "mm",
     .default_text = "4",
     .limits = ">0",
     .help = "A motor that would have to move further than this is an error"},
    LEVEL_OPTIONS,
};

static const struct command_param params[] = {{"RETRIES", "int", "retries", ">=0 <=30"},
                                              {"RETRY_TOLERANCE", "float", "retry_tolerance", ">=0 <=1"},
                                              PROBE_ROUND_PARAMS,
                                              {0}};
static const struct command_desc tilt_commands[] = {
    {.name = "Z_TILT_ADJUST", .params = params, .help = "Adjust the Z tilt", .handler = cmd_level},
};
static const struct command_desc quad_commands[] = {
    {.name = "QUAD_GANTRY_LEVEL",
     .params = params,
     .help = "Conform a moving, twistable gantry to the shape of a stationary bed",
     .handler = cmd_level},
};
static const struct status_field_desc fields[] = {{"applied", "bool", "levelled since the motors were last off"}};

const struct object_desc z_tilt_desc = {
    .section = "z_tilt",
    .flags = OBJECT_EXACT,
    .help = "Levels a bed that hangs on several motors",
    .size_bytes = sizeof(struct z_level),
    OBJECT_OPTIONS(tilt_options),
    OBJECT_COMMANDS(tilt_commands),
    OBJECT_FIELDS(fields),
    .create = create_tilt,
    .destroy = destroy,
    .status = write_status,
};
const struct object_desc quad_gantry_level_desc = {
    .section = "quad_gantry_level",
    .flags = OBJECT_EXACT,
    .help = "Levels a gantry that hangs on four motors",
    .size_bytes = sizeof(struct z_level),
    OBJECT_OPTIONS(quad_options),
    OBJECT_COMMANDS(quad_commands),
    OBJECT_FIELDS(fields),
    .create = create_quad,
    .destroy = destroy,
    .status = write_status,
};
