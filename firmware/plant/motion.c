/* Motors count the edges of their step pins; kinematics turn motor positions into the toolhead's; endstops compare. */
#include "base/fmath.h"
#include "firmware/plant/internal.h"

#include <string.h>

/* --- motors --- */

static void take_step(struct motor *m)
{
    if (m->is_enabled)
        m->steps += m->is_forward ? 1 : -1;
}

static void step_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    (void)clock;
    struct motor *m = ctx;
    if (level == SIM_LEVEL_FLOATING) {
        m->is_driven = false;
        return;
    }
    bool is_on = (level != 0) != m->desc.step.is_inverted;
    bool is_edge = m->is_driven && is_on != m->is_step_on;
    m->is_driven = true;
    m->is_step_on = is_on;
    if (is_edge && (is_on || m->desc.is_both_edges))
        take_step(m);
}

static void dir_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    (void)clock;
    struct motor *m = ctx;
    m->is_forward = (level != 0 && level != SIM_LEVEL_FLOATING) != m->desc.dir.is_inverted;
}

static void enable_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    (void)clock;
    struct motor *m = ctx;
    m->is_enabled = plant_pin_duty(&m->desc.enable, level) > 0.5;
}

static double motor_mm(const struct motor *m)
{
    return m->offset_mm + (double)m->steps * m->desc.mm_per_step;
}

/* --- kinematics --- */

/* The lower of the two points at distance r[i] from the centres c[i]. false: there is none.
 * Source: Fang 1986; frame with c0 as origin, ex towards c1, ey in the plane of the three. */
static bool trilaterate(const double c[3][3], const double r[3], double out[3])
{
    double ex[3], ey[3], ez[3], to2[3];
    double d = 0, i = 0, j = 0, h = 0;
    for (int k = 0; k < 3; k++) {
        ex[k] = c[1][k] - c[0][k];
        to2[k] = c[2][k] - c[0][k];
        d += ex[k] * ex[k];
    }
    d = fm_sqrt(d);
    if (!(d > 0))
        return false;
    for (int k = 0; k < 3; k++) {
        ex[k] /= d;
        i += ex[k] * to2[k];
    }
    for (int k = 0; k < 3; k++) {
        ey[k] = to2[k] - i * ex[k];
        h += ey[k] * ey[k];
    }
    h = fm_sqrt(h);
    if (!(h > 0))
        return false;
    for (int k = 0; k < 3; k++) {
        ey[k] /= h;
        j += ey[k] * to2[k];
    }
    ez[0] = ex[1] * ey[2] - ex[2] * ey[1];
    ez[1] = ex[2] * ey[0] - ex[0] * ey[2];
    ez[2] = ex[0] * ey[1] - ex[1] * ey[0];
    double x = (r[0] * r[0] - r[1] * r[1] + d * d) / (2 * d);
    double y = (r[0] * r[0] - r[2] * r[2] - x * x + (x - i) * (x - i) + j * j) / (2 * j);
    double z2 = r[0] * r[0] - x * x - y * y;
    if (!(z2 >= 0))
        return false;
    double z = ez[2] > 0 ? -fm_sqrt(z2) : fm_sqrt(z2);
    for (int k = 0; k < 3; k++)
        out[k] = c[0][k] + x * ex[k] + y * ey[k] + z * ez[k];
    return true;
}

/* Mean position of the motors of each role; a role without motors stands at 0. */
static void role_positions(const struct plant *plant, double pos[3])
{
    int count[3] = {0};
    pos[0] = pos[1] = pos[2] = 0;
    for (size_t i = 0; i < plant->motor_count; i++) {
        int axis = (int)plant->motors[i].desc.role - PLANT_ROLE_X;
        if (axis < 0)
            continue;
        pos[axis] += motor_mm(&plant->motors[i]);
        count[axis]++;
    }
    for (int axis = 0; axis < 3; axis++) {
        if (count[axis])
            pos[axis] /= count[axis];
    }
}

