/* Motors, geometry and endstops of a configuration. */
#include "server/app/simulate_internal.h"

#include "base/check.h"
#include "base/fmath.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define START_AWAY_MM 30.0 /* where axes stand at power-on: this far from their endstop, at most a fifth of the range  \
                            */
#define START_AWAY_Z_MM 10.0

/* --- motors --- */

static double gear_ratio(const char *value)
{
    double ratio = 1;
    while (value && *value) {
        char *end;
        double a = strtod(value, &end);
        end += strspn(end, " \t");
        if (*end != ':')
            break;
        double b = strtod(end + 1, &end);
        if (a > 0 && b > 0)
            ratio *= a / b;
        value = end + strspn(end, " \t\r\n,");
    }
    return ratio;
}

static enum plant_role role_of(enum plant_kinematics kinematics, const char *name)
{
    if (!derive_starts_with(name, "stepper_") || kinematics == PLANT_NONE)
        return PLANT_ROLE_FREE;
    name += strlen("stepper_");
    if (kinematics == PLANT_POLAR)
        return !strcmp(name, "bed")   ? PLANT_ROLE_X
               : !strcmp(name, "arm") ? PLANT_ROLE_Y
               : name[0] == 'z'       ? PLANT_ROLE_Z
                                      : PLANT_ROLE_FREE;
    if (kinematics == PLANT_DELTA || kinematics == PLANT_WINCH)
        return name[1] || name[0] < 'a' || name[0] > 'c' ? PLANT_ROLE_FREE
                                                         : (enum plant_role)(PLANT_ROLE_X + (name[0] - 'a'));
    return name[0] >= 'x' && name[0] <= 'z' ? (enum plant_role)(PLANT_ROLE_X + (name[0] - 'x')) : PLANT_ROLE_FREE;
}

/* Sections of the main stepper of a rail carry its limits: "stepper_z" for "stepper_z1". */
static const struct config_section *rail_of(const struct config *config, const char *name)
{
    char main_name[32];
    size_t len = strlen(name);
    while (len && isdigit((unsigned char)name[len - 1]))
        len--;
    if (len >= sizeof(main_name))
        return NULL;
    memcpy(main_name, name, len);
    main_name[len] = 0;
    return config_find(config, main_name);
}

struct rail {
    double min_mm, max_mm, endstop_mm;
    bool is_at_max;
};

/* The direction of homing is given, or follows from the end of the range the endstop is nearer to. */
static struct rail read_rail(const struct config *config, const struct config_section *section)
{
    const struct config_section *rail = rail_of(config, section_name(section));
    struct rail r;
    if (!rail)
        rail = section;
    r.min_mm = derive_number(rail, "position_min", 0);
    r.max_mm = derive_number(rail, "position_max", r.min_mm + 200);
    r.endstop_mm = derive_number(section, "position_endstop", derive_number(rail, "position_endstop", r.min_mm));
    const char *direction = derive_text(rail, "homing_positive_dir");
    r.is_at_max = direction ? tolower((unsigned char)direction[0]) == 't' || direction[0] == '1' ||
                                  tolower((unsigned char)direction[0]) == 'y'
                            : r.endstop_mm > (r.min_mm + r.max_mm) / 2;
    return r;
}

static double start_of(const struct rail *r, double away_mm)
{
    double d = (r->max_mm - r->min_mm) / 5;
    if (!(d < away_mm))
        d = away_mm;
    return r->is_at_max ? r->endstop_mm - d : r->endstop_mm + d;
}

/* Line `index` of "x, y" lines. */
static bool place_line(const char *text, unsigned index, double *x, double *y)
{
    for (; text && *text; text = strchr(text, '\n'), text = text ? text + 1 : NULL) {
        char *end;
        text += strspn(text, " \t\r");
        if (*text == '\n' || *text == 0)
            continue; /* a blank line */
        double first = strtod(text, &end);
        end += strspn(end, " \t,");
        *x = first;
        *y = strtod(end, NULL);
        if (index-- == 0)
            return true;
    }
    return false;
}

/* Where a motor of z lifts: as [z_tilt] or [quad_gantry_level] says; there the corners are front left, rear left, rear
 * right, front right. */
