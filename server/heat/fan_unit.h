/* One fan: what [fan], [heater_fan NAME], [fan_generic NAME] and [controller_fan NAME] have in common. Machine thread. */
#ifndef SERVER_HEAT_FAN_UNIT_H
#define SERVER_HEAT_FAN_UNIT_H

#include "server/config/option.h"
#include "server/machine/output.h"

struct board_format;
struct status_writer;

struct fan_unit {
    struct printer *printer;
    struct output pwm, enable;
    bool has_enable, is_in_stream;
    double max_power, kick_start_s, off_below;
    double last_speed; /* as requested, times max_power: what status shows */
    double last_power; /* as sent: full during a kick start */
    /* tachometer */
    bool has_tachometer;
    struct pin_ref tach_pin;
    double tach_poll_s;
    int tach_ppr;
    struct board *tach_board;
    int tach_oid;
    bool has_tach_reading;
    uint32_t tach_count;
    struct print_time tach_count_time, tach_time;
    double tach_hz;
};

/* Rows for the owner's option table. `shutdown_default`: "0.0", for heater_fan "1.0". */
#define FAN_OPTIONS(shutdown_default)                                                                                  \
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the fan"},                           \
        {.name = "max_power", .type = OPTION_FLOAT, .default_text = "1.0", .limits = ">0.0 <=1.0",                     \
         .help = "Power that full speed stands for"},                                                                  \
        {.name = "shutdown_speed", .type = OPTION_FLOAT, .default_text = (shutdown_default), .limits = ">=0.0 <=1.0",  \
         .help = "Speed when the board stops"},                                                                        \
        {.name = "cycle_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.01", .limits = ">0.0",            \
         .help = "Period of the PWM"},                                                                                 \
        {.name = "hardware_pwm", .type = OPTION_BOOL, .default_text = "False", .help = "PWM made by the chip"},        \
        {.name = "kick_start_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.1", .limits = ">=0.0",       \
         .help = "Full power this long when it starts or gains more than half"},                                       \
        {.name = "off_below", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=1.0",                    \
         .help = "Speeds below this are off"},                                                                         \
        {.name = "enable_pin", .type = OPTION_PIN, .help = "Pin that switches the fan's supply"},                      \
        {.name = "tachometer_pin", .type = OPTION_PIN, .help = "Pin of the fan's speed signal"},                       \
        {.name = "tachometer_ppr", .type = OPTION_INT, .default_text = "2", .limits = ">=1",                           \
         .when = "tachometer_pin is given", .help = "Pulses per revolution"},                                          \
        {.name = "tachometer_poll_interval", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.0015",              \
         .limits = ">0.0", .when = "tachometer_pin is given", .help = "How often the signal is looked at"}
#define FAN_FIELDS                                                                                                     \
    {"speed", "float", "last requested value times max_power"}, {"rpm", "float/null", "tachometer speed"}

/* Read the section, claim the pins. In a create hook. `is_in_stream`: switched in order with the moves. */
void fan_unit_setup(struct fan_unit *fan, struct printer *printer, struct config_section *section, bool is_in_stream);
enum err fan_unit_connect(struct fan_unit *fan, struct err_info *info) ERR_NODISCARD;
/* `speed` [0, 1]. In order with the moves, waiting for room (a fiber) ... */
enum err fan_unit_set_in_stream(struct fan_unit *fan, double speed, struct err_info *info) ERR_NODISCARD;
/* ... or at once. */
void fan_unit_set_now(struct fan_unit *fan, double speed);
void fan_unit_shutdown(struct fan_unit *fan, double shutdown_speed);
void fan_unit_write_status(const struct fan_unit *fan, struct status_writer *writer);

#endif
