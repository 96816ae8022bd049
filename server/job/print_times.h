/* Durations and filament of one print. Pure; any thread. All times in seconds of one monotonic clock. */
#ifndef SERVER_JOB_PRINT_TIMES_H
#define SERVER_JOB_PRINT_TIMES_H

#include <stdbool.h>

/* Zeroed: no print yet. */
struct print_times {
    bool is_started, is_paused;
    double start_s, pause_s;   /* of the print, of the pause in force */
    double paused_total_s;     /* of the pauses that are over */
    double before_extrusion_s; /* until filament first moved: heating, homing */
    double total_s;            /* of a print that is over */
    double filament_mm, last_e_mm;
};

/* The position of filament: e_mm as the machine has it (after M221), factor: M221, > 0. */
struct print_filament {
    double e_mm, factor;
};

/* Begin, or go on after a pause. */
void print_times_start(struct print_times *t, double now_s, struct print_filament e);
void print_times_pause(struct print_times *t, double now_s, struct print_filament e);
/* End. Without a print in progress nothing happens. */
void print_times_finish(struct print_times *t, double now_s, struct print_filament e);

struct print_times_view {
    double total_s;     /* since the start, pauses included */
    double print_s;     /* without pauses and without the time before filament first moved */
    double filament_mm; /* before M221 */
};
struct print_times_view print_times_read(const struct print_times *t, double now_s, struct print_filament e);

#endif
