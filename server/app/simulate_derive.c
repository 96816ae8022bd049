/* Reads the raw options of known sections (never through typed getters: those count as reading for the printer). The
 * parameters of heaters are chosen so that the machine does what its configuration asks of it; their values and reasons
 * are in docs/design/simulated-printer.md. */
#include "server/app/simulate_derive.h"

#include "base/check.h"
#include "base/fmath.h"
#include "server/config/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START_AWAY_MM   30.0 /* where axes stand at power-on: this far from their endstop, at most a fifth of the range */
#define START_AWAY_Z_MM 10.0
#define HEADROOM        1.5  /* a heater at full power would end this much above max_temp, seen from the room */
#define HOTEND_LOSS_W_K 0.15
#define HOTEND_RATE_K_S 3.0
#define BED_POWER_W     300.0
#define BED_RATE_K_S    0.6
#define AMBIENT_C       25.0

/* --- raw options --- */

static const char *text(const struct config_section *section, const char *name)
{
    const struct config_option *option = section ? section_find(section, name) : NULL;
    return option ? option->value : NULL;
}

static double number(const struct config_section *section, const char *name, double fallback)
{
    const char *value = text(section, name);
    char *end;
    if (!value)
        return fallback;
    double v = strtod(value, &end);
    return end != value && v == v && v > -1e9 && v < 1e9 ? v : fallback;
}

static bool starts_with(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* --- boards and pins --- */

int derived_board_index(const struct derived *d, const char *name)
{
    for (size_t i = 0; i < d->board_count; i++) {
        if (!strcmp(d->boards[i].name, name))
            return (int)i;
    }
    return -1;
}

static void add_pin_name(struct derived *d, struct derived_board *board, const char *name)
{
    for (size_t i = 0; i < board->pin_count; i++) {
        if (!strcmp(board->pin_names[i], name))
            return;
    }
    if (board->pin_count == board->pin_room) {
        size_t room = board->pin_room ? 2 * board->pin_room : 32;
        const char **names = arena_alloc(&d->arena, room * sizeof(*names));
        if (board->pin_count)
            memcpy(names, board->pin_names, board->pin_count * sizeof(*names));
        board->pin_names = names;
        board->pin_room = room;
    }
    board->pin_names[board->pin_count++] = name;
    strbuf_addf(&d->signature, "pin %s %s\n", board->name, name);
}

/* The real pin behind an alias of [board_pins], or `name` itself. */
static const char *resolve_alias(struct derived *d, const struct config *config, const char *board, const char *name)
{
    for (size_t i = 0; i < config_section_count(config); i++) {
        const struct config_section *section = config_section_at(config, i);
        const char *owner = text(section, "mcu");
        if (!starts_with(section_name(section), "board_pins") || strcmp(owner ? owner : "mcu", board) != 0)
            continue;
        for (size_t o = 0; o < section_option_count(section); o++) {
            const struct config_option *option = section_option_at(section, o);
            if (!starts_with(option->name, "aliases"))
                continue;
            size_t len = strlen(name);
            for (const char *p = option->value; *p;) {
                p += strspn(p, " \t\r\n,");
                size_t key = strcspn(p, "= \t\r\n,");
                const char *eq = p + key + strspn(p + key, " \t");
                if (*eq != '=') {
                    p += strcspn(p, ",\n");
                    continue;
                }
                const char *value = eq + 1 + strspn(eq + 1, " \t");
                size_t value_len = strcspn(value, " \t\r\n,");
                if (key == len && !strncmp(p, name, len) && value_len && value[0] != '<')
                    return arena_strndup(&d->arena, value, value_len);
                p = value + value_len;
            }
        }
    }
    return name;
}

/* Read "[^~!]*[board:]name". false: not a pin of one of the boards (a virtual endstop, say). */
static bool parse_pin(struct derived *d, const struct config *config, const char *value, struct plant_pin *pin)
{
    *pin = (struct plant_pin){0};
    if (!value)
        return false;
    for (; *value && strchr(" \t\r\n^~!", *value); value++) {
        if (*value == '!')
            pin->is_inverted = !pin->is_inverted;
    }
    size_t len = strcspn(value, " \t\r\n,");
    const char *colon = memchr(value, ':', len);
    const char *board = "mcu";
    if (colon) {
        board = arena_strndup(&d->arena, value, (size_t)(colon - value));
        len -= (size_t)(colon + 1 - value);
        value = colon + 1;
        value += strspn(value, " \t");
        len = strcspn(value, " \t\r\n,");
    }
    int index = derived_board_index(d, board);
    if (index < 0 || !len || len > 64)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)value[i]) && !strchr("_./-", value[i]))
            return false;
    }
    pin->board = (unsigned)index;
    pin->name = resolve_alias(d, config, board, arena_strndup(&d->arena, value, len));
    add_pin_name(d, &d->boards[index], pin->name);
    return true;
}

