#include "rig/rig_internal.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/fmath.h"
#include "base/mem.h"
#include "firmware/proto/vlq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define START_S        0.250 /* print time of the first move */
#define BATCH_SEGMENTS 4096
#define SEGQ_CAPACITY  65536
#define BLOCK_BYTES    59 /* payload of a full frame */
#define FRAME_BYTES    5  /* around it */

/* --- output --- */

static unsigned message_bytes(const struct stepmsg *m)
{
    /* message id and oid take one byte each with dictionaries of usual size */
    if (m->kind == STEPMSG_DIR)
        return 3;
    return 2 + vlq_size(m->interval) + vlq_size(m->count) + vlq_size((uint32_t)(int32_t)m->add);
}

static void sink(void *ctx, const struct stepmsg *m, uint64_t min_clock)
{
    struct rig *r = ctx;
    (void)min_clock;
    struct rig_stepper *s = &r->stepper[m->source];
    const unsigned bytes = message_bytes(m);
    s->result->bytes += bytes;
    if (r->options.on_record)
        r->options.on_record(r->options.ctx, m);
    if (r->block_bytes == 0 || r->block_bytes + bytes > BLOCK_BYTES) {
        r->result->framed_bytes += FRAME_BYTES;
        r->block_bytes = 0;
    }
    r->block_bytes += bytes;
    r->result->framed_bytes += bytes;
    if (m->kind == STEPMSG_QUEUE && r->options.keep_steps) {
        const uint64_t base = m->count == 1 ? m->last_clock - m->interval : s->base_clock;
        step_list_add_queue(&s->result->steps, base, m->interval, m->count, m->add, m->dir ? 1 : -1);
        s->base_clock = m->last_clock;
    }
}

static void merge_records(struct rig *r)
{
    struct stepmerge_input inputs[RIG_STEPPERS_MAX];
    for (unsigned i = 0; i < r->stepper_count; i++)
        inputs[i] = (struct stepmerge_input){r->stepper[i].pending, r->stepper[i].pending_count};
    stepmerge_run(&r->merge, inputs, r->stepper_count, sink, r);
    for (unsigned i = 0; i < r->stepper_count; i++)
        r->stepper[i].pending_count = 0;
}

static bool take_output(struct rig_stepper *s, double until_s)
{
    size_t count;
    const struct stepmsg *out = stepgen_take_output(s->gen, &count);
    if (s->pending_count + count > s->pending_capacity) {
        s->pending_capacity = 2 * (s->pending_count + count);
        s->pending = mem_realloc(s->pending, s->pending_capacity * sizeof *out);
    }
    if (count > 0)
        memcpy(s->pending + s->pending_count, out, count * sizeof *out);
    s->pending_count += count;
    return stepgen_solved_s(s->gen) >= until_s;
}

void rig_run_steppers(struct rig *r, double until_s, bool is_last)
{
    const double begin = (double)clock_monotonic().ns * 1e-9;
    bool is_done = false;
    while (!is_done) {
        struct stepteam_job jobs[RIG_STEPPERS_MAX];
        for (unsigned i = 0; i < r->stepper_count; i++) {
            jobs[i].stepper = r->stepper[i].gen;
            jobs[i].goal = stepgen_make_goal(r->stepper[i].gen, until_s, is_last ? UINT64_MAX / 4 : 0);
        }
        stepteam_begin(r->team, jobs, r->stepper_count);
        stepteam_finish(r->team);
        is_done = true;
        for (unsigned i = 0; i < r->stepper_count; i++) {
            if (jobs[i].result != OK) {
                fprintf(stderr, "%s\n", stepgen_fault(r->stepper[i].gen));
                abort();
            }
            is_done = take_output(&r->stepper[i], until_s) && is_done;
        }
    }
    r->result->step_s += (double)clock_monotonic().ns * 1e-9 - begin;
    merge_records(r);
    double oldest_s = until_s;
    for (unsigned i = 0; i < r->stepper_count; i++)
        oldest_s = fmin(oldest_s, until_s - stepgen_post_s(r->stepper[i].gen) - 0.001);
    segq_retire(&r->toolhead, oldest_s);
    segq_retire(&r->extruder, oldest_s);
    r->segments_at_run = r->toolhead.end + r->extruder.end;
}

