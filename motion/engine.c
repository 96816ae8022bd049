/* Making an engine: the description of the machine, frozen by engine_start. */
#include "engine_int.h"

#include "base/resident.h"

#include <math.h>
#include <string.h>

#define LANE_BYTES_LIVE  (128 * 1024)
#define LANE_BYTES_BATCH (256 * 1024)
#define CHECK_EVERY      64
#define HORIZON_MIN_S    0.1
#define HORIZON_MAX_S    2.0

/* What the motion thread works with is there before it starts: a page fault in motion would make steps late. */
static void begin_resident(const struct engine *e)
{
    if (!e->is_batch && !runtime_is_virtual(e->config.runtime))
        resident_begin();
}

static void end_resident(const struct engine *e)
{
    if (!e->is_batch && !runtime_is_virtual(e->config.runtime))
        resident_end();
}

static struct engine_queue *queue_create(struct engine *e, enum queue_kind kind, const char *name, size_t segs)
{
    CHECK(!e->is_started && e->queue_count < ENGINE_QUEUES_MAX);
    begin_resident(e);
    struct engine_queue *q = MEM_NEW(struct engine_queue);
    q->e = e;
    q->index = (int)e->queue_count;
    q->kind = kind;
    q->name = mem_strdup(name);
    segq_init(&q->q, segs);
    e->queues[e->queue_count++] = q;
    end_resident(e);
    return q;
}

static size_t segs_of(const struct engine *e)
{
    return e->is_batch ? SEGS_BATCH : SEGS_LIVE;
}

struct engine *engine_create(const struct engine_config *config)
{
    CHECK(config->boards);
    const bool is_live = config->mode == ENGINE_LIVE && !runtime_is_virtual(config->runtime);
    if (is_live)
        resident_begin();
    struct engine *e = MEM_NEW(struct engine);
    e->config = *config;
    e->boards = config->boards;
    e->log = config->log;
    e->is_batch = config->mode == ENGINE_BATCH;
    CHECK(e->is_batch || config->runtime);
    e->limits = (struct engine_limits){.max_velocity_mm_s = 300.0,
                                       .max_accel_mm_s2 = 3000.0,
                                       .square_corner_velocity_mm_s = 5.0,
                                       .minimum_cruise_ratio = 0.5};
    spsc_init(&e->ring, sizeof(struct item), e->is_batch ? 2 : RING_ITEMS);
    spsc_init(&e->control, sizeof(struct control), CONTROL_RING);
    spsc_init(&e->events, sizeof(struct engine_internal_event), EVENT_RING);
    queue_create(e, QUEUE_TOOLHEAD, "toolhead", segs_of(e));
    for (int i = 0; i < 3; i++)
        shaper_none(&e->m.shapers[i]);
    e->force_queue = queue_create(e, QUEUE_MANUAL, "force_move", SEGS_SMALL);
    motion_init(&e->m, e);
    if (!e->is_batch)
        e->m.port = board_port_create(e->boards, &e->m.actor);
    if (is_live)
        resident_end();
    motion_init_tail(&e->m); /* for pauses */
    return e;
}

void engine_destroy(struct engine *e)
{
    if (!e)
        return;
    atomic_store(&e->is_stopped, true);
    if (e->is_started && !e->is_batch)
        runtime_remove(e->config.runtime, &e->m.actor);
    motion_deinit(&e->m);
    for (unsigned i = 0; i < e->stepper_count; i++) {
        stepgen_destroy(e->steppers[i]->sg);
        mem_free(e->steppers[i]->name);
        mem_free(e->steppers[i]);
    }
    for (unsigned i = 0; i < e->queue_count; i++) {
        segq_deinit(&e->queues[i]->q);
        mem_free((char *)e->queues[i]->extruder.name);
        mem_free(e->queues[i]->name);
        mem_free(e->queues[i]);
    }
    for (unsigned i = 0; i < e->output_count; i++) {
        mem_free(e->outputs[i]->name);
        mem_free(e->outputs[i]);
    }
    for (unsigned i = 0; i < e->enable_count; i++)
        mem_free(e->enables[i]);
    for (unsigned i = 0; i < e->endstop_count; i++) {
        mem_free(e->endstops[i]->name);
        mem_free(e->endstops[i]);
    }
    for (unsigned i = 0; i < e->mboard_count; i++) {
        if (e->is_started)
            stepmerge_deinit(&e->mboards[i].merge);
        mem_free(e->mboards[i].spill);
    }
    spsc_deinit(&e->ring);
    spsc_deinit(&e->control);
    spsc_deinit(&e->events);
    mem_free(e);
}

