/* Modal state and the chain of transforms. Coordinates: a G-code word v means base_pos + v on its axis (E first times
 * extrude_factor) when absolute, last_pos + v when relative; G92 and offsets only change base_pos. */
#include "server/gcode/gcode_move.h"
#include "base/check.h"
#include "base/mem.h"
#include "server/gcode/gcode_move_private.h"

#include <string.h>

struct gcode_move *gcode_move_create(struct gcode *g)
{
    struct gcode_move *gm = MEM_NEW(struct gcode_move);
    gm->g = g;
    gm->axis_count = 4;
    memcpy(gm->letters, "XYZE", 5);
    gm->modal.speed_mm_s = 25.0;
    gm->modal.speed_factor = 1.0 / 60.0;
    gm->modal.extrude_factor = 1.0;
    gm->modal.is_absolute_coord = gm->modal.is_absolute_extrude = true;
    gm->history = MEM_ARRAY(struct gcode_modal, GCODE_MODAL_HISTORY_COUNT);
    gm->is_modal_new = true;
    strmap_init(&gm->saved);
    gcode_add_error_listener(g, move_on_error, gm);
    return gm;
}

void gcode_move_destroy(struct gcode_move *gm)
{
    if (!gm)
        return;
    gcode_remove_error_listener(gm->g, move_on_error, gm);
    for (const struct strmap_entry *e = strmap_first(&gm->saved); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(&gm->saved);
    mem_free(gm->history);
    mem_free(gm);
}

/* --- the chain --- */

void gcode_move_set_toolhead(struct gcode_move *gm, struct gcode_transform *toolhead)
{
    CHECK(!gm->toolhead);
    gm->toolhead = toolhead;
    toolhead->next = NULL;
    struct gcode_transform **link = &gm->front;
    while (*link)
        link = &(*link)->next;
    *link = toolhead;
}

enum err gcode_move_add_transform(struct gcode_move *gm, struct gcode_transform *transform, bool force,
                                  struct err_info *info)
{
    if (gm->front && gm->front != gm->toolhead && !force)
        return err_set(info, ERR_EXISTS, "G-Code move transform already specified");
    transform->next = gm->front;
    gm->front = transform;
    return OK;
}

void gcode_move_remove_transform(struct gcode_move *gm, struct gcode_transform *transform)
{
    for (struct gcode_transform **link = &gm->front; *link; link = &(*link)->next)
        if (*link == transform) {
            *link = transform->next;
            transform->next = NULL;
            return;
        }
}

void gcode_move_reset_position(struct gcode_move *gm)
{
    if (gm->toolhead)
        gm->front->get_position(gm->front->ctx, gm->last_pos);
}

/* A command failed, perhaps in the middle of a move: what has been sent counts. */
void move_on_error(void *ctx, enum err code, const char *text)
{
    (void)code;
    (void)text;
    gcode_move_reset_position(ctx);
}

void gcode_move_homed(struct gcode_move *gm, unsigned axes)
{
    gcode_move_reset_position(gm);
    for (unsigned i = 0; i < 3; i++)
        if (axes & (1u << i))
            gm->modal.base_pos[i] = gm->modal.homing_pos[i];
    gm->is_modal_new = true;
}

void gcode_move_extruder_changed(struct gcode_move *gm)
{
    gcode_move_reset_position(gm);
    gm->modal.extrude_factor = 1.0;
    gm->modal.base_pos[GCODE_E] = gm->last_pos[GCODE_E];
    gm->is_modal_new = true;
}

void gcode_move_set_extra_axes(struct gcode_move *gm, const char *letters, size_t count)
{
    CHECK(4 + count <= GCODE_AXIS_COUNT_MAX);
    if (gm->axis_count == 4 + count && memcmp(gm->letters + 4, letters, count) == 0)
        return;
    double base_pos[GCODE_AXIS_COUNT_MAX] = {0.0}; /* an axis that stays keeps its origin */
    for (size_t i = 0; i < count; i++) {
        const char *old = strchr(gm->letters + 4, letters[i]);
        base_pos[4 + i] = old && letters[i] ? gm->modal.base_pos[old - gm->letters] : 0.0;
    }
    memcpy(gm->letters + 4, letters, count);
    gm->letters[4 + count] = 0;
    gm->axis_count = 4 + count;
    for (size_t i = 4; i < GCODE_AXIS_COUNT_MAX; i++) {
        gm->modal.base_pos[i] = base_pos[i];
        gm->last_pos[i] = 0.0;
    }
    gm->is_modal_new = true;
    gcode_move_reset_position(gm);
}

size_t gcode_move_axis_count(const struct gcode_move *gm)
{
    return gm->axis_count;
}

void gcode_move_set_describe(struct gcode_move *gm, gcode_describe_fn *fn, void *ctx)
{
    gm->describe = fn;
    gm->describe_ctx = ctx;
}

/* --- moves --- */

enum err move_send(struct gcode_move *gm, double speed_mm_s, struct err_info *info)
{
    if (!gm->toolhead)
        return err_set(info, ERR_STATE, "Printer not ready");
    return gm->front->move(gm->front->ctx, gm->last_pos, speed_mm_s, info);
}

/* Where `value` on `axis` leads. */
static double target_of(const struct gcode_move *gm, unsigned axis, double value)
{
    bool is_absolute = gm->modal.is_absolute_coord;
    if (axis == GCODE_E) {
        value *= gm->modal.extrude_factor;
        is_absolute = is_absolute && gm->modal.is_absolute_extrude;
    }
    return value + (is_absolute ? gm->modal.base_pos[axis] : gm->last_pos[axis]);
}

enum err gcode_move_linear(struct gcode_move *gm, unsigned axes, const double *values, double feed_mm_min,
                           struct err_info *info)
{
    gm->cookie_before = move_cookie_now(gm);
    for (unsigned i = 0; i < gm->axis_count; i++)
        if (axes & (1u << i))
            gm->last_pos[i] = target_of(gm, i, values[i]);
    if (feed_mm_min > 0.0) {
        double speed_mm_s = feed_mm_min * gm->modal.speed_factor;
        gm->is_modal_new |= speed_mm_s != gm->modal.speed_mm_s;
        gm->modal.speed_mm_s = speed_mm_s;
    }
    gm->is_sending++;
    gm->sent_factor = gm->modal.speed_factor;
    enum err e = move_send(gm, gm->modal.speed_mm_s, info);
    gm->is_sending--;
    return e;
}

static void scale_speed(struct gcode_modal *modal, double per_mm_min)
{
    modal->speed_mm_s = modal->speed_mm_s / modal->speed_factor * per_mm_min;
    modal->speed_factor = per_mm_min;
}

void gcode_move_set_speed_percent(struct gcode_move *gm, double percent)
{
    scale_speed(&gm->modal, percent / 6000.0);
    gm->is_modal_new = true;
}

void gcode_move_override_speed_percent(struct gcode_move *gm, double percent)
{
    const uint32_t count = gm->cookie < GCODE_MODAL_HISTORY_COUNT ? gm->cookie : GCODE_MODAL_HISTORY_COUNT;
    for (uint32_t i = 0; i < count; i++)
        scale_speed(&gm->history[(gm->cookie - i) % GCODE_MODAL_HISTORY_COUNT], percent / 6000.0);
    gcode_move_set_speed_percent(gm, percent);
}

bool gcode_move_feed(const struct gcode_move *gm, double *sent, double *now)
{
    *sent = gm->sent_factor * 60.0;
    *now = gm->modal.speed_factor * 60.0;
    return gm->is_sending > 0;
}

/* --- saved states --- */

void gcode_move_save_state(struct gcode_move *gm, const char *name)
{
    struct saved_state *state = strmap_get(&gm->saved, name);
    if (!state) {
        state = MEM_NEW(struct saved_state);
        strmap_set(&gm->saved, name, state);
    }
    state->modal = gm->modal;
    memcpy(state->last_pos, gm->last_pos, sizeof state->last_pos);
}

enum err gcode_move_restore_state(struct gcode_move *gm, const char *name, bool is_move, double speed_mm_s,
                                  struct err_info *info)
{
    const struct saved_state *state = strmap_get(&gm->saved, name);
    if (!state)
        return err_set(info, ERR_NOT_FOUND, "Unknown g-code state: %s", name);
    gm->modal = state->modal;
    /* What has been extruded since then does not move the origin of E. */
    gm->modal.base_pos[GCODE_E] += gm->last_pos[GCODE_E] - state->last_pos[GCODE_E];
    gm->is_modal_new = true;
    if (!is_move)
        return OK;
    memcpy(gm->last_pos, state->last_pos, 3 * sizeof gm->last_pos[0]);
    return move_send(gm, speed_mm_s > 0.0 ? speed_mm_s : gm->modal.speed_mm_s, info);
}

/* --- executed state --- */

uint32_t move_cookie_now(struct gcode_move *gm)
{
    if (gm->is_modal_new) {
        gm->cookie = gm->cookie == UINT32_MAX ? 1 : gm->cookie + 1;
        gm->history[gm->cookie % GCODE_MODAL_HISTORY_COUNT] = gm->modal;
        gm->is_modal_new = false;
    }
    return gm->cookie;
}

uint32_t gcode_move_cookie(struct gcode_move *gm)
{
    return gm->is_sending ? gm->cookie_before : move_cookie_now(gm);
}

enum err gcode_move_modal_of(const struct gcode_move *gm, uint32_t cookie, struct gcode_modal *out)
{
    if (cookie == 0 || gm->cookie - cookie >= GCODE_MODAL_HISTORY_COUNT)
        return ERR_NOT_FOUND;
    *out = gm->history[cookie % GCODE_MODAL_HISTORY_COUNT];
    return OK;
}

void gcode_move_get_modal(const struct gcode_move *gm, struct gcode_modal *out)
{
    *out = gm->modal;
}

void gcode_move_set_modal(struct gcode_move *gm, const struct gcode_modal *modal)
{
    gm->modal = *modal;
    gm->is_modal_new = true;
    gcode_move_reset_position(gm);
}

void gcode_move_get_status(const struct gcode_move *gm, struct gcode_move_status *out)
{
    const struct gcode_modal *modal = &gm->modal;
    out->speed_factor = modal->speed_factor * 60.0;
    out->speed_mm_min = modal->speed_mm_s / modal->speed_factor;
    out->extrude_factor = modal->extrude_factor;
    out->is_absolute_coord = modal->is_absolute_coord;
    out->is_absolute_extrude = modal->is_absolute_extrude;
    memcpy(out->homing_origin, modal->homing_pos, sizeof out->homing_origin);
    out->axis_count = gm->axis_count;
    memcpy(out->axis_letters, gm->letters, sizeof out->axis_letters);
    for (size_t i = 0; i < GCODE_AXIS_COUNT_MAX; i++) {
        out->position[i] = gm->last_pos[i];
        out->gcode_position[i] = gm->last_pos[i] - modal->base_pos[i];
    }
    out->gcode_position[GCODE_E] /= modal->extrude_factor;
}
