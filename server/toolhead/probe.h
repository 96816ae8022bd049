/* The probe of the bed, as other objects use it. There is one at most, whichever section it has ([probe], [bltouch]): the
 * object is always called "probe". Machine thread; what moves must be called from a fiber. */
#ifndef SERVER_TOOLHEAD_PROBE_H
#define SERVER_TOOLHEAD_PROBE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct endstop;
struct gcode_command;
struct printer;
struct probe;

struct probe *printer_probe(const struct printer *printer); /* NULL: there is none */
/* Where the probe is, seen from the nozzle; z: height of the nozzle when the probe triggers. */
void probe_offsets(const struct probe *probe, double xyz_mm[3]);
/* The switch, for the kinematics (which know the steppers it stops) and probe:z_virtual_endstop. */
struct endstop *probe_endstop(struct probe *probe);

/* How to probe one place: the options of the section, changed by PROBE_SPEED, SAMPLES and so on of a command. */
struct probe_session {
    double speed_mm_s, lift_speed_mm_s, retract_mm, tolerance_mm;
    long samples, retries;
    bool is_median;
};
enum err probe_session_read(const struct probe *probe, struct gcode_command *cmd, struct probe_session *out,
                            struct err_info *info) ERR_NODISCARD;

struct probe_result {
    double bed_mm[3];  /* the place on the bed */
    double test_mm[3]; /* the nozzle when the probe triggered */
};
/* Sent for each descent, before anybody uses it; data: struct probe_result *, whose bed_mm may be set right. */
#define PROBE_EVENT_RESULT "probe:update_results"

/* Lower the probe until it triggers, as often as `session` asks; the toolhead stays where the last descent ended. Between
 * probe_begin and probe_end. */
enum err probe_run(struct probe *probe, const struct probe_session *session, struct probe_result *out,
                   struct err_info *info) ERR_NODISCARD;

/* A series of descents: a probe that is put out once for all of them (deactivate_on_each_sample: False) goes out with the
 * first. probe_end must follow also after an error: it hands on `so_far`, or if that is OK what went wrong with taking the
 * probe in. */
enum err probe_begin(struct probe *probe, struct err_info *info) ERR_NODISCARD;
enum err probe_end(struct probe *probe, enum err so_far, struct err_info *info) ERR_NODISCARD;
/* Before and after each descent of a series that is made by others (homing z with the probe). As probe_end, _done must
 * follow also after an error. */
enum err probe_prepare(struct probe *probe, struct err_info *info) ERR_NODISCARD;
enum err probe_done(struct probe *probe, enum err so_far, struct err_info *info) ERR_NODISCARD;

/* The words for a METHOD of a calibration command. NULL: "automatic". ERR_UNSUPPORTED with words for methods of probes that
 * this program does not have. */
enum probe_method { PROBE_AUTOMATIC, PROBE_MANUAL };
enum err probe_method_read(struct gcode_command *cmd, enum probe_method *method, struct err_info *info) ERR_NODISCARD;

#define PROBE_SAMPLES_MAX 1000

#endif