static bool towers_to_xyz(const struct plant *plant, const double m[3], double xyz[3])
{
    double centres[3][3];
    memcpy(centres, plant->anchors, sizeof(centres));
    if (plant->kinematics == PLANT_WINCH)
        return trilaterate(centres, m, xyz);
    for (int i = 0; i < 3; i++)
        centres[i][2] = m[i];
    return trilaterate(centres, plant->arms_mm, xyz);
}

bool plant_toolhead_mm(const struct plant *plant, double xyz[3])
{
    double m[3];
    role_positions(plant, m);
    xyz[0] = m[0];
    xyz[1] = m[1];
    xyz[2] = m[2];
    switch (plant->kinematics) {
    case PLANT_NONE:
    case PLANT_CARTESIAN:
        return true;
    case PLANT_COREXY: /* motors: x + y and x - y */
        xyz[0] = (m[0] + m[1]) / 2;
        xyz[1] = (m[0] - m[1]) / 2;
        return true;
    case PLANT_COREXZ: /* x + z and x - z */
        xyz[0] = (m[0] + m[2]) / 2;
        xyz[2] = (m[0] - m[2]) / 2;
        return true;
    case PLANT_HYBRID_COREXY: /* x - y and y */
        xyz[0] = m[0] + m[1];
        return true;
    case PLANT_HYBRID_COREXZ: /* x - z and z */
        xyz[0] = m[0] + m[2];
        return true;
    case PLANT_POLAR: /* angle [rad] and radius */
        xyz[0] = m[1] * fm_cos(m[0]);
        xyz[1] = m[1] * fm_sin(m[0]);
        return true;
    case PLANT_DELTA:
    case PLANT_WINCH:
        return towers_to_xyz(plant, m, xyz);
    }
    return false;
}

/* --- the bed --- */

/* How much higher than the mean of its motors z is at x, y: what each motor lifts at its own place, spread over the bed. Two
 * motors: along the line through them. Three: the plane through them. Four, in the order of corners round a rectangle: linear
 * between opposite sides. Any other number, or motors whose places are not known: 0. */
static double lean_mm(const struct plant *plant, double x_mm, double y_mm)
{
    const struct motor *m[4];
    double lift[4], mean = 0;
    size_t count = 0;
    for (size_t i = 0; i < plant->motor_count; i++) {
        const struct motor *motor = &plant->motors[i];
        if (motor->desc.role != PLANT_ROLE_Z)
            continue;
        if (!motor->desc.has_place || count == 4)
            return 0;
        m[count] = motor;
        lift[count++] = motor_mm(motor);
    }
    for (size_t i = 0; i < count; i++)
        mean += lift[i] / (double)count;
    if (count < 2)
        return 0;
    double x0 = m[0]->desc.at_x_mm, y0 = m[0]->desc.at_y_mm;
    double ax = m[1]->desc.at_x_mm - x0, ay = m[1]->desc.at_y_mm - y0;
    if (count == 2) {
        double length2 = ax * ax + ay * ay;
        double t = length2 > 0 ? ((x_mm - x0) * ax + (y_mm - y0) * ay) / length2 : 0;
        return lift[0] + t * (lift[1] - lift[0]) - mean;
    }
    double bx = m[count - 1]->desc.at_x_mm - x0, by = m[count - 1]->desc.at_y_mm - y0, d = ax * by - ay * bx;
    if (d == 0)
        return 0;
    double u = ((x_mm - x0) * by - (y_mm - y0) * bx) / d, v = ((y_mm - y0) * ax - (x_mm - x0) * ay) / d;
    double twist = count == 4 ? lift[2] - lift[1] - lift[3] + lift[0] : 0;
    return lift[0] + u * (lift[1] - lift[0]) + v * (lift[count - 1] - lift[0]) + u * v * twist - mean;
}