/* The same kinds in the same order, under the name of the boundary. */
_Static_assert((int)ENGINE_KIN_NONE == (int)KIN_NONE && (int)ENGINE_KIN_DELTA == (int)KIN_DELTA &&
                   (int)ENGINE_KIN_HYBRID_COREXZ == (int)KIN_HYBRID_COREXZ,
               "kinds of kinematics");

static struct kin_config kin_config_of(const struct engine_kinematics_spec *spec)
{
    struct kin_config c = {
        .kind = (enum kin_kind)spec->kind,
        .max_velocity_mm_s = spec->max_velocity_mm_s,
        .max_accel_mm_s2 = spec->max_accel_mm_s2,
        .max_z_velocity_mm_s = spec->max_z_velocity_mm_s > 0.0 ? spec->max_z_velocity_mm_s : spec->max_velocity_mm_s,
        .max_z_accel_mm_s2 = spec->max_z_accel_mm_s2 > 0.0 ? spec->max_z_accel_mm_s2 : spec->max_accel_mm_s2,
        .delta_radius_mm = spec->delta_radius_mm,
        .minimum_z_mm = spec->minimum_z_mm,
        .print_radius_mm = spec->print_radius_mm,
    };
    for (int i = 0; i < KIN_RAIL_COUNT; i++) {
        c.rail[i].position_min_mm = spec->rail[i].position_min_mm;
        c.rail[i].position_max_mm = spec->rail[i].position_max_mm;
        c.rail[i].position_endstop_mm = spec->rail[i].position_endstop_mm;
        c.rail[i].arm_mm = spec->rail[i].arm_length_mm;
        c.rail[i].angle_deg = spec->rail[i].angle_deg;
        c.rail[i].step_mm = spec->rail[i].step_dist_mm;
    }
    return c;
}

enum err engine_check_kinematics(const struct engine_kinematics_spec *spec, struct err_info *info)
{
    const struct kin_config c = kin_config_of(spec);
    struct kin kin;
    return kin_init(&kin, &c, info);
}

enum err engine_set_kinematics(struct engine *e, const struct engine_kinematics_spec *spec, struct err_info *info)
{
    CHECK(!e->is_started);
    const struct kin_config c = kin_config_of(spec);
    enum err err = kin_init(&e->kin, &c, info);
    e->has_kin = err == OK;
    if (err == OK && spec->max_velocity_mm_s > 0.0 && spec->max_accel_mm_s2 > 0.0) {
        e->limits.max_velocity_mm_s = spec->max_velocity_mm_s;
        e->limits.max_accel_mm_s2 = spec->max_accel_mm_s2;
    }
    return err;
}

struct engine_queue *engine_toolhead(struct engine *e)
{
    return e->queues[0];
}

