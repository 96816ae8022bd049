/* What the files of the plant share. */
#ifndef FIRMWARE_PLANT_INTERNAL_H
#define FIRMWARE_PLANT_INTERNAL_H

#include "base/mem.h"
#include "firmware/plant/plant.h"

#define PLANT_CELL_NS   20000000LL /* time step of the thermal model */
#define PLANT_DELAY_MAX 512        /* cells of dead time */
#define PLANT_FAN_TAU_S 0.5        /* how fast a fan spins up and down */

/* A signal on a pin that is averaged over the cells of the thermal model. */
struct averaged {
    double level;     /* now, 0..1 */
    double sum_ns;    /* integral of the level over the present cell */
    int64_t since_ns; /* up to where the integral goes */
};

struct motor {
    struct plant_motor desc;
    int64_t steps;
    double offset_mm; /* start and pushes by hand */
    bool is_driven, is_step_on, is_forward, is_enabled;
};

struct endstop {
    struct plant_endstop desc;
    struct plant *plant;
    enum plant_endstop_fault fault;
    /* with a servo line */
    bool is_line_on, is_out, is_in_touch_mode;
    int64_t line_since_ns;
};

struct heater {
    struct plant_heater desc;
    struct plant *plant;
    struct averaged duty;
    int64_t cell_end_ns; /* of the cell in progress */
    double block_c, sensed_c;
    double delayed[PLANT_DELAY_MAX]; /* duty of past cells, for the dead time */
    unsigned delay_cells, delay_at;
    bool is_cut, is_shorted;
};

struct sensor {
    struct plant_sensor desc;
    struct plant *plant;
    enum plant_sensor_fault fault;
    uint32_t frozen_adc;
};

struct fan {
    struct plant_fan desc;
    struct plant *plant;
    double level, speed; /* commanded, real; 0..1 */
    int64_t at_ns;
    double phase; /* pulses of the tachometer, fraction counts */
};

struct held_switch {
    struct plant_switch desc;
    bool is_active;
};

struct wheel {
    struct plant_wheel desc;
    const struct plant *plant;
    bool is_jammed;
    double jammed_mm; /* where it stands while jammed */
};

struct plant {
    struct arena names; /* of things and pins */
    struct sim_board **boards;
    size_t board_count;
    enum plant_kinematics kinematics;
    double anchors[3][3], arms_mm[3]; /* delta towers (z unused) or winch anchors */
    double bed_tilt_x, bed_tilt_y, ambient_c;
    double twist_per_mm;
    plant_bed_fn *bed_shape; /* NULL: flat */
    void *bed_ctx;
    struct motor *motors;
    struct endstop *endstops;
    struct heater *heaters;
    struct sensor *sensors;
    struct fan *fans;
    struct held_switch *switches;
    struct wheel *wheels;
    size_t motor_count, endstop_count, heater_count, sensor_count, fan_count, switch_count, wheel_count;
};

/* Watch or feed a pin if it is connected; `ctx` is the object. */
enum err plant_watch(struct plant *plant, const struct plant_pin *pin, const char *owner, sim_output_fn *fn, void *ctx,
                     struct err_info *info) ERR_NODISCARD;
enum err plant_feed(struct plant *plant, const struct plant_pin *pin, const char *owner, sim_input_fn *fn, void *ctx,
                    struct err_info *info) ERR_NODISCARD;
/* Is an output level on, taking the pin's polarity into account? Floating pins are off. */
double plant_pin_duty(const struct plant_pin *pin, uint32_t level);
int64_t plant_time_ns(const struct plant *plant, const struct plant_pin *pin, struct mcu_ticks clock);

/* Something on the board of `pin` looks at the machine at `clock`: let the other boards get there too. Returns the
 * time. */
int64_t plant_sync(struct plant *plant, const struct plant_pin *pin, struct mcu_ticks clock);

enum err plant_wire_motion(struct plant *plant, struct err_info *info) ERR_NODISCARD;
enum err plant_wire_heat(struct plant *plant, struct err_info *info) ERR_NODISCARD;
void plant_advance_heater(struct heater *heater, int64_t now_ns);
void plant_advance_fan(struct fan *fan, int64_t now_ns);

#endif