static void derive_place(struct plant_motor *motor, const struct config *config)
{
    const char *name = motor->name + strlen("stepper_z"), *text;
    unsigned index = (unsigned)strtoul(name, NULL, 10);
    if ((text = derive_text(config_find(config, "z_tilt"), "z_positions"))) {
        motor->has_place = place_line(text, index, &motor->at_x_mm, &motor->at_y_mm);
        return;
    }
    double low[2], high[2];
    text = derive_text(config_find(config, "quad_gantry_level"), "gantry_corners");
    if (!text || index > 3 || !place_line(text, 0, &low[0], &low[1]) || !place_line(text, 1, &high[0], &high[1]))
        return;
    motor->has_place = true;
    motor->at_x_mm = index < 2 ? low[0] : high[0];
    motor->at_y_mm = index == 0 || index == 3 ? low[1] : high[1];
}

void derive_motor(struct derived *d, const struct config_section *section)
{
    struct plant_motor motor = {.name = section_name(section)};
    if (d->desc.motor_count == DERIVED_ITEMS_MAX || !derive_pin(d, section, "step_pin", &motor.step) ||
        !derive_pin(d, section, "dir_pin", &motor.dir))
        return;
    (void)derive_pin(d, section, "enable_pin", &motor.enable);
    motor.role = role_of(d->desc.kinematics, motor.name);
    /* extra steppers of a rail may leave their drive to the first */
    const struct config_section *rail = rail_of(section_config(section), motor.name);
    bool is_angle = d->desc.kinematics == PLANT_POLAR && motor.role == PLANT_ROLE_X;
    double distance = is_angle
                          ? 2 * FM_PI
                          : derive_number(section, "rotation_distance", derive_number(rail, "rotation_distance", 40));
    double steps = derive_number(section, "full_steps_per_rotation", 200) *
                   derive_number(section, "microsteps", derive_number(rail, "microsteps", 16));
    const char *gears = derive_text(section, "gear_ratio");
    steps *= gear_ratio(gears ? gears : derive_text(rail, "gear_ratio"));
    if (motor.role == PLANT_ROLE_Z && derive_starts_with(motor.name, "stepper_z"))
        derive_place(&motor, section_config(section));
    motor.mm_per_step = steps > 0 && distance > 0 ? distance / steps : 0.01;
    d->motors[d->desc.motor_count++] = motor;
    strbuf_addf(&d->signature, "motor %s %.17g %.17g %.17g\n", motor.name, motor.mm_per_step, motor.at_x_mm,
                motor.at_y_mm);
}

/* --- geometry --- */

static enum plant_kinematics kinematics_of(const struct config *config)
{
    static const struct {
        const char *name;
        enum plant_kinematics kinematics;
    } known[] = {
        {"cartesian", PLANT_CARTESIAN}, {"corexy", PLANT_COREXY},
        {"corexz", PLANT_COREXZ},       {"hybrid_corexy", PLANT_HYBRID_COREXY},
        {"delta", PLANT_DELTA},         {"hybrid_corexz", PLANT_HYBRID_COREXZ},
        {"polar", PLANT_POLAR},         {"winch", PLANT_WINCH},
    };
    const char *name = derive_text(config_find(config, "printer"), "kinematics");
    for (size_t i = 0; name && i < ARRAY_COUNT(known); i++) {
        if (!strcmp(known[i].name, name))
            return known[i].kinematics;
    }
    return PLANT_NONE;
}

static void derive_bed(struct derived *d, const struct config *config)
{
    static const char *const rails[2] = {"stepper_x", "stepper_y"};
    for (int i = 0; i < 2; i++) {
        const struct config_section *rail = config_find(config, rails[i]);
        double low = derive_number(rail, "position_min", rail ? 0 : -d->desc.delta_radius_mm);
        double high = derive_number(rail, "position_max", rail ? low + 200 : d->desc.delta_radius_mm);
        d->bed_centre_mm[i] = (low + high) / 2;
        d->bed_half_mm[i] = high > low ? (high - low) / 2 : 100;
    }
}

