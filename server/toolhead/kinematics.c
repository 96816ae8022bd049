/* Rails from the configuration, and their description to the engine. */
#include "server/toolhead/kinematics.h"
#include "base/fmath.h"
#include "base/mem.h"
#include "server/config/config.h"
#include "server/machine/printer.h"
#include "server/toolhead/kinematics_options.h"
#include "server/toolhead/probe.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- rails --- */

static void read_homing_direction(struct rail *rail, struct config_section *section)
{
    if (section_error_count(section))
        return;
    double min = rail->position_min_mm, max = rail->position_max_mm, endstop = rail->position_endstop_mm;
    if (max <= min) {
        config_error_option(section, "position_max", "Option 'position_max' in section '%s' must be above %g",
                            rail->name, min);
        return;
    }
    if (endstop < min || endstop > max) {
        config_error_option(section, "position_endstop",
                            "position_endstop in section '%s' must be between position_min and position_max",
                            rail->name);
        return;
    }
    double quarter = (max - min) / 4.0;
    if (section_has(section, "homing_positive_dir")) {
        rail->is_homing_positive = section_bool(section, "homing_positive_dir");
        if ((rail->is_homing_positive && endstop == min) || (!rail->is_homing_positive && endstop == max))
            config_error_option(section, "homing_positive_dir",
                                "Invalid homing_positive_dir / position_endstop in '%s'", rail->name);
    } else if (endstop > min + quarter && endstop < max - quarter) {
        config_error_section(section, "Unable to infer homing_positive_dir in section '%s'", rail->name);
    } else {
        rail->is_homing_positive = section_bool_or(section, "homing_positive_dir", endstop > min + quarter);
    }
}

static void read_homing(struct rail *rail, struct config_section *section)
{
    rail->homing_speed_mm_s = section_float(section, "homing_speed");
    rail->second_homing_speed_mm_s = section_float_or(section, "second_homing_speed", rail->homing_speed_mm_s / 2.0);
    rail->retract_speed_mm_s = section_float_or(section, "homing_retract_speed", rail->homing_speed_mm_s);
    rail->retract_dist_mm = section_float(section, "homing_retract_dist");
}

/* A probe that is the endstop triggers with the nozzle at its z_offset. */
static double probe_height_mm(const struct printer *printer)
{
    const struct probe *probe = printer_probe(printer);
    double offset_mm[3] = {0.0, 0.0, 0.0};
    if (probe)
        probe_offsets(probe, offset_mm);
    return offset_mm[2];
}

/* An endstop on a virtual pin brings its own position. */
static bool has_virtual_endstop(const struct config_section *section)
{
    const struct config_option *pin = section_find(section, "endstop_pin");
    return pin && strstr(pin->value, "z_virtual_endstop") != NULL;
}

static void read_range(const struct printer *printer, struct rail *rail, struct config_section *section)
{
    rail->position_min_mm = section_float(section, "position_min");
    rail->position_max_mm = section_float(section, "position_max");
    if (has_virtual_endstop(section)) {
        double endstop_mm = printer_probe(printer) ? probe_height_mm(printer) : rail->position_min_mm;
        rail->position_endstop_mm = section_float_or(section, "position_endstop", endstop_mm);
    } else {
        rail->position_endstop_mm = section_float_required(section, "position_endstop");
    }
    read_homing_direction(rail, section);
}

static void add_stepper(struct kinematics *kin, struct rail *rail, struct config_section *section)
{
    struct stepper *stepper = MEM_NEW(struct stepper);
    size_t index = rail->stepper_count++;
    rail->steppers[index] = stepper;
    stepper_setup(stepper, kin->printer, section);
    if (index == 0)
        section_string_required(section, "endstop_pin");
    if (section_has(section, "endstop_pin"))
        rail->endstops[index] = endstop_setup(kin->printer, section, stepper_short_name(section_name(section)));
}

/* [stepper_z1], [stepper_z2], ... as far as they go. */
static void add_further_steppers(struct kinematics *kin, struct rail *rail)
{
    for (unsigned n = 1; n < 100; n++) {
        char name[32];
        snprintf(name, sizeof name, "%s%u", rail->name, n);
        struct config_section *section = config_find(kin->printer->config, name);
        if (!section)
            return;
        section_bind(section, kinematics_further_options, kinematics_further_option_count);
        if (rail->stepper_count == RAIL_STEPPERS_MAX) {
            config_error_section(section, "A rail has at most %d steppers", RAIL_STEPPERS_MAX);
            return;
        }
        add_stepper(kin, rail, section);
    }
}