static bool option_pin(struct derived *d, const struct config_section *section, const char *name, struct plant_pin *pin)
{
    return parse_pin(d, section_config(section), text(section, name), pin);
}

static void find_boards(struct derived *d, const struct config *config, bool main_board_only)
{
    for (size_t i = 0; i < config_section_count(config) && d->board_count < DERIVED_BOARDS_MAX; i++) {
        const char *name = section_name(config_section_at(config, i));
        if (!strcmp(name, "mcu") || (starts_with(name, "mcu ") && !main_board_only))
            d->boards[d->board_count++].name = arena_strdup(&d->arena, name[3] ? name + 4 : name);
    }
}

/* Every option that may name pins gives its names to the boards, whatever it is for. */
static void collect_pins(struct derived *d, const struct config *config)
{
    for (size_t i = 0; i < config_section_count(config); i++) {
        const struct config_section *section = config_section_at(config, i);
        for (size_t o = 0; o < section_option_count(section); o++) {
            const struct config_option *option = section_option_at(section, o);
            if (!strstr(option->name, "pin"))
                continue;
            for (const char *p = option->value; *p; p += strcspn(p, ",\n")) {
                struct plant_pin pin;
                p += strspn(p, " \t\r\n,");
                (void)parse_pin(d, config, p, &pin);
            }
        }
    }
}

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

static enum plant_kinematics kinematics_of(const struct config *config)
{
    static const struct {
        const char *name;
        enum plant_kinematics kinematics;
    } known[] = {
        {"cartesian", PLANT_CARTESIAN},         {"corexy", PLANT_COREXY}, {"corexz", PLANT_COREXZ},
        {"hybrid_corexy", PLANT_HYBRID_COREXY}, {"delta", PLANT_DELTA},   {"hybrid_corexz", PLANT_HYBRID_COREXZ},
        {"polar", PLANT_POLAR},                 {"winch", PLANT_WINCH},
    };
    const char *name = text(config_find(config, "printer"), "kinematics");
    for (size_t i = 0; name && i < ARRAY_COUNT(known); i++) {
        if (!strcmp(known[i].name, name))
            return known[i].kinematics;
    }
    return PLANT_NONE;
}