struct engine_queue *engine_add_extruder(struct engine *e, const struct engine_extruder_spec *spec)
{
    struct engine_queue *q = queue_create(e, QUEUE_EXTRUDER, spec->name, segs_of(e));
    q->extruder = *spec;
    q->extruder.name = mem_strdup(spec->name);
    struct engine_extruder_spec *x = &q->extruder;
    const double radius = x->filament_diameter_mm * 0.5;
    q->filament_area_mm2 = FM_PI * radius * radius;
    const double default_section = 4.0 * x->nozzle_diameter_mm * x->nozzle_diameter_mm;
    /* Limits that are not given follow from the printer's at the default cross section, whatever section is set. */
    const double default_ratio = default_section / q->filament_area_mm2;
    if (!(x->max_cross_section_mm2 > 0.0))
        x->max_cross_section_mm2 = default_section;
    q->max_extrude_ratio = x->max_cross_section_mm2 / q->filament_area_mm2;
    if (!(x->max_extrude_only_velocity_mm_s > 0.0))
        x->max_extrude_only_velocity_mm_s = e->limits.max_velocity_mm_s * default_ratio;
    if (!(x->max_extrude_only_accel_mm_s2 > 0.0))
        x->max_extrude_only_accel_mm_s2 = e->limits.max_accel_mm_s2 * default_ratio;
    if (!e->active) {
        e->active = q;
        e->m.active = q;
    }
    return q;
}

struct engine_queue *engine_add_manual(struct engine *e, const char *name)
{
    return queue_create(e, QUEUE_MANUAL, name, segs_of(e)); /* it may become an axis of the moves */
}

static struct motion_board *board_of(struct engine *e, struct board *board)
{
    for (unsigned i = 0; i < e->mboard_count; i++)
        if (e->mboards[i].board == board)
            return &e->mboards[i];
    CHECK(!e->is_started && e->mboard_count < ENGINE_BOARDS_MAX);
    struct motion_board *mb = &e->mboards[e->mboard_count++];
    mb->board = board;
    begin_resident(e);
    mb->lane = board_lane_create(board, &e->m.actor, e->is_batch ? LANE_BYTES_BATCH : LANE_BYTES_LIVE);
    end_resident(e);
    mb->spill = MEM_ARRAY(struct spill, SPILL_MAX); /* for boards that do not keep up */
    return mb;
}

static enum err find_command(struct board *board, const char *format, const struct board_format **out,
                             struct err_info *info)
{
    size_t which;
    return board_command_pick(board, &format, 1, &which, out, info);
}

enum err engine_add_output(struct engine *e, const struct engine_output_spec *spec, struct engine_output **output,
                           struct err_info *info)
{
    CHECK(!e->is_started && e->output_count < ENGINE_OUTPUTS_MAX);
    const struct board_format *format;
    enum err err = find_command(spec->board, spec->format, &format, info);
    if (err != OK)
        return err;
    struct engine_output *o = MEM_NEW(struct engine_output);
    o->index = (int)e->output_count;
    o->name = mem_strdup(spec->name);
    o->board = board_of(e, spec->board);
    o->format = format;
    o->clock_index = spec->clock_index;
    o->min_interval_s = spec->min_interval_s;
    o->last_s = -INFINITY;
    o->pending = -1;
    e->outputs[e->output_count++] = o;
    *output = o;
    return OK;
}

struct engine_enable *engine_add_enable(struct engine *e, struct engine_output *output, const int64_t *on_args,
                                        const int64_t *off_args, unsigned arg_count)
{
    CHECK(!e->is_started && e->enable_count < ENGINE_STEPPERS_MAX && arg_count <= ENGINE_ARGS_MAX);
    struct engine_enable *en = MEM_NEW(struct engine_enable);
    en->output = output;
    en->arg_count = arg_count;
    memcpy(en->args[0], off_args, arg_count * sizeof *off_args);
    memcpy(en->args[1], on_args, arg_count * sizeof *on_args);
    e->enables[e->enable_count++] = en;
    return en;
}

/* The encoded number of a message whose fields are all integers: what its encoding starts with, since zeros take a byte
 * each. */
static uint8_t message_id(const struct board_format *format, size_t arg_count, uint8_t id[4])
{
    static const int64_t zeros[4];
    struct board_msg msg;
    CHECK(board_encode(format, zeros, arg_count, NULL, 0, &msg) == OK);
    CHECK(msg.len_bytes > arg_count && msg.len_bytes - arg_count <= 4);
    memcpy(id, msg.data, msg.len_bytes - arg_count);
    return (uint8_t)(msg.len_bytes - arg_count);
}