bool plant_clearance_mm(const struct plant *plant, double x_mm, double y_mm, double *clearance_mm)
{
    double xyz[3];
    if (!plant_toolhead_mm(plant, xyz))
        return false;
    double x = xyz[0] + x_mm, y = xyz[1] + y_mm;
    double bed = plant->bed_tilt_x * x + plant->bed_tilt_y * y;
    if (plant->bed_shape)
        bed += plant->bed_shape(plant->bed_ctx, x, y);
    double twist = plant->twist_per_mm * xyz[0] * y_mm; /* small angles */
    *clearance_mm = xyz[2] + lean_mm(plant, x, y) + twist - bed;
    return true;
}

void plant_set_twist(struct plant *plant, double per_mm)
{
    plant->twist_per_mm = per_mm;
}

void plant_set_bed_shape(struct plant *plant, plant_bed_fn *fn, void *ctx)
{
    plant->bed_shape = fn;
    plant->bed_ctx = ctx;
}

/* --- endstops --- */

/* How far the watched thing is past the trigger point, in the triggering direction; false if that is not defined. */
static bool endstop_depth(const struct endstop *e, double *depth_mm)
{
    const struct plant *plant = e->plant;
    double xyz[3], at;
    switch (e->desc.of) {
    case PLANT_ENDSTOP_MOTOR:
        at = motor_mm(&plant->motors[e->desc.index]);
        break;
    case PLANT_ENDSTOP_AXIS:
        if (!plant_toolhead_mm(plant, xyz))
            return false;
        at = xyz[e->desc.index];
        break;
    case PLANT_ENDSTOP_PROBE:
    default:
        if (!plant_clearance_mm(plant, e->desc.probe_x_mm, e->desc.probe_y_mm, &at))
            return false;
        break;
    }
    *depth_mm = e->desc.is_at_max ? at - e->desc.at_mm : e->desc.at_mm - at;
    return true;
}

/* A servo line says what to do by the length of its pulses; the middle between two neighbours parts them. In touch mode the
 * pin stays where it is, and one that is up reports a trigger. */
static void control_pin_changed(void *ctx, struct mcu_ticks clock, uint32_t level)
{
    struct endstop *e = ctx;
    bool is_on = (level != 0 && level != SIM_LEVEL_FLOATING) != e->desc.control.is_inverted;
    int64_t now_ns = plant_time_ns(e->plant, &e->desc.control, clock);
    if (e->is_line_on && !is_on) {
        int64_t pulse_us = (now_ns - e->line_since_ns) / 1000;
        if (pulse_us > 500 && pulse_us < 900)
            e->is_out = true, e->is_in_touch_mode = false; /* 10 degrees */
        else if (pulse_us >= 900 && pulse_us < 1320)
            e->is_in_touch_mode = true; /* 60 degrees */
        else if ((pulse_us >= 1320 && pulse_us < 1630) || (pulse_us >= 2140 && pulse_us < 2400))
            e->is_out = e->is_in_touch_mode = false; /* 90 degrees; 160: reset */
    }
    e->is_line_on = is_on;
    e->line_since_ns = now_ns;
}

static bool is_triggered(const struct endstop *e)
{
    if (e->fault != PLANT_ENDSTOP_OK)
        return e->fault == PLANT_ENDSTOP_STUCK_TRIGGERED;
    if (e->desc.control.name && !e->is_out)
        return e->is_in_touch_mode;
    double depth_mm;
    return endstop_depth(e, &depth_mm) && depth_mm >= -1e-9; /* sums of steps are not exact */
}

bool plant_endstop_is_triggered(const struct plant *plant, size_t index)
{
    return is_triggered(&plant->endstops[index]);
}

static uint32_t endstop_input(void *ctx, struct mcu_ticks clock)
{
    const struct endstop *e = ctx;
    (void)plant_sync(e->plant, &e->desc.pin, clock);
    return is_triggered(e) != e->desc.pin.is_inverted;
}

static uint32_t switch_input(void *ctx, struct mcu_ticks clock)
{
    (void)clock;
    const struct held_switch *s = ctx;
    return s->is_active != s->desc.pin.is_inverted;
}

