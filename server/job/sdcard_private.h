/* What the files of virtual_sdcard share: sdcard.c (the folder and the commands), sd_print.c (the printing fiber),
 * sd_hold.c (stopping at the horizon). Nobody else includes this. */
#ifndef SERVER_JOB_SDCARD_PRIVATE_H
#define SERVER_JOB_SDCARD_PRIVATE_H

#include "motion/engine.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"
#include "server/job/sd_reader.h"
#include "server/job/sdcard.h"
#include "server/machine/object.h"

#include <stdbool.h>
#include <stdint.h>

struct fiber;
struct print_stats;
struct template;

/* A tail kept by the engine, and what is needed to go on with it. */
struct sd_tail {
    bool is_held;
    double pos[ENGINE_AXES_MAX]; /* where the toolhead stood still */
    double read_e_mm;            /* commanded e when the reader stopped */
};

struct sdcard {
    struct printer_object obj;
    char *folder;              /* absolute, no slash at the end; NULL: none */
    struct template *on_error; /* NULL: TURN_OFF_HEATERS */
    struct print_stats *stats;

    struct sd_reader *reader;     /* NULL: no file */
    struct sd_reader *old_reader; /* its line still runs: closed when that has ended; NULL: none */
    char *path;                   /* of the file, absolute */
    uint64_t position, size_bytes;
    uint64_t next_position; /* after the line that runs; M26 changes it */

    bool is_active;              /* lines are to be run */
    bool is_stopping;            /* see sdcard_stop */
    bool is_cancelling;          /* see sdcard_is_cancelling */
    bool is_start_due;           /* the fiber has to begin (again): tail, statistics */
    bool is_taken_back;          /* the cancel of the running line is ours: it runs again on resume */
    bool is_cancelled;           /* the cancel of the running line ends the print */
    struct fiber *printer_fiber; /* runs the lines; NULL: none */
    bool in_line;
    bool is_waiting_end;   /* all lines have been read, the motion goes on */
    bool is_executed;      /* and has ended */
    struct fiber *settler; /* waits in sdcard_settle */

    struct sd_tail tail;
    struct fiber *holder; /* waits for HELD */
    bool has_listener;
    bool is_holding, is_held_event;
    struct engine_source held; /* of the first item of the tail */
};

/* sd_print.c */
enum err sd_print_start(struct sdcard *sd, struct err_info *info);
/* sd_hold.c */
/* Play the tail, if there is one, and take up the modal state of the reader again. [fiber], with the turn of G-code. */
enum err sd_release(struct sdcard *sd, struct err_info *info);
/* sdcard.c */
void sd_close(struct sdcard *sd);

#endif