static enum err stepper_formats(struct engine_stepper *s, struct board *board, struct err_info *info)
{
    const struct board_format *queue, *dir;
    enum err err = find_command(board, "queue_step oid=%c interval=%u count=%hu add=%hi", &queue, info);
    if (err == OK)
        err = find_command(board, "set_next_step_dir oid=%c dir=%c", &dir, info);
    if (err == OK)
        err = find_command(board, "reset_step_clock oid=%c clock=%u", &s->reset_clock, info);
    if (err == OK)
        err = find_command(board, "stepper_get_position oid=%c", &s->get_position, info);
    if (err != OK)
        return err;
    s->position_reply = board_response(board, "stepper_position oid=%c pos=%i");
    if (!s->position_reply)
        return err_set(info, ERR_NOT_FOUND, "mcu '%s': no message 'stepper_position'", board_name(board));
    s->queue_id_bytes = message_id(queue, 4, s->queue_id);
    s->dir_id_bytes = message_id(dir, 2, s->dir_id);
    return OK;
}

/* What `s` does on `queue`: its rail's part of the kinematics on the toolhead, the queue's own coordinate elsewhere. */
void stepper_func(const struct engine_stepper *s, const struct engine_queue *queue, struct kin_func *func)
{
    if (queue && queue->kind == QUEUE_TOOLHEAD && s->is_on_toolhead)
        *func = s->e->kin.func[s->rail];
    else
        kin_func_linear(func, 1.0, 0.0, 0.0);
}

enum err engine_add_stepper(struct engine *e, const struct engine_stepper_spec *spec, struct engine_stepper **stepper,
                            struct err_info *info)
{
    CHECK(!e->is_started && e->stepper_count < ENGINE_STEPPERS_MAX && spec->rail < 3);
    if (!(spec->step_dist_mm > 0.0))
        return err_set(info, ERR_INVALID, "Stepper '%s': step distance must be above 0", spec->name);
    struct engine_stepper *s = MEM_NEW(struct engine_stepper);
    enum err err = stepper_formats(s, spec->board, info);
    if (err != OK) {
        mem_free(s);
        return err;
    }
    s->e = e;
    s->index = (int)e->stepper_count;
    s->name = mem_strdup(spec->name);
    s->oid = spec->oid;
    s->rail = spec->rail;
    s->is_on_toolhead = spec->queue == e->queues[0];
    s->is_dir_inverted = s->is_spec_inverted = spec->is_dir_inverted;
    s->enable = spec->enable;
    s->max_velocity_mm_s = spec->max_velocity_mm_s;
    s->max_accel_mm_s2 = spec->max_accel_mm_s2;
    s->read_queue = s->queue = spec->queue;
    s->read_step_dist_mm = spec->step_dist_mm;
    s->board = board_of(e, spec->board);
    CHECK(s->board->stepper_count < ENGINE_STEPPERS_MAX);
    s->board->steppers[s->board->stepper_count++] = s;
    const struct stepgen_config config = {
        .name = s->name,
        .step_mm = spec->step_dist_mm,
        .is_dir_inverted = spec->is_dir_inverted,
        .clock_hz = board_freq_hz(spec->board),
        .source = (uint16_t)s->index,
        .max_speed_mm_s = spec->max_velocity_mm_s > 0.0 ? spec->max_velocity_mm_s * 2.0 : 0.0,
        .history_count = 0,
        .check_every = e->config.check_every ? e->config.check_every : CHECK_EVERY,
        .is_live = !e->is_batch,
    };
    begin_resident(e);
    s->sg = stepgen_create(&config);
    end_resident(e);
    e->steppers[e->stepper_count++] = s;
    *stepper = s;
    return OK;
}

