#include "server/job/print_times.h"

#define NO_FILAMENT_MM 1e-7 /* less than this has not extruded anything */

static double filament_at(const struct print_times *t, struct print_filament e)
{
    bool is_counting = t->is_started && !t->is_paused && e.factor > 0;
    return t->filament_mm + (is_counting ? (e.e_mm - t->last_e_mm) / e.factor : 0.0);
}

/* The present values become the stored ones. */
static void settle(struct print_times *t, double now_s, struct print_filament e)
{
    struct print_times_view view = print_times_read(t, now_s, e);
    t->filament_mm = view.filament_mm;
    t->last_e_mm = e.e_mm;
    t->total_s = view.total_s;
    if (t->filament_mm < NO_FILAMENT_MM)
        t->before_extrusion_s = view.total_s - t->paused_total_s - (t->is_paused ? now_s - t->pause_s : 0.0);
}

void print_times_start(struct print_times *t, double now_s, struct print_filament e)
{
    if (!t->is_started) {
        *t = (struct print_times){.is_started = true, .start_s = now_s, .filament_mm = t->filament_mm};
        t->last_e_mm = e.e_mm;
        return;
    }
    settle(t, now_s, e);
    if (t->is_paused)
        t->paused_total_s += now_s - t->pause_s;
    t->is_paused = false;
}

void print_times_pause(struct print_times *t, double now_s, struct print_filament e)
{
    if (!t->is_started || t->is_paused)
        return;
    settle(t, now_s, e);
    t->is_paused = true;
    t->pause_s = now_s;
}

void print_times_finish(struct print_times *t, double now_s, struct print_filament e)
{
    if (!t->is_started)
        return;
    settle(t, now_s, e);
    if (t->is_paused)
        t->paused_total_s += now_s - t->pause_s;
    t->is_started = t->is_paused = false;
}

struct print_times_view print_times_read(const struct print_times *t, double now_s, struct print_filament e)
{
    double filament_mm = filament_at(t, e);
    double paused_s = t->paused_total_s + (t->is_paused ? now_s - t->pause_s : 0.0);
    double total_s = t->is_started ? now_s - t->start_s : t->total_s;
    double before_s = filament_mm < NO_FILAMENT_MM && t->is_started ? total_s - paused_s : t->before_extrusion_s;
    double print_s = total_s - paused_s - before_s;
    return (struct print_times_view){
        .total_s = total_s, .print_s = print_s > 0 ? print_s : 0, .filament_mm = filament_mm};
}