static enum plant_role role_of(enum plant_kinematics kinematics, const char *name)
{
    if (!starts_with(name, "stepper_") || kinematics == PLANT_NONE)
        return PLANT_ROLE_FREE;
    name += strlen("stepper_");
    if (kinematics == PLANT_POLAR)
        return !strcmp(name, "bed") ? PLANT_ROLE_X : !strcmp(name, "arm") ? PLANT_ROLE_Y
               : name[0] == 'z'     ? PLANT_ROLE_Z
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
    r.min_mm = number(rail, "position_min", 0);
    r.max_mm = number(rail, "position_max", r.min_mm + 200);
    r.endstop_mm = number(section, "position_endstop", number(rail, "position_endstop", r.min_mm));
    const char *direction = text(rail, "homing_positive_dir");
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

static void add_motor(struct derived *d, const struct config_section *section)
{
    struct plant_motor motor = {.name = section_name(section)};
    if (d->desc.motor_count == DERIVED_ITEMS_MAX || !option_pin(d, section, "step_pin", &motor.step) ||
        !option_pin(d, section, "dir_pin", &motor.dir))
        return;
    (void)option_pin(d, section, "enable_pin", &motor.enable);
    motor.role = role_of(d->desc.kinematics, motor.name);
    /* extra steppers of a rail may leave their drive to the first */
    const struct config_section *rail = rail_of(section_config(section), motor.name);
    bool is_angle = d->desc.kinematics == PLANT_POLAR && motor.role == PLANT_ROLE_X;
    double distance = is_angle ? 2 * FM_PI : number(section, "rotation_distance", number(rail, "rotation_distance", 40));
    double steps = number(section, "full_steps_per_rotation", 200) *
                   number(section, "microsteps", number(rail, "microsteps", 16));
    const char *gears = text(section, "gear_ratio");
    steps *= gear_ratio(gears ? gears : text(rail, "gear_ratio"));
    motor.mm_per_step = steps > 0 && distance > 0 ? distance / steps : 0.01;
    d->motors[d->desc.motor_count++] = motor;
    strbuf_addf(&d->signature, "motor %s %.17g\n", motor.name, motor.mm_per_step);
}

/* --- geometry --- */

static void read_delta(struct derived *d, const struct config *config)
{
    static const char *const towers[3] = {"stepper_a", "stepper_b", "stepper_c"};
    static const double angles[3] = {210, 330, 90};
    const struct config_section *printer = config_find(config, "printer");
    const struct config_section *first = config_find(config, towers[0]);
    d->desc.delta_radius_mm = number(printer, "delta_radius", 100);
    for (int i = 0; i < 3; i++) {
        const struct config_section *tower = config_find(config, towers[i]);
        d->desc.delta_arm_mm[i] = number(tower, "arm_length", number(first, "arm_length", 250));
        d->desc.delta_angle_deg[i] = number(tower, "angle", angles[i]);
        d->desc.winch_anchor_mm[i][0] = number(tower, "anchor_x", 0);
        d->desc.winch_anchor_mm[i][1] = number(tower, "anchor_y", 0);
        d->desc.winch_anchor_mm[i][2] = number(tower, "anchor_z", 0);
    }
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
        xyz[2] = number(tower, "position_endstop", 200) - START_AWAY_MM;
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

static void place_motors(struct derived *d, const struct config *config)
{
    double xyz[3];
    start_position(d, config, xyz);
    for (size_t i = 0; i < d->desc.motor_count; i++) {
        struct plant_motor *motor = &d->motors[i];
        motor->start_mm = motor->role == PLANT_ROLE_FREE ? 0 : motor_start(d, motor->role, xyz);
        if (starts_with(motor->name, "manual_stepper "))
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
        if (section)
            return section;
    }
    return NULL;
}

/* "tmc2209_stepper_x:virtual_endstop" is wired to the driver's diagnosis output. */
static bool virtual_endstop_pin(struct derived *d, const struct config *config, const char *value, struct plant_pin *pin)
{
    static const char *const options[] = {"diag_pin", "diag1_pin", "diag0_pin"};
    const char *colon = strchr(value, ':'), *underscore = strchr(value, '_');
    if (!starts_with(value, "tmc") || !colon || !underscore || underscore > colon)
        return false;
    char *name = arena_strndup(&d->arena, value, (size_t)(colon - value));
    name[underscore - value] = ' ';
    const struct config_section *driver = config_find(config, name);
    for (size_t i = 0; driver && i < ARRAY_COUNT(options); i++) {
        if (option_pin(d, driver, options[i], pin))
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
    const char *value = text(section, "endstop_pin");
    if (!value || (!option_pin(d, section, "endstop_pin", &endstop.pin) &&
                   !virtual_endstop_pin(d, config, value, &endstop.pin)))
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
            endstop.at_mm = number(section, "position_endstop", 0);
    } else if (d->desc.kinematics == PLANT_DELTA) {
        const struct config_section *first = config_find(config, "stepper_a");
        endstop.of = PLANT_ENDSTOP_MOTOR;
        endstop.index = (unsigned)motor_index;
        endstop.at_mm = number(section, "position_endstop", number(first, "position_endstop", 200)) +
                        delta_arm_height(d, axis);
        endstop.is_at_max = true;
    } else {
        endstop.of = PLANT_ENDSTOP_AXIS;
        endstop.index = (unsigned)axis;
    }
    push_endstop(d, &endstop);
}

static void add_endstops(struct derived *d, const struct config *config)
{
    for (size_t i = 0; i < d->desc.motor_count; i++)
        add_stepper_endstop(d, config, i);
    const char *option;
    const struct config_section *probe = find_probe(config, &option);
    struct plant_endstop endstop = {.name = "probe", .of = PLANT_ENDSTOP_PROBE};
    if (!probe || !option_pin(d, probe, option, &endstop.pin))
        return;
    endstop.at_mm = number(probe, "z_offset", 0);
    endstop.probe_x_mm = number(probe, "x_offset", 0);
    endstop.probe_y_mm = number(probe, "y_offset", 0);
    push_endstop(d, &endstop);
}

/* --- heat --- */

static void add_fan(struct derived *d, const struct config_section *section)
{
    struct plant_fan fan = {.name = section_name(section), .rpm_max = 6000, .tach_ppr = 2};
    if (d->desc.fan_count == DERIVED_ITEMS_MAX || !option_pin(d, section, "pin", &fan.pin))
        return;
    (void)option_pin(d, section, "tachometer_pin", &fan.tach);
    fan.tach_ppr = number(section, "tachometer_ppr", 2);
    d->fans[d->desc.fan_count++] = fan;
    strbuf_addf(&d->signature, "fan %s\n", fan.name);
}

static void add_heater(struct derived *d, const struct config_section *section)
{
    const char *name = section_name(section);
    struct plant_heater heater = {.name = name, .fan = -1};
    if (d->desc.heater_count == DERIVED_ITEMS_MAX || !option_pin(d, section, "heater_pin", &heater.pin))
        return;
    bool is_hotend = starts_with(name, "extruder");
    double span = number(section, "max_temp", is_hotend ? 300 : 130) - AMBIENT_C;
    if (!(span > 20))
        span = 20;
    if (is_hotend) {
        heater.loss_w_k = HOTEND_LOSS_W_K;
        heater.power_w = HEADROOM * span * heater.loss_w_k;
        heater.capacity_j_k = heater.power_w / HOTEND_RATE_K_S;
        heater.sensor_tau_s = 3;
        heater.delay_s = 0.5;
        for (size_t i = 0; i < d->desc.fan_count && heater.fan < 0; i++)
            heater.fan = strcmp(d->fans[i].name, "fan") ? -1 : (int)i;
        heater.fan_loss_w_k = 0.15 * heater.loss_w_k;
    } else {
        heater.power_w = BED_POWER_W;
        heater.loss_w_k = heater.power_w / (HEADROOM * span);
        heater.capacity_j_k = heater.power_w / BED_RATE_K_S;
        heater.sensor_tau_s = 4;
        heater.delay_s = 1;
    }
    d->heaters[d->desc.heater_count++] = heater;
    strbuf_addf(&d->signature, "heater %s %.17g\n", name, span);
}

/* A sensor type of the configuration's own: [thermistor NAME] or [adc_temperature NAME]. */
static enum err custom_curve(struct sensor_curve *curve, const struct config *config, const char *type)
{
    char name[96], key[32];
    struct sensor_point points[SENSOR_POINTS_MAX];
    snprintf(name, sizeof(name), "thermistor %s", type);
    const struct config_section *section = config_find(config, name);
    bool is_thermistor = section != NULL;
    if (!section) {
        snprintf(name, sizeof(name), "adc_temperature %s", type);
        section = config_find(config, name);
    }
    if (!section)
        return ERR_NOT_FOUND;
    bool is_voltage = !is_thermistor && !text(section, "resistance1");
    size_t count = 0;
    for (size_t n = 1; n <= SENSOR_POINTS_MAX; n++, count++) {
        snprintf(key, sizeof(key), "temperature%zu", n);
        if (!text(section, key))
            break;
        points[count].temp_c = number(section, key, 0);
        snprintf(key, sizeof(key), "%s%zu", is_voltage ? "voltage" : "resistance", n);
        points[count].value = number(section, key, 0);
    }
    double beta = number(section, "beta", 0);
    if (is_thermistor && beta > 0 && count)
        return sensor_curve_from_beta(curve, points[0].temp_c, points[0].value, beta);
    if (is_thermistor)
        return count < 3 ? ERR_INVALID : sensor_curve_from_points(curve, points);
    return sensor_curve_from_table(curve, is_voltage ? SENSOR_VOLTAGE : SENSOR_RESISTANCE, points, count);
}

static void add_sensor(struct derived *d, const struct config *config, const struct config_section *section)
{
    struct plant_sensor sensor = {.name = section_name(section), .heater = -1, .wiring = sensor_wiring_default()};
    const char *type = text(section, "sensor_type");
    if (!type || d->desc.sensor_count == DERIVED_ITEMS_MAX || !option_pin(d, section, "sensor_pin", &sensor.pin))
        return;
    if (sensor_curve_builtin(&sensor.curve, type) && custom_curve(&sensor.curve, config, type))
        return; /* not read through an ADC, or not known: a plain pin */
    sensor.wiring.pullup_ohm = number(section, "pullup_resistor", SENSOR_PULLUP_OHM);
    sensor.wiring.inline_ohm = number(section, "inline_resistor", 0);
    sensor.wiring.adc_voltage = number(section, "adc_voltage", SENSOR_ADC_VOLTAGE);
    sensor.wiring.voltage_offset = number(section, "voltage_offset", 0);
    for (size_t i = 0; i < d->desc.heater_count; i++) {
        if (!strcmp(d->heaters[i].name, sensor.name))
            sensor.heater = (int)i;
    }
    d->sensors[d->desc.sensor_count++] = sensor;
    strbuf_addf(&d->signature, "sensor %s %s %.17g\n", sensor.name, type, sensor.wiring.pullup_ohm);
}

static void add_switch(struct derived *d, const struct config_section *section)
{
    const char *name = section_name(section);
    bool is_filament = starts_with(name, "filament_switch_sensor ");
    struct plant_switch sw = {.name = name, .is_active = is_filament};
    if (d->desc.switch_count == DERIVED_ITEMS_MAX ||
        !option_pin(d, section, is_filament ? "switch_pin" : "pin", &sw.pin))
        return;
    d->switches[d->desc.switch_count++] = sw;
    strbuf_addf(&d->signature, "switch %s\n", name);
}

static bool is_fan(const char *name)
{
    static const char *const kinds[] = {"heater_fan ", "controller_fan ", "fan_generic ", "temperature_fan "};
    if (!strcmp(name, "fan"))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (starts_with(name, kinds[i]))
            return true;
    }
    return false;
}

/* --- all of it --- */

static void point_desc(struct derived *d)
{
    d->desc.motors = d->motors;
    d->desc.endstops = d->endstops;
    d->desc.heaters = d->heaters;
    d->desc.sensors = d->sensors;
    d->desc.fans = d->fans;
    d->desc.switches = d->switches;
    d->desc.board_count = d->board_count;
    d->desc.ambient_c = AMBIENT_C;
}

struct derived *derived_create(const struct config *config, bool main_board_only)
{
    struct derived *d = MEM_NEW(struct derived);
    arena_init(&d->arena, 0);
    strbuf_init(&d->signature);
    find_boards(d, config, main_board_only);
    d->desc.kinematics = kinematics_of(config);
    strbuf_addf(&d->signature, "kinematics %d\n", (int)d->desc.kinematics);
    read_delta(d, config);
    collect_pins(d, config);
    size_t count = config_section_count(config);
    for (size_t i = 0; i < count; i++) {
        const struct config_section *section = config_section_at(config, i);
        if (is_fan(section_name(section)))
            add_fan(d, section);
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_section *section = config_section_at(config, i);
        const char *name = section_name(section);
        add_motor(d, section);
        add_heater(d, section);
        if (starts_with(name, "filament_switch_sensor ") || starts_with(name, "gcode_button "))
            add_switch(d, section);
    }
    for (size_t i = 0; i < count; i++)
        add_sensor(d, config, config_section_at(config, i));
    place_motors(d, config);
    add_endstops(d, config);
    point_desc(d);
    /* texts of the configuration go away with it */
    for (size_t i = 0; i < d->desc.motor_count; i++)
        d->motors[i].name = arena_strdup(&d->arena, d->motors[i].name);
    for (size_t i = 0; i < d->desc.endstop_count; i++)
        d->endstops[i].name = arena_strdup(&d->arena, d->endstops[i].name);
    for (size_t i = 0; i < d->desc.heater_count; i++)
        d->heaters[i].name = arena_strdup(&d->arena, d->heaters[i].name);
    for (size_t i = 0; i < d->desc.sensor_count; i++)
        d->sensors[i].name = arena_strdup(&d->arena, d->sensors[i].name);
    for (size_t i = 0; i < d->desc.fan_count; i++)
        d->fans[i].name = arena_strdup(&d->arena, d->fans[i].name);
    for (size_t i = 0; i < d->desc.switch_count; i++)
        d->switches[i].name = arena_strdup(&d->arena, d->switches[i].name);
    return d;
}

void derived_destroy(struct derived *derived)
{
    if (!derived)
        return;
    strbuf_deinit(&derived->signature);
    arena_deinit(&derived->arena);
    mem_free(derived);
}