/* --- planning --- */

static void append_move(struct rig *r, struct move *m)
{
    if (r->needs_prime) {
        r->print_time_s = fmax(r->print_time_s, START_S);
        r->needs_prime = false;
    }
    double k_s;
    memcpy(&k_s, &m->tag.file_offset, sizeof k_s); /* the rig's cookie: pressure advance when the move was queued */
    if (k_s != r->k_last_s) {
        for (unsigned i = 0; i < r->stepper_count; i++)
            if (r->stepper[i].rail < 0)
                stepgen_set_advance(r->stepper[i].gen, r->print_time_s, k_s);
        r->k_last_s = k_s;
    }
    m->print_time_s = r->print_time_s;
    if (m->is_kinematic)
        segq_append(&r->toolhead, m->print_time_s, m->accel_t, m->cruise_t, m->decel_t, m->start_mm, m->r, m->start_v,
                    m->cruise_v, m->accel_mm_s2, 0, 0);
    if (m->r[MOVE_EXTRA] != 0.0)
        segq_append(&r->extruder, m->print_time_s, m->accel_t, m->cruise_t, m->decel_t,
                    (const double[3]){m->start_mm[MOVE_EXTRA], 0.0, 0.0}, (const double[3]){m->r[MOVE_EXTRA], 0.0, 0.0},
                    m->start_v, m->cruise_v, m->accel_mm_s2, m->extra_flags[0], 0);
    r->print_time_s += move_duration_s(m);
    r->result->moves++;
    const uint64_t fresh = r->toolhead.end + r->extruder.end - r->segments_at_run;
    if (fresh > (r->options.batch_segments ? r->options.batch_segments : BATCH_SEGMENTS))
        rig_run_steppers(r, r->print_time_s - r->kin_delay_s, false);
}

void rig_flush(struct rig *r, bool lazy)
{
    const size_t count = lookahead_flush(&r->lookahead, lazy);
    for (uint64_t i = r->lookahead.waiting_begin - count; i < r->lookahead.waiting_begin; i++)
        append_move(r, lookahead_at(&r->lookahead, i));
    lookahead_retire(&r->lookahead, INFINITY);
}

static enum err plan_move(struct rig *r, const double target_mm[4], struct err_info *info)
{
    struct move m;
    const bool moves = move_init(&m, &r->limits, 4, r->pos_mm, target_mm, r->speed_mm_s);
    if (!moves)
        return OK;
    enum err err = kin_check_move(&r->kin, &m, info);
    if (err != OK)
        return err;
    const double e = m.r[MOVE_EXTRA];
    m.extra_queue[0] = 0;
    m.corner_v_mm_s[0] = r->corner_v;
    if (e != 0.0 && ((m.r[0] == 0.0 && m.r[1] == 0.0) || e < 0.0))
        move_limit_speed(&m, r->max_e_velocity / fabs(e), r->max_e_accel / fabs(e));
    m.extra_flags[0] = e > 0.0 && (m.r[0] != 0.0 || m.r[1] != 0.0) ? SEG_ADVANCE : 0;
    memcpy(&m.tag.file_offset, &r->k_s, sizeof r->k_s);
    memcpy(r->pos_mm, m.end_mm, sizeof r->pos_mm);
    if (lookahead_add(&r->lookahead, &m))
        rig_flush(r, true);
    return OK;
}

enum err rig_move(struct rig *r, const double target_mm[4], struct err_info *info)
{
    const double begin = (double)clock_monotonic().ns * 1e-9 - r->result->step_s;
    const enum err err = plan_move(r, target_mm, info);
    r->result->look_s += (double)clock_monotonic().ns * 1e-9 - r->result->step_s - begin;
    return err;
}

void rig_dwell(struct rig *r, double seconds)
{
    rig_flush(r, false);
    r->needs_prime = true;
    lookahead_prime(&r->lookahead, LOOKAHEAD_BUDGET_PRIME_S);
    r->print_time_s = fmax(r->print_time_s, START_S) + seconds;
}