void derive_geometry(struct derived *d, const struct config *config)
{
    static const char *const towers[3] = {"stepper_a", "stepper_b", "stepper_c"};
    static const double angles[3] = {210, 330, 90};
    const struct config_section *printer = config_find(config, "printer");
    d->desc.kinematics = kinematics_of(config);
    strbuf_addf(&d->signature, "kinematics %d\n", (int)d->desc.kinematics);
    const struct config_section *first = config_find(config, towers[0]);
    d->desc.delta_radius_mm = derive_number(printer, "delta_radius", 100);
    for (int i = 0; i < 3; i++) {
        const struct config_section *tower = config_find(config, towers[i]);
        d->desc.delta_arm_mm[i] = derive_number(tower, "arm_length", derive_number(first, "arm_length", 250));
        d->desc.delta_angle_deg[i] = derive_number(tower, "angle", angles[i]);
        d->desc.winch_anchor_mm[i][0] = derive_number(tower, "anchor_x", 0);
        d->desc.winch_anchor_mm[i][1] = derive_number(tower, "anchor_y", 0);
        d->desc.winch_anchor_mm[i][2] = derive_number(tower, "anchor_z", 0);
    }
    derive_bed(d, config);
}

/* Height of a carriage above the nozzle when the effector is in the centre. */
static double delta_arm_height(const struct derived *d, int tower)
{
    double arm = d->desc.delta_arm_mm[tower], radius = d->desc.delta_radius_mm;
    return arm > radius ? fm_sqrt(arm * arm - radius * radius) : 0;
}

/* Where each motor stands when the toolhead is at xyz. */
static double motor_start(const struct derived *d, enum plant_role role, const double xyz[3])
{
    double x = xyz[0], y = xyz[1], z = xyz[2];
    int i = (int)role - PLANT_ROLE_X;
    switch (d->desc.kinematics) {
    case PLANT_COREXY:
        return i == 0 ? x + y : i == 1 ? x - y : z;
    case PLANT_COREXZ:
        return i == 0 ? x + z : i == 2 ? x - z : y;
    case PLANT_HYBRID_COREXY:
        return i == 0 ? x - y : xyz[i];
    case PLANT_HYBRID_COREXZ:
        return i == 0 ? x - z : xyz[i];
    case PLANT_POLAR:
        return i == 0 ? 0 : i == 1 ? fm_hypot(x, y) : z;
    case PLANT_DELTA:
        return z + delta_arm_height(d, i);
    case PLANT_WINCH: {
        const double *a = d->desc.winch_anchor_mm[i];
        return fm_sqrt(a[0] * a[0] + a[1] * a[1] + (a[2] - z) * (a[2] - z));
    }
    case PLANT_NONE:
    case PLANT_CARTESIAN:
    default:
        return xyz[i];
    }
}

/* The toolhead at power-on: a little way from the endstops. */
static void start_position(const struct derived *d, const struct config *config, double xyz[3])
{
    static const char *const rails[3] = {"stepper_x", "stepper_y", "stepper_z"};
    xyz[0] = xyz[1] = xyz[2] = 0;
    if (d->desc.kinematics == PLANT_DELTA) {
        const struct config_section *tower = config_find(config, "stepper_a");
        xyz[2] = derive_number(tower, "position_endstop", 200) - START_AWAY_MM;
        return;
    }
    for (int i = 0; i < 3; i++) {
        const char *name = d->desc.kinematics == PLANT_POLAR && i == 0 ? "stepper_arm" : rails[i];
        const struct config_section *section = config_find(config, name);
        if (!section)
            continue;
        struct rail rail = read_rail(config, section);
        xyz[i] = start_of(&rail, i == 2 ? START_AWAY_Z_MM : START_AWAY_MM);
    }
}

void derive_positions(struct derived *d, const struct config *config)
{
    double xyz[3];
    start_position(d, config, xyz);
    for (size_t i = 0; i < d->desc.motor_count; i++) {
        struct plant_motor *motor = &d->motors[i];
        motor->start_mm = motor->role == PLANT_ROLE_FREE ? 0 : motor_start(d, motor->role, xyz);
        if (derive_starts_with(motor->name, "manual_stepper "))
            motor->start_mm = START_AWAY_Z_MM;
        strbuf_addf(&d->signature, "start %.17g\n", motor->start_mm);
    }
}

/* --- endstops --- */

