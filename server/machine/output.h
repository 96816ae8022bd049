/* Outputs of boards: digital and PWM pins, switched at a print time, and analog inputs. Objects (heaters, fans, output
 * pins, stepper enable) are built from these. Machine thread. */
#ifndef SERVER_MACHINE_OUTPUT_H
#define SERVER_MACHINE_OUTPUT_H

#include "base/clock.h"
#include "base/err.h"
#include "server/machine/pins.h"

#include <stdbool.h>
#include <stdint.h>

struct board;
struct board_format;
struct board_lane;
struct config_section;
struct engine_output;
struct printer;

/* Declared by the owner, filled by output_claim_* and output_setup, used after output_connect. */
struct output {
    struct printer *printer;
    struct pin_ref pin;
    bool is_pwm, is_hardware_pwm;
    double cycle_time_s;     /* PWM period */
    double max_duration_s;   /* the board shuts down if a value other than shutdown_value is not refreshed in time; 0: no */
    double start_value, shutdown_value; /* [0, 1] */
    double stream_gap_s;     /* two changes in the stream are at least this far apart */
    bool is_claimed;         /* the pin is good: output_connect may be called */
    /* set by output_connect */
    struct board *board;
    int oid;
    const struct board_format *format;
    struct engine_output *stream;
    struct board_lane *lane; /* its own: an update that waits for its time holds up no other output */
    uint32_t cycle_ticks;
    double pwm_max;          /* hardware: PWM_MAX of the board */
    double last_value;       /* last sent, [0, 1], before inversion */
    struct print_time last_time;
    struct mcu_ticks last_clock;
    unsigned refused_count;  /* updates the link had no room for */
};

/* Claim the pin of `option` as a digital or PWM output. */
void output_claim(struct output *out, struct printer *printer, struct config_section *section, const char *option,
                  bool is_pwm, const char *share_type);
/* Call these between claim and connect. Defaults: max_duration 2 s, cycle 0.1 s software PWM, start and shutdown value 0. */
void output_set_cycle(struct output *out, double cycle_time_s, bool is_hardware_pwm);
void output_set_max_duration(struct output *out, double max_duration_s);
void output_set_start(struct output *out, double start_value, double shutdown_value);
void output_set_stream_gap(struct output *out, double gap_s); /* default 0.1 s */
/* Add the board's configuration commands, in a connect hook: for an output that is switched at times the owner chooses
 * (heaters, fans that follow heaters), or for one that is switched in order with the moves (fans and pins set by G-code).
 * One output is one or the other. Afterwards the struct must not move. */
enum err output_connect(struct output *out, struct err_info *info) ERR_NODISCARD;
enum err output_connect_stream(struct output *out, struct err_info *info) ERR_NODISCARD;

/* Set `value` [0, 1] (digital: >= 0.5 is on) at print time `when`, not before the last one. After output_connect. */
void output_set_at(struct output *out, struct print_time when, double value);
/* At once: about 0.1 s from now, or at the time of the last change if that is later. After output_connect. */
void output_set_now(struct output *out, double value);
/* In order with the moves; waits (fiber) while the stream is full. After output_connect_stream. */
enum err output_set_in_stream(struct output *out, double value, struct err_info *info) ERR_NODISCARD;

/* An analog input, sampled by the board: `callback` gets value [0, 1] (mean of the samples) on the machine thread. */
struct analog_in {
    struct printer *printer;
    struct pin_ref pin;
    double sample_time_s, report_time_s;
    int sample_count, range_check_count;
    double min_value, max_value; /* outside: the board shuts down ("ADC out of range") after range_check_count reports */
    void (*callback)(void *ctx, struct print_time read_time, double value);
    void *ctx;
    bool is_claimed;
    /* set by analog_in_connect */
    struct board *board;
    int oid;
    bool has_values;   /* the newer message, with a buffer of readings */
    double inv_max_adc;
    uint32_t report_ticks;
    double last_value;
    struct print_time last_time;
};
/* Defaults: 8 samples of 1 ms, a report each 0.3 s, no range check. `share_type`: as for pins_claim. */
void analog_in_claim(struct analog_in *adc, struct printer *printer, struct config_section *section, const char *option,
                     const char *share_type);
enum err analog_in_connect(struct analog_in *adc, struct err_info *info) ERR_NODISCARD;

#endif