void rig_flush_steps(struct rig *r)
{
    rig_flush(r, false);
    r->needs_prime = true;
    lookahead_prime(&r->lookahead, LOOKAHEAD_BUDGET_PRIME_S);
    if (r->result->moves > 0) {
        rig_run_steppers(r, r->print_time_s + r->kin_delay_s, false);
        r->print_time_s += 2.0 * r->kin_delay_s;
    }
}

void rig_set_position(struct rig *r, const double pos_mm[3])
{
    rig_flush_steps(r);
    double solved_s = 0.0;
    for (unsigned i = 0; i < r->stepper_count; i++)
        solved_s = fmax(solved_s, stepgen_solved_s(r->stepper[i].gen));
    segq_set_position(&r->toolhead, fmax(solved_s, r->toolhead.end_s), pos_mm);
    for (unsigned i = 0; i < r->stepper_count; i++)
        if (r->stepper[i].rail >= 0)
            stepgen_set_position(r->stepper[i].gen, kin_func_position(&r->kin.func[r->stepper[i].rail], pos_mm));
    memcpy(r->pos_mm, pos_mm, 3 * sizeof *pos_mm);
    kin_set_homed(&r->kin, SEG_X | SEG_Y | SEG_Z);
}

/* --- bindings --- */

static void update_delay(struct rig *r)
{
    double delay = 0.001;
    for (unsigned i = 0; i < r->stepper_count; i++)
        delay = fmax(delay, fmax(stepgen_pre_s(r->stepper[i].gen), stepgen_post_s(r->stepper[i].gen)));
    r->kin_delay_s = delay;
}

static enum err bind(struct rig *r, struct rig_stepper *s, bool is_attached, struct err_info *info)
{
    struct binding b = {0};
    if (is_attached) {
        struct kin_func along_x;
        kin_func_linear(&along_x, 1.0, 0.0, 0.0);
        filter_init(&b.filter, s->rail >= 0 ? &r->kin.func[s->rail] : &along_x);
        b.queue = s->rail >= 0 ? &r->toolhead : &r->extruder;
        b.queue_name = s->rail >= 0 ? "toolhead" : "extruder";
        if (s->rail >= 0)
            memcpy(b.filter.shaper, r->shaper, sizeof r->shaper);
        b.filter.smooth_s = s->rail < 0 && s->k_s > 0.0 ? s->smooth_s : 0.0;
        b.advance_k_s = s->k_s;
    }
    const double at_s = binding_earliest_s(s->gen, &b, stepgen_solved_s(s->gen));
    if (at_s > stepgen_solved_s(s->gen))
        rig_run_steppers(r, at_s, false);
    enum err err = binding_make(s->gen, &b, at_s, info);
    update_delay(r);
    return err;
}

enum err rig_bind_stepper(struct rig *r, const char *name, const char *queue, struct err_info *info)
{
    rig_flush_steps(r);
    for (unsigned i = 0; i < r->stepper_count; i++)
        if (strcmp(stepgen_name(r->stepper[i].gen), name) == 0)
            return bind(r, &r->stepper[i], queue[0] != '\0', info);
    return err_set(info, ERR_NOT_FOUND, "stepper '%s' is unknown", name);
}

enum err rig_set_advance(struct rig *r, double k_s, struct err_info *info)
{
    const bool is_other_filter = (k_s > 0.0) != (r->k_s > 0.0);
    r->k_s = k_s;
    if (!is_other_filter)
        return OK;
    rig_flush_steps(r);
    r->k_last_s = k_s;
    for (unsigned i = 0; i < r->stepper_count; i++) {
        struct rig_stepper *s = &r->stepper[i];
        if (strcmp(stepgen_name(s->gen), "extruder") != 0)
            continue;
        s->k_s = k_s;
        enum err err = bind(r, s, true, info);
        if (err != OK)
            return err;
    }
    return OK;
}

/* --- setup --- */