static const struct config_section *find_probe(const struct config *config, const char **option)
{
    static const char *const kinds[][2] = {{"probe", "pin"}, {"bltouch", "sensor_pin"}, {"smart_effector", "pin"}};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        const struct config_section *section = config_find(config, kinds[i][0]);
        *option = kinds[i][1];
        if (section && section_is_in_file(section))
            return section;
    }
    return NULL;
}

/* "tmc2209_stepper_x:virtual_endstop" is wired to the driver's diagnosis output. */
static bool virtual_endstop_pin(struct derived *d, const struct config *config, const char *value,
                                struct plant_pin *pin)
{
    static const char *const options[] = {"diag_pin", "diag1_pin", "diag0_pin"};
    const char *colon = strchr(value, ':'), *underscore = strchr(value, '_');
    if (!derive_starts_with(value, "tmc") || !colon || !underscore || underscore > colon)
        return false;
    char *name = arena_strndup(&d->arena, value, (size_t)(colon - value));
    name[underscore - value] = ' ';
    const struct config_section *driver = config_find(config, name);
    for (size_t i = 0; driver && i < ARRAY_COUNT(options); i++) {
        if (derive_pin(d, driver, options[i], pin))
            return true;
    }
    return false;
}

static void push_endstop(struct derived *d, const struct plant_endstop *endstop)
{
    if (d->desc.endstop_count == DERIVED_ITEMS_MAX)
        return;
    d->endstops[d->desc.endstop_count++] = *endstop;
    strbuf_addf(&d->signature, "endstop %s %d %u %.17g %d\n", endstop->name, (int)endstop->of, endstop->index,
                endstop->at_mm, endstop->is_at_max);
}

static void add_stepper_endstop(struct derived *d, const struct config *config, size_t motor_index)
{
    const struct plant_motor *motor = &d->motors[motor_index];
    const struct config_section *section = config_find(config, motor->name);
    struct plant_endstop endstop = {.name = motor->name};
    const char *value = derive_text(section, "endstop_pin");
    if (!value ||
        (!derive_pin(d, section, "endstop_pin", &endstop.pin) && !virtual_endstop_pin(d, config, value, &endstop.pin)))
        return;
    struct rail rail = read_rail(config, section);
    endstop.at_mm = rail.endstop_mm;
    endstop.is_at_max = rail.is_at_max;
    int axis = (int)motor->role - PLANT_ROLE_X;
    bool is_extra = isdigit((unsigned char)motor->name[strlen(motor->name) - 1]);
    if (axis < 0 || is_extra || d->desc.kinematics == PLANT_POLAR) {
        endstop.of = PLANT_ENDSTOP_MOTOR;
        endstop.index = (unsigned)motor_index;
        if (axis < 0)
            endstop.at_mm = derive_number(section, "position_endstop", 0);
    } else if (d->desc.kinematics == PLANT_DELTA) {
        const struct config_section *first = config_find(config, "stepper_a");
        endstop.of = PLANT_ENDSTOP_MOTOR;
        endstop.index = (unsigned)motor_index;
        endstop.at_mm = derive_number(section, "position_endstop", derive_number(first, "position_endstop", 200)) +
                        delta_arm_height(d, axis);
        endstop.is_at_max = true;
    } else {
        endstop.of = PLANT_ENDSTOP_AXIS;
        endstop.index = (unsigned)axis;
    }
    push_endstop(d, &endstop);
}

void derive_endstops(struct derived *d, const struct config *config)
{
    for (size_t i = 0; i < d->desc.motor_count; i++)
        add_stepper_endstop(d, config, i);
    const char *option;
    const struct config_section *probe = find_probe(config, &option);
    struct plant_endstop endstop = {.name = "probe", .of = PLANT_ENDSTOP_PROBE};
    if (!probe || !derive_pin(d, probe, option, &endstop.pin))
        return;
    (void)derive_pin(d, probe, "control_pin", &endstop.control);
    endstop.at_mm = derive_number(probe, "z_offset", 0);
    endstop.probe_x_mm = derive_number(probe, "x_offset", 0);
    endstop.probe_y_mm = derive_number(probe, "y_offset", 0);
    push_endstop(d, &endstop);
}
