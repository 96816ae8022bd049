#include "server/bed/probe_round.h"

#include "base/mem.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/printer.h"
#include "server/toolhead/manual_probe.h"
#include "server/toolhead/toolhead.h"

#include <math.h>
#include <string.h>

#define MANUAL_LIFT_MM_S 5.0 /* between places measured by hand */

void probe_round_setup(struct probe_round *round, struct printer *printer, struct config_section *section,
                       probe_round_fn *done, void *ctx)
{
    round->printer = printer;
    round->done = done;
    round->ctx = ctx;
    round->speed_mm_s = section_float(section, "speed");
    round->horizontal_z_mm = section_float(section, "horizontal_move_z");
}

void probe_round_skip_old_points(struct config_section *section)
{
    if (section_has(section, "points"))
        section_number_table(section, "points");
}

void probe_round_set_places(struct probe_round *round, const struct probe_place *places, size_t count)
{
    mem_free(round->places);
    round->places = MEM_ARRAY(struct probe_place, count);
    memcpy(round->places, places, count * sizeof *places);
    round->count = count;
}

void probe_round_read_places(struct probe_round *round, struct config_section *section, const char *option, size_t least)
{
    struct config_number_table table = section_number_table(section, option);
    if (section_error_count(section) > 0)
        return;
    if (table.count < least) {
        config_error_option(section, option, "Option '%s' in section '%s' needs at least %zu points", option,
                            section_name(section), least);
        return;
    }
    struct probe_place *places = MEM_ARRAY(struct probe_place, table.count);
    for (size_t i = 0; i < table.count; i++)
        places[i] = (struct probe_place){table.rows[i].items[0], table.rows[i].items[1]};
    mem_free(round->places);
    round->places = places;
    round->count = table.count;
}

static void forget(struct probe_round *round)
{
    mem_free(round->bed_mm);
    round->bed_mm = NULL;
    round->at = 0;
}

void probe_round_deinit(struct probe_round *round)
{
    forget(round);
    mem_free(round->places);
    round->places = NULL;
    round->count = 0;
}

/* --- the way --- */

static enum err go(const struct probe_round *r, double x, double y, double z, double speed_mm_s, struct err_info *info)
{
    const double to[TOOLHEAD_AXES_MAX] = {x, y, z, NAN, NAN, NAN, NAN, NAN};
    return toolhead_manual_move(printer_toolhead(r->printer), to, speed_mm_s, info);
}

/* Up to the height of travel; the first time from wherever the toolhead is, which may be a long way. */
static enum err rise(struct probe_round *r, struct err_info *info)
{
    double speed_mm_s = r->is_first_lift ? r->speed_mm_s : r->lift_speed_mm_s;
    r->is_first_lift = false;
    return go(r, NAN, NAN, r->travel_z_mm, speed_mm_s, info);
}

static enum err next_place(struct probe_round *r, struct err_info *info)
{
    const struct probe_place *place = &r->places[r->at];
    enum err e = rise(r, info);
    double shift_x = r->is_of_probe ? r->offset_mm[0] : 0.0, shift_y = r->is_of_probe ? r->offset_mm[1] : 0.0;
    return e ? e : go(r, place->x_mm - shift_x, place->y_mm - shift_y, NAN, r->speed_mm_s, info);
}

/* Everything is measured: hand it over. */
static enum err hand_over(struct probe_round *r, bool *again, struct err_info *info)
{
    struct probe_round_result result = {.bed_mm = (const double(*)[3])r->bed_mm, .count = r->count};
    memcpy(result.offset_mm, r->offset_mm, sizeof result.offset_mm);
    *again = false;
    enum err e = r->done(r->ctx, &result, again, info);
    if (e)
        *again = false;
    r->at = 0;
    return e;
}

/* --- with the probe --- */

static enum err probe_places(struct probe_round *r, struct probe *probe, struct err_info *info)
{
    enum err e = probe_begin(probe, info);
    for (r->at = 0; r->at < r->count && !e; r->at++) {
        struct probe_result result;
        e = next_place(r, info);
        if (!e)
            e = probe_run(probe, &r->session, &result, info);
        if (!e)
            memcpy(r->bed_mm[r->at], result.bed_mm, sizeof result.bed_mm);
    }
    if (!e)
        e = rise(r, info);
    return probe_end(probe, e, info);
}

static enum err run_automatic(struct probe_round *r, struct probe *probe, struct err_info *info)
{
    enum err e;
    bool again = false;
    r->lift_speed_mm_s = r->session.lift_speed_mm_s;
    do {
        e = probe_places(r, probe, info);
        if (!e)
            e = hand_over(r, &again, info);
    } while (!e && again);
    forget(r);
    return e;
}

/* --- by hand --- */

static manual_probe_done_fn on_place_done;

static enum err measure_by_hand(struct probe_round *r, struct err_info *info)
{
    enum err e = next_place(r, info);
    return e ? e : manual_probe_begin(r->printer, MANUAL_LIFT_MM_S, on_place_done, r, info);
}

/* One place is done (NULL: given up). */
static enum err on_place_done(void *ctx, const double *position_mm, struct err_info *info)
{
    struct probe_round *r = ctx;
    bool again = true;
    enum err e = OK;
    if (!position_mm) {
        forget(r);
        return OK;
    }
    memcpy(r->bed_mm[r->at], position_mm, sizeof r->bed_mm[r->at]);
    if (++r->at == r->count) {
        e = rise(r, info);
        if (!e)
            e = hand_over(r, &again, info);
    }
    if (!e && again)
        e = measure_by_hand(r, info);
    if (e || !again)
        forget(r);
    return e;
}

enum err probe_round_run(struct probe_round *r, struct gcode_command *cmd, struct err_info *info)
{
    struct probe *probe = printer_probe(r->printer);
    enum err e = manual_probe_check_free(r->printer, info);
    if (!e)
        e = probe_method_read(cmd, &r->method, info);
    r->travel_z_mm = r->horizontal_z_mm;
    if (!e)
        e = gcode_opt_double(cmd, "HORIZONTAL_MOVE_Z", GCODE_ANY, &r->travel_z_mm, info);
    if (e)
        return e;
    forget(r);
    r->bed_mm = mem_alloc(r->count * sizeof *r->bed_mm);
    r->is_first_lift = true;
    memset(r->offset_mm, 0, sizeof r->offset_mm);
    if (!probe || r->method == PROBE_MANUAL) {
        r->lift_speed_mm_s = MANUAL_LIFT_MM_S;
        e = measure_by_hand(r, info);
    } else {
        probe_offsets(probe, r->offset_mm);
        e = probe_session_read(probe, cmd, &r->session, info);
        if (!e && r->travel_z_mm < r->offset_mm[2])
            e = err_set(info, ERR_INVALID, "horizontal_move_z can't be less than probe's z_offset");
        if (!e)
            return run_automatic(r, probe, info);
    }
    if (e)
        forget(r);
    return e;
}