static enum err add_stepper(struct rig *r, const char *name, const char *section, int rail, double hz,
                            struct err_info *info)
{
    struct rig_stepper *s = &r->stepper[r->stepper_count];
    s->result = &r->result->stepper[r->stepper_count];
    snprintf(s->result->name, sizeof s->result->name, "%s", name);
    step_list_init(&s->result->steps);
    s->rail = rail;
    s->k_s = rail < 0 ? rig_config_number(&r->config, section, "pressure_advance", 0.0) : 0.0;
    s->smooth_s = rig_config_number(&r->config, section, "pressure_advance_smooth_time", 0.040);
    const double microsteps = rig_config_number(&r->config, section, "microsteps", 16.0);
    const struct stepgen_config config = {
        .name = s->result->name,
        .step_mm = rig_config_number(&r->config, section, "rotation_distance", 40.0) / (200.0 * microsteps),
        .clock_hz = hz,
        .source = (uint16_t)r->stepper_count,
        .check_every = r->options.check_all ? 1 : 0,
    };
    s->gen = stepgen_create(&config);
    r->stepper_count++;
    r->result->stepper_count = r->stepper_count;
    return bind(r, s, true, info);
}

static enum err setup_kin(struct rig *r, struct err_info *info)
{
    const struct rig_config *c = &r->config;
    struct kin_config k = {.max_velocity_mm_s = r->limits.max_velocity_mm_s,
                           .max_accel_mm_s2 = r->limits.max_accel_mm_s2};
    enum err err = kin_kind_parse(rig_config_text(c, "printer", "kinematics", ""), &k.kind);
    if (err != OK)
        return err_set(info, err, "unknown kinematics");
    k.max_z_velocity_mm_s = rig_config_number(c, "printer", "max_z_velocity", k.max_velocity_mm_s);
    k.max_z_accel_mm_s2 = rig_config_number(c, "printer", "max_z_accel", k.max_accel_mm_s2);
    k.delta_radius_mm = rig_config_number(c, "printer", "delta_radius", 0.0);
    k.minimum_z_mm = rig_config_number(c, "printer", "minimum_z_position", 0.0);
    for (int i = 0; i < 3; i++) {
        char section[16];
        snprintf(section, sizeof section, "stepper_%c", (k.kind == KIN_DELTA ? 'a' : 'x') + i);
        k.rail[i].position_min_mm = rig_config_number(c, section, "position_min", 0.0);
        k.rail[i].position_max_mm = rig_config_number(c, section, "position_max", 0.0);
        k.rail[i].position_endstop_mm = rig_config_number(c, section, "position_endstop", 0.0);
        k.rail[i].arm_mm = rig_config_number(c, section, "arm_length", 0.0);
        k.rail[i].step_mm = rig_config_number(c, section, "rotation_distance", 40.0) /
                            (200.0 * rig_config_number(c, section, "microsteps", 16.0));
    }
    err = kin_init(&r->kin, &k, info);
    for (int i = 0; i < 3 && err == OK; i++) {
        const char option[][16] = {"shaper_freq_x", "shaper_freq_y", "shaper_freq_z"};
        const char type[][16] = {"shaper_type_x", "shaper_type_y", "shaper_type_z"};
        err = shaper_init(&r->shaper[i], rig_config_text(c, "input_shaper", type[i], "mzv"),
                          rig_config_number(c, "input_shaper", option[i], 0.0), 0.1, info);
    }
    return err;
}