enum err engine_add_endstop(struct engine *e, const struct engine_endstop_spec *spec, struct engine_endstop **endstop,
                            struct err_info *info)
{
    CHECK(!e->is_started && e->endstop_count < ENGINE_ENDSTOPS_MAX);
    struct engine_endstop *es = MEM_NEW(struct engine_endstop);
    enum err err = find_command(spec->board,
                                "endstop_home oid=%c clock=%u sample_ticks=%u sample_count=%c rest_ticks=%u pin_value=%c "
                                "trsync_oid=%c trigger_reason=%c",
                                &es->home, info);
    if (err == OK)
        err = find_command(spec->board, "endstop_query_state oid=%c", &es->query, info);
    if (err != OK) {
        mem_free(es);
        return err;
    }
    es->state = board_response(spec->board, "endstop_state oid=%c homing=%c next_clock=%u pin_value=%c");
    if (!es->state) {
        mem_free(es);
        return err_set(info, ERR_NOT_FOUND, "mcu '%s': no message 'endstop_state'", board_name(spec->board));
    }
    es->e = e;
    es->index = (int)e->endstop_count;
    es->name = mem_strdup(spec->name);
    es->board = spec->board;
    es->oid = spec->oid;
    es->is_inverted = spec->is_inverted;
    es->trigger = board_trigger_create(e->boards, e->m.port);
    (void)board_trigger_oid(es->trigger, spec->board);
    e->endstops[e->endstop_count++] = es;
    *endstop = es;
    return OK;
}

enum err engine_endstop_stops(struct engine *e, struct engine_endstop *endstop, struct engine_stepper *stepper,
                              struct err_info *info)
{
    CHECK(!e->is_started);
    for (unsigned i = 0; i < endstop->stepper_count; i++)
        if (endstop->steppers[i] == stepper)
            return OK;
    if (endstop->stepper_count == BOARD_TRIGGER_STEPPERS_MAX)
        return err_set(info, ERR_LIMIT, "Endstop '%s': more than %d steppers", endstop->name, BOARD_TRIGGER_STEPPERS_MAX);
    (void)board_trigger_oid(endstop->trigger, stepper->board->board);
    board_trigger_add_stepper(endstop->trigger, stepper->board->board, stepper->oid);
    endstop->steppers[endstop->stepper_count++] = stepper;
    return OK;
}

/* The steppers begin where their queues are. */
static enum err bind_first(struct engine *e, struct err_info *info)
{
    for (unsigned i = 0; i < e->stepper_count; i++) {
        struct engine_stepper *s = e->steppers[i];
        stepper_func(s, s->queue, &s->func);
        filter_init(&s->filter, &s->func);
        if (!s->queue)
            continue;
        struct binding to = {.queue = &s->queue->q, .queue_name = s->queue->name, .filter = s->filter};
        enum err err = binding_make(s->sg, &to, e->m.gen_s, info);
        if (err != OK)
            return err;
    }
    return OK;
}

enum err engine_start(struct engine *e, struct err_info *info)
{
    CHECK(!e->is_started);
    if (!e->has_kin) {
        const struct kin_config none = {.kind = KIN_NONE};
        enum err err = kin_init(&e->kin, &none, info);
        if (err != OK)
            return err;
        e->has_kin = true;
    }
    enum err err = bind_first(e, info);
    if (err != OK)
        return err;
    for (unsigned i = 0; i < e->mboard_count; i++) {
        const unsigned slots = board_step_slots(e->mboards[i].board);
        if (slots == 0 && e->mboards[i].stepper_count > 0)
            return err_set(info, ERR_LIMIT, "mcu '%s': no move slots for its steppers", board_name(e->mboards[i].board));
        begin_resident(e);
        stepmerge_init(&e->mboards[i].merge, slots > 0 ? slots : 1);
        end_resident(e);
    }
    e->m.gen.team = stepteam_create(e->is_batch ? e->config.threads : 1);
    rate_init(e);
    motion_update_window(&e->m);
    e->is_started = true;
    if (e->is_batch)
        return OK;
    const struct actor_options options = {.fifo_priority = e->config.fifo_priority, .is_realtime = true};
    e->m.horizon_s = e->config.horizon_s;
    CHECK(e->m.horizon_s == 0.0 || (e->m.horizon_s >= HORIZON_MIN_S && e->m.horizon_s <= HORIZON_MAX_S));
    runtime_add(e->config.runtime, &e->m.actor, &options);
    return OK;
}