static struct config_section *rail_section(struct kinematics *kin, const char *name)
{
    struct config_section *section = config_find(kin->printer->config, name);
    if (!section)
        config_error_place(kin->printer->config, "", 0, "Section '%s' must be specified: [printer] kinematics needs it",
                           name);
    return section;
}

static void read_linear_rails(struct kinematics *kin)
{
    static const char *const names[RAIL_COUNT] = {"stepper_x", "stepper_y", "stepper_z"};
    kin->rail_count = RAIL_COUNT;
    for (size_t i = 0; i < RAIL_COUNT; i++) {
        struct rail *rail = &kin->rails[i];
        rail->name = names[i];
        rail->letter = stepper_short_name(names[i]);
        struct config_section *section = rail_section(kin, names[i]);
        if (!section)
            continue;
        section_bind(section, kinematics_rail_options, kinematics_rail_option_count);
        add_stepper(kin, rail, section);
        read_range(kin->printer, rail, section);
        read_homing(rail, section);
        add_further_steppers(kin, rail);
    }
}

/* --- delta --- */

static void read_delta_rail(struct kinematics *kin, struct rail *rail, struct config_section *section,
                            const struct rail *first, double default_angle_deg)
{
    section_bind(section, kinematics_tower_options, kinematics_tower_option_count);
    add_stepper(kin, rail, section);
    bool is_first = rail == first;
    rail->arm_length_mm = is_first ? section_float_required(section, "arm_length")
                                   : section_float_or(section, "arm_length", first->arm_length_mm);
    rail->position_endstop_mm = is_first ? section_float_required(section, "position_endstop")
                                         : section_float_or(section, "position_endstop", first->position_endstop_mm);
    rail->angle_deg = section_float_or(section, "angle", default_angle_deg);
    rail->is_homing_positive = section_bool_or(section, "homing_positive_dir", true);
    if (!rail->is_homing_positive)
        config_error_option(section, "homing_positive_dir", "Invalid homing_positive_dir / position_endstop in '%s'",
                            rail->name);
    if (rail->arm_length_mm <= kin->spec.delta_radius_mm && section_error_count(section) == 0)
        config_error_option(section, "arm_length", "Option 'arm_length' in section '%s' must be above %g", rail->name,
                            kin->spec.delta_radius_mm);
    read_homing(rail, section);
}

static void read_delta(struct kinematics *kin, struct config_section *printer)
{
    static const char *const names[RAIL_COUNT] = {"stepper_a", "stepper_b", "stepper_c"};
    static const double angles_deg[RAIL_COUNT] = {210.0, 330.0, 90.0};
    struct engine_kinematics_spec *spec = &kin->spec;
    spec->delta_radius_mm = section_float_required(printer, "delta_radius");
    spec->print_radius_mm = section_float_or(printer, "print_radius", spec->delta_radius_mm);
    spec->minimum_z_mm = section_float_or(printer, "minimum_z_position", 0.0);
    kin->rail_count = RAIL_COUNT;
    for (size_t i = 0; i < RAIL_COUNT; i++) {
        kin->rails[i].name = names[i];
        kin->rails[i].letter = stepper_short_name(names[i]);
        struct config_section *section = rail_section(kin, names[i]);
        if (section) {
            read_delta_rail(kin, &kin->rails[i], section, &kin->rails[0], angles_deg[i]);
            add_further_steppers(kin, &kin->rails[i]);
        }
    }
}

/* --- the whole --- */

/* One thing that is missing is one error: nobody will read what belongs to it. */
static void accept_unsupported(struct config_section *printer_section)
{
    struct config *config = section_config(printer_section);
    section_accept_all(printer_section);
    for (size_t i = 0; i < config_section_count(config); i++) {
        struct config_section *section = config_section_at(config, i);
        if (strncmp(section_name(section), "stepper_", 8) != 0)
            continue;
        section_bind(section, NULL, 0);
        section_accept_all(section);
    }
}