enum err rig_setup(struct rig *r, const char *config_path, double frequency_hz, struct err_info *info)
{
    struct rig_config *c = &r->config;
    enum err err = rig_config_load(c, config_path, info);
    if (err != OK)
        return err;
    r->limits = (struct move_limits){rig_config_number(c, "printer", "max_velocity", 300.0),
                                     rig_config_number(c, "printer", "max_accel", 3000.0),
                                     rig_config_number(c, "printer", "square_corner_velocity", 5.0),
                                     rig_config_number(c, "printer", "minimum_cruise_ratio", 0.5)};
    const double nozzle = rig_config_number(c, "extruder", "nozzle_diameter", 0.4);
    const double filament = rig_config_number(c, "extruder", "filament_diameter", 1.75);
    const double ratio = 4.0 * nozzle * nozzle / (FM_PI * 0.25 * filament * filament);
    r->max_e_velocity =
        rig_config_number(c, "extruder", "max_extrude_only_velocity", r->limits.max_velocity_mm_s * ratio);
    r->max_e_accel = rig_config_number(c, "extruder", "max_extrude_only_accel", r->limits.max_accel_mm_s2 * ratio);
    r->corner_v = rig_config_number(c, "extruder", "instantaneous_corner_velocity", 1.0);
    r->arc_resolution_mm = rig_config_number(c, "gcode_arcs", "resolution", 1.0);
    r->k_s = r->k_last_s = rig_config_number(c, "extruder", "pressure_advance", 0.0);
    r->speed_mm_s = 25.0;
    r->is_absolute = r->is_e_absolute = true;
    r->needs_prime = true;
    lookahead_init(&r->lookahead, 16384);
    segq_init(&r->toolhead, SEGQ_CAPACITY);
    segq_init(&r->extruder, SEGQ_CAPACITY);
    r->team = stepteam_create(r->options.threads);
    stepmerge_init(&r->merge, 1024);
    err = setup_kin(r, info);
    for (int i = 0; i < 3 && err == OK; i++) {
        char name[16];
        snprintf(name, sizeof name, "stepper_%c", (r->kin.config.kind == KIN_DELTA ? 'a' : 'x') + i);
        err = add_stepper(r, name, name, i, frequency_hz, info);
    }
    if (err == OK)
        err = add_stepper(r, "extruder", "extruder", -1, frequency_hz, info);
    if (err == OK && rig_config_text(c, "extruder_stepper gear", "", NULL))
        err = add_stepper(r, "gear", "extruder_stepper gear", -1, frequency_hz, info);
    return err;
}

static void teardown(struct rig *r)
{
    for (unsigned i = 0; i < r->stepper_count; i++) {
        stepgen_destroy(r->stepper[i].gen);
        mem_free(r->stepper[i].pending);
    }
    stepteam_destroy(r->team);
    stepmerge_deinit(&r->merge);
    lookahead_deinit(&r->lookahead);
    segq_deinit(&r->toolhead);
    segq_deinit(&r->extruder);
    rig_config_unload(&r->config);
}

enum err rig_run(const char *config_path, const char *gcode_path, double frequency_hz,
                 const struct rig_options *options, struct rig_result *result, struct err_info *info)
{
    const double begin = (double)clock_monotonic().ns * 1e-9;
    *result = (struct rig_result){.frequency_hz = frequency_hz};
    struct rig *r = MEM_NEW(struct rig);
    r->options = *options;
    r->result = result;
    enum err err = rig_setup(r, config_path, frequency_hz, info);
    FILE *file = fopen(gcode_path, "r");
    if (err == OK && !file)
        err = err_set(info, ERR_IO, "%s: cannot be read", gcode_path);
    char line[1024];
    while (err == OK && fgets(line, sizeof line, file))
        err = rig_line(r, line, info);
    if (file)
        fclose(file);
    if (err == OK) {
        rig_flush(r, false);
        result->end_s = r->print_time_s;
        rig_run_steppers(r, r->print_time_s + 1.0, true);
        for (unsigned i = 0; i < r->stepper_count; i++) {
            struct stepgen_counters counters;
            stepgen_get_counters(r->stepper[i].gen, &counters);
            r->stepper[i].result->step_count = counters.steps;
            r->stepper[i].result->queue_commands = counters.commands;
            r->stepper[i].result->dir_commands = counters.dir_commands;
            r->stepper[i].result->last_mm = stepgen_position_mm(r->stepper[i].gen);
        }
        result->segments = r->toolhead.end + r->extruder.end;
    }
    result->plan_s = (double)clock_monotonic().ns * 1e-9 - begin - result->step_s;
    teardown(r);
    mem_free(r);
    return err;
}

void rig_result_deinit(struct rig_result *result)
{
    for (unsigned i = 0; i < result->stepper_count; i++)
        step_list_deinit(&result->stepper[i].steps);
}

struct rig_stepper_result *rig_stepper(struct rig_result *result, const char *name)
{
    for (unsigned i = 0; i < result->stepper_count; i++)
        if (strcmp(result->stepper[i].name, name) == 0)
            return &result->stepper[i];
    return NULL;
}
