/* The contract between the firmware and the hardware it runs on. firmware/core and firmware/dev call these functions
 * and nothing else; each port implements them. Freestanding.
 *
 * `struct port` is the hardware of one board: the only one on a chip, one of many in port/sim. A port owns a
 * `struct mcu` (firmware/core/mcu.h), gives it memory at start, feeds it received bytes, and runs its timers and tasks.
 * All calls into one mcu come from one thread (on a chip: one core; timers run in an interrupt, and the port masks it
 * around everything else that touches the timer list). */
#ifndef FIRMWARE_PORT_PORT_H
#define FIRMWARE_PORT_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct port;

/* --- time --- */
uint32_t port_clock(struct port *port);    /* the running 32-bit tick counter */
uint32_t port_clock_hz(struct port *port); /* its nominal frequency; 3 s must stay below 2^31 ticks */
/* How late [ticks] a timer may run before the board stops ("Rescheduled timer in the past"). */
uint32_t port_late_limit(struct port *port);
/* The head of the timer list has changed: (re)arm the hardware. Called with timers masked. */
void port_timer_kick(struct port *port);

/* --- bytes to the host --- */
/* Queue one whole block for transmission; false: it does not fit and is lost (the host retries queries). */
bool port_send(struct port *port, const uint8_t *block, size_t len_bytes);

/* --- digital output --- */
struct port_out {
    struct port *port;
    uint32_t pin;
};
/* Make `pin` an output that shows `value` from the first instant. false: no such pin, or not an output. */
bool port_out_setup(struct port_out *out, struct port *port, uint32_t pin, bool value);
void port_out_write(const struct port_out *out, bool value);
void port_out_toggle(const struct port_out *out);

/* --- digital input --- */
struct port_in {
    struct port *port;
    uint32_t pin;
};
/* pull_up  1 up, 0 none, -1 down */
bool port_in_setup(struct port_in *in, struct port *port, uint32_t pin, int pull_up);
bool port_in_read(const struct port_in *in);

/* --- analog input --- */
struct port_adc {
    struct port *port;
    uint32_t pin;
};
bool port_adc_setup(struct port_adc *adc, struct port *port, uint32_t pin);
/* Start a conversion or ask whether it is done: 0 = done (read it), else ask again after that many ticks. */
uint32_t port_adc_sample(const struct port_adc *adc);
uint16_t port_adc_read(const struct port_adc *adc); /* 0..ADC_MAX of the board's dictionary */
void port_adc_cancel(const struct port_adc *adc);   /* drop a conversion in progress */

/* --- hardware PWM --- */
struct port_pwm {
    struct port *port;
    uint32_t pin;
};
/* value  0..PWM_MAX of the board's dictionary */
bool port_pwm_setup(struct port_pwm *pwm, struct port *port, uint32_t pin, uint32_t cycle_ticks, uint32_t value);
void port_pwm_write(const struct port_pwm *pwm, uint32_t value);

/* --- lamps that take their colours as a train of pulses --- */
struct port_leds {
    struct port *port;
    uint32_t pin;
};
bool port_leds_setup(struct port_leds *leds, struct port *port, uint32_t pin);
/* Send the bytes, the highest bit first, no bit longer than bit_max_ticks. false: the board cannot, or was interrupted. */
bool port_leds_send(const struct port_leds *leds, const uint8_t *data, size_t len_bytes, uint32_t bit_max_ticks);

/* --- whole board --- */
/* Start again from nothing as soon as the present command has returned. */
void port_reset(struct port *port);
/* One aligned access of 1 << order bytes (order 0..2) for debug_read and debug_write. Addresses a port does not allow
 * read as 0 and ignore writes. */
uint32_t port_peek(struct port *port, unsigned order, uint32_t addr);
void port_poke(struct port *port, unsigned order, uint32_t addr, uint32_t value);

#endif