static bool read_kind(struct config_section *section, enum engine_kinematics *kind)
{
    static const struct {
        const char *name;
        enum engine_kinematics kind;
    } kinds[] = {{"none", ENGINE_KIN_NONE},
                 {"cartesian", ENGINE_KIN_CARTESIAN},
                 {"corexy", ENGINE_KIN_COREXY},
                 {"corexz", ENGINE_KIN_COREXZ},
                 {"hybrid_corexy", ENGINE_KIN_HYBRID_COREXY},
                 {"hybrid_corexz", ENGINE_KIN_HYBRID_COREXZ},
                 {"delta", ENGINE_KIN_DELTA}};
    static const char *const others[] = {"deltesian", "generic_cartesian", "polar", "rotary_delta", "winch"};
    const char *name = section_string(section, "kinematics");
    if (!name)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(name, kinds[i].name) == 0) {
            *kind = kinds[i].kind;
            return true;
        }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(name, others[i]) == 0) {
            config_error_option(section, "kinematics",
                                "Kinematics '%s' is one that Klipper has and this program does not have yet", name);
            accept_unsupported(section);
            return false;
        }
    config_error_option(section, "kinematics",
                        "Unknown kinematics '%s'; allowed are none, cartesian, corexy, corexz, hybrid_corexy, "
                        "hybrid_corexz, delta",
                        name);
    return false;
}

static void fill_spec(struct kinematics *kin)
{
    struct engine_kinematics_spec *spec = &kin->spec;
    spec->kind = kin->kind;
    for (size_t i = 0; i < kin->rail_count; i++) {
        const struct rail *rail = &kin->rails[i];
        spec->rail[i].position_min_mm = rail->position_min_mm;
        spec->rail[i].position_max_mm = rail->position_max_mm;
        spec->rail[i].position_endstop_mm = rail->position_endstop_mm;
        spec->rail[i].arm_length_mm = rail->arm_length_mm;
        spec->rail[i].angle_deg = rail->angle_deg;
        spec->rail[i].step_dist_mm = rail->stepper_count ? rail->steppers[0]->step_dist_mm : 0.0;
    }
}

struct kinematics *kinematics_create(struct printer *printer, struct config_section *section, double max_velocity_mm_s,
                                     double max_accel_mm_s2)
{
    struct kinematics *kin = MEM_NEW(struct kinematics);
    kin->printer = printer;
    kin->spec.max_velocity_mm_s = max_velocity_mm_s;
    kin->spec.max_accel_mm_s2 = max_accel_mm_s2;
    if (!read_kind(section, &kin->kind) || kin->kind == ENGINE_KIN_NONE)
        return kin;
    kin->spec.max_z_velocity_mm_s =
        section_float_in(section, "max_z_velocity", max_velocity_mm_s, NAN, max_velocity_mm_s);
    kin->spec.max_z_accel_mm_s2 = section_float_in(section, "max_z_accel", max_accel_mm_s2, NAN, max_accel_mm_s2);
    if (kin->kind == ENGINE_KIN_DELTA)
        read_delta(kin, section);
    else
        read_linear_rails(kin);
    fill_spec(kin);
    struct err_info info;
    if (config_error_count(printer->config) == 0 && engine_check_kinematics(&kin->spec, &info))
        config_error_section(section, "Impossible kinematics: %s", info.text);
    return kin;
}

void kinematics_destroy(struct kinematics *kin)
{
    if (!kin)
        return;
    for (size_t i = 0; i < RAIL_COUNT; i++)
        for (size_t k = 0; k < kin->rails[i].stepper_count; k++)
            mem_free(kin->rails[i].steppers[k]);
    mem_free(kin);
}

bool kinematics_homes_together(const struct kinematics *kin)
{
    return kin->kind == ENGINE_KIN_DELTA;
}

size_t kinematics_endstops(const struct kinematics *kin, size_t index, struct endstop *out[RAIL_STEPPERS_MAX])
{
    const struct rail *rail = &kin->rails[index];
    size_t count = 0;
    for (size_t i = 0; i < rail->stepper_count; i++) {
        struct endstop *endstop = rail->endstops[i];
        for (size_t k = 0; k < count && endstop; k++)
            if (out[k] == endstop)
                endstop = NULL;
        if (endstop)
            out[count++] = endstop;
    }
    return count;
}

/* --- description to the engine --- */