static uint32_t wheel_input(void *ctx, struct mcu_ticks clock)
{
    const struct wheel *w = ctx;
    (void)clock;
    double mm = w->is_jammed ? w->jammed_mm : motor_mm(&w->plant->motors[w->desc.motor]);
    bool is_on = ((int64_t)fm_floor(mm / w->desc.mm_per_edge) & 1) != 0;
    return is_on != w->desc.pin.is_inverted;
}

/* --- wiring --- */

static enum err wire_motor(struct plant *plant, struct motor *m, struct err_info *info)
{
    m->offset_mm = m->desc.start_mm;
    m->is_forward = m->desc.dir.is_inverted;
    m->is_enabled = m->desc.enable.name == NULL;
    enum err e = plant_watch(plant, &m->desc.step, m->desc.name, step_pin_changed, m, info);
    if (!e)
        e = plant_watch(plant, &m->desc.dir, m->desc.name, dir_pin_changed, m, info);
    if (!e)
        e = plant_watch(plant, &m->desc.enable, m->desc.name, enable_pin_changed, m, info);
    return e;
}

enum err plant_wire_motion(struct plant *plant, struct err_info *info)
{
    enum err e = OK;
    for (size_t i = 0; i < plant->motor_count && !e; i++)
        e = wire_motor(plant, &plant->motors[i], info);
    for (size_t i = 0; i < plant->endstop_count && !e; i++) {
        struct endstop *stop = &plant->endstops[i];
        size_t limit = stop->desc.of == PLANT_ENDSTOP_MOTOR ? plant->motor_count : 3;
        if (stop->desc.of != PLANT_ENDSTOP_PROBE && stop->desc.index >= limit)
            return err_set(info, ERR_NOT_FOUND, "Endstop %s watches something that does not exist", stop->desc.name);
        e = plant_feed(plant, &stop->desc.pin, stop->desc.name, endstop_input, stop, info);
        if (!e)
            e = plant_watch(plant, &stop->desc.control, stop->desc.name, control_pin_changed, stop, info);
    }
    for (size_t i = 0; i < plant->switch_count && !e; i++) {
        struct held_switch *s = &plant->switches[i];
        s->is_active = s->desc.is_active;
        e = plant_feed(plant, &s->desc.pin, s->desc.name, switch_input, s, info);
    }
    for (size_t i = 0; i < plant->wheel_count && !e; i++) {
        struct wheel *w = &plant->wheels[i];
        if (w->desc.motor >= plant->motor_count || !(w->desc.mm_per_edge > 0))
            return err_set(info, ERR_NOT_FOUND, "Wheel %s is turned by a motor that does not exist", w->desc.name);
        e = plant_feed(plant, &w->desc.pin, w->desc.name, wheel_input, w, info);
    }
    return e;
}

/* --- looking and interfering --- */

double plant_motor_mm(const struct plant *plant, size_t index)
{
    return motor_mm(&plant->motors[index]);
}

int64_t plant_motor_steps(const struct plant *plant, size_t index)
{
    return plant->motors[index].steps;
}

bool plant_motor_is_enabled(const struct plant *plant, size_t index)
{
    return plant->motors[index].is_enabled;
}

void plant_push_motor(struct plant *plant, size_t motor, double by_mm)
{
    plant->motors[motor].offset_mm += by_mm;
}

void plant_fault_endstop(struct plant *plant, size_t endstop, enum plant_endstop_fault fault)
{
    plant->endstops[endstop].fault = fault;
}

void plant_set_bed_tilt(struct plant *plant, double per_x_mm, double per_y_mm)
{
    plant->bed_tilt_x = per_x_mm;
    plant->bed_tilt_y = per_y_mm;
}

void plant_set_switch(struct plant *plant, size_t index, bool is_active)
{
    plant->switches[index].is_active = is_active;
}

void plant_jam_wheel(struct plant *plant, size_t index, bool is_jammed)
{
    struct wheel *w = &plant->wheels[index];
    w->is_jammed = is_jammed;
    w->jammed_mm = motor_mm(&plant->motors[w->desc.motor]);
}
