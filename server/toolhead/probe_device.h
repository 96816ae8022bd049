/* Kinds of probes: what a section such as [bltouch] adds to the switch, the offsets and the commands that every probe has.
 * For the files of probes. Machine thread. */
#ifndef SERVER_TOOLHEAD_PROBE_DEVICE_H
#define SERVER_TOOLHEAD_PROBE_DEVICE_H

#include "server/machine/object.h"
#include "server/machine/stepper.h"
#include "server/toolhead/probe.h"

/* All functions run in the fiber that probes; each may be NULL. */
struct probe_device {
    enum err (*lower)(void *ctx, struct err_info *info); /* put the probe out; nothing has moved yet */
    enum err (*raise)(void *ctx, struct err_info *info); /* take it in */
    enum err (*arm)(void *ctx, struct err_info *info);   /* right before each descent */
    enum err (*check)(void *ctx, struct err_info *info); /* right after each descent, before the lift */
    void *ctx;
    bool stays_out; /* once out, until the end of the series; else in and out with each descent */
};

enum probe_series { PROBE_SINGLE, PROBE_SERIES_BEGUN, PROBE_SERIES_OUT };

struct probe {
    struct printer_object obj;
    const char *section; /* its name; NULL: not set up */
    struct endstop endstop;
    struct pin_chip chip; /* "probe": its only pin is z_virtual_endstop */
    double offset_mm[3];
    struct probe_session session;
    struct probe_device device;
    enum probe_series series;
    bool last_query;
    double last_mm[3], last_z_mm; /* of the last PROBE */
    double calibrate_z_mm;        /* PROBE_CALIBRATE: height of the nozzle when the probe triggered */
    void *own;                    /* [probe]: its scripts */
};

/* Make the printer's probe from `section`: its offsets, session and the pin of option `pin_option`. NULL: there is another
 * one (an error has been added). In the create hook of the section's object; `device` is copied, its ctx kept. */
struct probe *probe_setup(struct printer *printer, struct config_section *section, const char *pin_option,
                          const struct probe_device *device);
/* The fields every probe has, for the status hook of the section's object. */
void probe_write_status(const struct probe *probe, struct status_writer *writer);

/* Options that probe_setup reads; for the option table of each kind. */
#define PROBE_OPTIONS                                                                                                  \
    {.name = "x_offset",                                                                                               \
     .type = OPTION_FLOAT,                                                                                             \
     .unit = "mm",                                                                                                     \
     .default_text = "0",                                                                                              \
     .help = "x of the probe, seen from the nozzle"},                                                                  \
        {.name = "y_offset",                                                                                           \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm",                                                                                                 \
         .default_text = "0",                                                                                          \
         .help = "y of the probe, seen from the nozzle"},                                                              \
        {.name = "z_offset",                                                                                           \
         .type = OPTION_FLOAT,                                                                                         \
         .flags = OPTION_REQUIRED,                                                                                     \
         .unit = "mm",                                                                                                 \
         .help = "Height of the nozzle when the probe triggers"},                                                      \
        {.name = "speed",                                                                                              \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm/s",                                                                                               \
         .default_text = "5",                                                                                          \
         .limits = ">0",                                                                                               \
         .help = "Speed of descent"},                                                                                  \
        {.name = "lift_speed",                                                                                         \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm/s",                                                                                               \
         .default_text = "speed",                                                                                      \
         .limits = ">0",                                                                                               \
         .help = "Speed of lifting between samples"},                                                                  \
        {.name = "samples",                                                                                            \
         .type = OPTION_INT,                                                                                           \
         .default_text = "1",                                                                                          \
         .limits = ">=1",                                                                                              \
         .help = "Descents at each place"},                                                                            \
        {.name = "sample_retract_dist",                                                                                \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm",                                                                                                 \
         .default_text = "2",                                                                                          \
         .limits = ">0",                                                                                               \
         .help = "Lift between samples"},                                                                              \
        {.name = "samples_result",                                                                                     \
         .type = OPTION_CHOICE,                                                                                        \
         .default_text = "average",                                                                                    \
         .choices = "median|average",                                                                                  \
         .help = "What is made of several samples"},                                                                   \
        {.name = "samples_tolerance",                                                                                  \
         .type = OPTION_FLOAT,                                                                                         \
         .unit = "mm",                                                                                                 \
         .default_text = "0.1",                                                                                        \
         .limits = ">=0",                                                                                              \
         .help = "Largest difference between samples"},                                                                \
    {                                                                                                                  \
        .name = "samples_tolerance_retries", .type = OPTION_INT, .default_text = "0", .limits = ">=0",                 \
        .help = "Times to begin again when samples differ too much"                                                    \
    }

#define PROBE_FIELDS                                                                                                   \
    {"name", "str", "section of the probe"}, {"last_query", "bool", "what the last QUERY_PROBE found"},                \
        {"last_probe_position", "coord", "place on the bed that the last PROBE found"},                                \
    {                                                                                                                  \
        "last_z_result", "float", "height of the nozzle when the last PROBE triggered"                                 \
    }

/* Parameters that probe_session_read takes, and those of every calibration with the probe. */
#define PROBE_SESSION_PARAMS                                                                                           \
    {"PROBE_SPEED", "float", "speed", ">0"}, {"LIFT_SPEED", "float", "lift_speed", ">0"},                              \
        {"SAMPLE_RETRACT_DIST", "float", "sample_retract_dist", ">0"},                                                 \
        {"SAMPLES_TOLERANCE", "float", "samples_tolerance", ">=0"},                                                    \
        {"SAMPLES_TOLERANCE_RETRIES", "int", "samples_tolerance_retries", ">=0"},                                      \
    {                                                                                                                  \
        "SAMPLES_RESULT", "str", "samples_result", "median|average"                                                    \
    }
#define PROBE_ROUND_PARAMS                                                                                             \
    {"METHOD", "str", "automatic", "automatic|manual"}, {"HORIZONTAL_MOVE_Z", "float", "horizontal_move_z", NULL},     \
        {"SAMPLES", "int", "samples", ">=1"}, PROBE_SESSION_PARAMS

/* The commands of every probe (ctx: struct probe), in probe_commands.c. */
gcode_handler_fn probe_cmd_probe, probe_cmd_query, probe_cmd_accuracy, probe_cmd_calibrate, probe_cmd_apply_offset;
extern const struct command_param probe_params[], probe_accuracy_params[], probe_calibrate_params[];
/* From z where the probe has stopped up by `retract_mm`. */
enum err probe_lift(struct probe *probe, const struct probe_session *session, struct err_info *info) ERR_NODISCARD;
/* The mean, or the middle one (of an even number: the mean of the two in the middle), of `count` > 0 samples; sorts them by
 * height. */
void probe_settle(struct probe_result *samples, size_t count, bool is_median, struct probe_result *out);

#endif
