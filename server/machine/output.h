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
struct printer;

/* How an output goes to the board. */
enum output_order {
    OUTPUT_IN_STREAM, /* in order with the moves, through the engine: fans and pins set by G-code */
    OUTPUT_DIRECT     /* at a print time of the caller's choice, past the stream: heaters, motor enable */
};

/* Declared by the owner, filled by output_claim_* and output_setup, used after output_connect. */
struct output {
    struct printer *printer;
    struct pin_ref pin;
    bool is_pwm, is_hardware_pwm;
    double cycle_time_s;     /* PWM period */
    double max_duration_s;   /* the board shuts down if a value other than shutdown_value is not refreshed in time; 0: no */
    double start_value, shutdown_value; /* [0, 1] */
    /* set by output_connect */
    struct board *board;
    int oid;                 /* -1: a static output, set once by the configuration */
    uint32_t cycle_ticks;
    double pwm_max;          /* hardware: PWM_MAX of the board */
    double last_value;       /* last sent, [0, 1], before inversion */
    struct print_time last_time;
    struct mcu_ticks last_clock;
};

/* Claim the pin of `option` as a digital or PWM output. */
void output_claim(struct output *out, struct printer *printer, struct config_section *section, const char *option,
                  bool is_pwm, const char *share_type);
/* Defaults: max_duration 2 s, cycle 0.1 s software PWM, start and shutdown value 0. */
void output_set_cycle(struct output *out, double cycle_time_s, bool is_hardware_pwm);
void output_set_max_duration(struct output *out, double max_duration_s);
void output_set_start(struct output *out, double start_value, double shutdown_value);
/* Add the board's configuration commands. In a connect hook. */
enum err output_connect(struct output *out, struct err_info *info) ERR_NODISCARD;

/* Set `value` [0, 1] (digital: >= 0.5 is on) at print time `when`, not before the last one. DIRECT. */
void output_set_at(struct output *out, struct print_time when, double value);
/* The same in order with the moves; waits (fiber) while the stream is full. */
enum err output_set_in_stream(struct output *out, double value, struct err_info *info) ERR_NODISCARD;
/* At once, past everything, also while the stream is full: `value` from about 0.1 s from now. */
void output_set_now(struct output *out, double value);

/* An analog input, sampled by the board: `callback` gets value [0, 1] (mean of the samples) on the machine thread. */
struct analog_in {
    struct printer *printer;
    struct pin_ref pin;
    double sample_time_s, report_time_s;
    int sample_count, range_check_count;
    double min_value, max_value; /* outside: the board shuts down ("ADC out of range") after range_check_count reports */
    void (*callback)(void *ctx, struct print_time read_time, double value);
    void *ctx;
    /* set by analog_in_connect */
    struct board *board;
    int oid;
    double inv_max_adc;
    uint32_t report_ticks;
    double last_value;
    struct print_time last_time;
};
void analog_in_claim(struct analog_in *adc, struct printer *printer, struct config_section *section, const char *option);
enum err analog_in_connect(struct analog_in *adc, struct err_info *info) ERR_NODISCARD;

#endif