/* Do the steppers of `rail` move when the toolhead moves along `axis`? Asked of the engine's formulas, so that corexy
 * and its kin need no table here. */
static bool rail_moves_with(const struct kinematics *kin, size_t rail, size_t axis)
{
    if (kinematics_homes_together(kin))
        return rail == axis; /* a tower's carriage is stopped by its own switch */
    const double origin[3] = {0.0, 0.0, 0.0};
    double away[3] = {0.0, 0.0, 0.0}, at_origin[3], at_away[3];
    away[axis] = 10.0;
    engine_inverse(kin->printer->engine, origin, at_origin);
    engine_inverse(kin->printer->engine, away, at_away);
    return fabs(at_away[rail] - at_origin[rail]) > 1e-9;
}

struct endstop *kinematics_endstop_of(const struct kinematics *kin, size_t axis, const struct engine_stepper *stepper)
{
    for (size_t i = 0; i < kin->rail_count; i++)
        for (size_t k = 0; k < kin->rails[i].stepper_count; k++) {
            if (kin->rails[i].steppers[k]->engine != stepper)
                continue;
            if (i == axis && k > 0 && kin->rails[i].endstops[k])
                return kin->rails[i].endstops[k];
            return rail_moves_with(kin, i, axis) ? kin->rails[axis].endstops[0] : NULL;
        }
    return NULL;
}

static enum err connect_steppers(struct kinematics *kin, struct err_info *info)
{
    struct engine_queue *queue = engine_toolhead(kin->printer->engine);
    for (size_t i = 0; i < kin->rail_count; i++)
        for (size_t k = 0; k < kin->rails[i].stepper_count; k++) {
            enum err e = stepper_connect(kin->rails[i].steppers[k], queue, (unsigned)i, info);
            if (e)
                return e;
        }
    return OK;
}

/* The first endstop of a rail stops every stepper that moves with its axis and has no endstop of its own on this rail;
 * further ones stop theirs. */
static enum err connect_endstop(struct kinematics *kin, size_t axis, size_t own, struct err_info *info)
{
    struct engine *engine = kin->printer->engine;
    struct rail *rail = &kin->rails[axis];
    struct endstop *endstop = rail->endstops[own];
    enum err e = endstop_connect(endstop, info);
    if (!e && own > 0)
        return engine_endstop_stops(engine, endstop->engine, rail->steppers[own]->engine, info);
    for (size_t i = 0; i < kin->rail_count && !e; i++) {
        if (!rail_moves_with(kin, i, axis))
            continue;
        for (size_t k = 0; k < kin->rails[i].stepper_count && !e; k++) {
            bool has_own = i == axis && k > 0 && kin->rails[i].endstops[k];
            if (!has_own)
                e = engine_endstop_stops(engine, endstop->engine, kin->rails[i].steppers[k]->engine, info);
        }
    }
    return e;
}

/* A probe stops whatever moves along z, also if it is not the endstop of z. */
static enum err connect_probe(struct kinematics *kin, struct err_info *info)
{
    struct probe *probe = printer_probe(kin->printer);
    struct endstop *endstop = probe ? probe_endstop(probe) : NULL;
    if (!endstop || kin->rails[RAIL_COUNT - 1].endstops[0] == endstop)
        return OK;
    enum err e = endstop_connect(endstop, info);
    for (size_t i = 0; i < kin->rail_count && !e; i++) {
        bool moves = kinematics_homes_together(kin) || rail_moves_with(kin, i, RAIL_COUNT - 1);
        for (size_t k = 0; k < kin->rails[i].stepper_count && !e && moves; k++)
            e = engine_endstop_stops(kin->printer->engine, endstop->engine, kin->rails[i].steppers[k]->engine, info);
    }
    return e;
}

enum err kinematics_connect(struct kinematics *kin, struct err_info *info)
{
    enum err e = engine_set_kinematics(kin->printer->engine, &kin->spec, info);
    if (!e)
        e = connect_steppers(kin, info);
    for (size_t i = 0; i < kin->rail_count && !e; i++)
        for (size_t k = 0; k < kin->rails[i].stepper_count && !e; k++)
            if (kin->rails[i].endstops[k])
                e = connect_endstop(kin, i, k, info);
    return e ? e : connect_probe(kin, info);
}
