/* A simulated board: our firmware on hardware that exists only in memory, driven by a runtime as an actor and wired to
 * the host by two byte pipes. Any number of them live in one process; they share nothing.
 *
 * Time. The board counts ticks of a crystal of its own: start_clock + elapsed * clock_hz * (1 + drift_ppm / 1e6).
 * Timers run on that logical clock exactly at their tick, however late the actor is stepped; whether a command came too
 * late is judged by the tick at which its bytes arrived. The actor does not wake for every step pulse: all timers up to
 * `now` run in one slice, and the next slice is due at the next event the host could notice (a report, a timeout),
 * after 1 ms while an endstop is watched, and after 20 ms at the latest while anything moves.
 *
 * All functions: on the thread that steps the board's actor, or while no runtime drives it. */
#ifndef FIRMWARE_PORT_SIM_SIM_BOARD_H
#define FIRMWARE_PORT_SIM_SIM_BOARD_H

#include "base/actor.h"
#include "base/bytepipe.h"
#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_board;

#define SIM_ADC_MAX        4095
#define SIM_PWM_MAX        32768      /* an output level: 0 off, SIM_PWM_MAX fully on, between: hardware PWM */
#define SIM_LEVEL_FLOATING UINT32_MAX /* nobody drives the pin: not configured (again) after a reset */

struct sim_board_options {
    const char *name;     /* of the actor; copied. NULL: "mcu" */
    uint32_t clock_hz;    /* nominal frequency [Hz], 1e6..7e8. 0: 64 MHz */
    double drift_ppm;     /* how much faster the real crystal runs, |drift| < 1e5 */
    uint64_t start_clock; /* ticks at the board's first slice, e.g. just below 1 << 32 */
    /* Pins that exist in addition to the usual names (PA0.., P0.0.., gpio0.., gpiochipN/gpioM, analog0.., PORT names of
     * AVR and STM32 boards, ADC_TEMPERATURE, pwmchipN/pwmM); copied. */
    const char *const *pin_names;
    size_t pin_count;
    const char *mcu_constant;    /* the MCU constant of the dictionary; copied. NULL: "lockstep-sim" */
    uint32_t move_count_max;     /* 1..1024 items of the move pool. 0: 1024 */
    size_t memory_bytes;         /* memory for objects and moves, frozen by finalize_config. 0: 128 KiB */
    uint32_t serial_baud;        /* > 0: announce SERIAL_BAUD and drain the transmit buffer at this rate. 0: as USB */
    size_t rx_buffer_bytes;      /* > 0: announce RECEIVE_WINDOW; bytes beyond it in one slice are lost. 0: unlimited */
    size_t tx_buffer_bytes;      /* > 0: blocks that do not fit are lost. 0: unlimited */
    double late_limit_s;         /* how late a timer may run. 0: 1 ms */
    uint32_t timer_cost_ticks;   /* how long each timer call takes. 0: nothing, so that edges are exact to the tick */
    bool has_no_ack_at_shutdown; /* as boards that forget the rest of their input when they shut down */
};

/* Create a board, switched off. The pipes are kept until sim_board_destroy; the board sets from_host->reader to its
 * actor, the host sets to_host->reader to its own. NULL options: all defaults. Never NULL. */
struct sim_board *sim_board_create(const struct sim_board_options *options, struct bytepipe *from_host,
                                   struct bytepipe *to_host);
void sim_board_destroy(struct sim_board *board); /* NULL allowed; must not be driven by a runtime */

/* The actor to hand to runtime_add. The firmware boots in its first slice and sends `starting`. */
struct actor *sim_board_actor(struct sim_board *board);

/* --- the outside of the board: pins --- */
/* Number of pin `name`, or UINT32_MAX. */
uint32_t sim_board_pin(const struct sim_board *board, const char *name);
const char *sim_board_pin_name(const struct sim_board *board, uint32_t pin, char *out, size_t out_bytes);

/* The level of an output pin has changed to `level` (0..SIM_PWM_MAX or SIM_LEVEL_FLOATING) at tick `clock`. */
typedef void sim_output_fn(void *ctx, struct mcu_ticks clock, uint32_t level);
/* Call `fn` on each change of `pin`. Several watchers per pin are called in the order they were added. */
void sim_board_watch(struct sim_board *board, uint32_t pin, sim_output_fn *fn, void *ctx);
uint32_t sim_board_level(const struct sim_board *board, uint32_t pin);

/* What an input pin shows at tick `clock`: digital 0 or 1, analog 0..SIM_ADC_MAX. Pins without a source read their
 * pull-up (1), else 0; analog ones the middle of their range. */
typedef uint32_t sim_input_fn(void *ctx, struct mcu_ticks clock);
void sim_board_set_input(struct sim_board *board, uint32_t pin, sim_input_fn *fn, void *ctx);

/* What the board sends to a chain of lamps on `pin`. */
typedef void sim_leds_fn(void *ctx, const uint8_t *data, size_t len_bytes);
void sim_board_watch_leds(struct sim_board *board, uint32_t pin, sim_leds_fn *fn, void *ctx); /* one; NULL clears */

/* Every byte that crosses the board's port, as the board sees it. to_host tells the direction. */
typedef void sim_bytes_fn(void *ctx, struct mcu_ticks clock, bool to_host, const uint8_t *data, size_t len_bytes);
void sim_board_tap(struct sim_board *board, sim_bytes_fn *fn, void *ctx); /* one tap; NULL clears */

/* --- time --- */
/* Run the timers up to `now`, for somebody who wants to look at the pins between two slices. Nothing happens while the
 * board is running already (from its own callbacks). */
void sim_board_catch_up(struct sim_board *board, struct host_ns now);
struct mcu_ticks sim_board_clock(const struct sim_board *board);
uint32_t sim_board_clock_hz(const struct sim_board *board); /* nominal */
/* The instant at which the board's counter shows (or showed) `clock`. */
struct host_ns sim_board_host_time(const struct sim_board *board, struct mcu_ticks clock);

/* --- faults and statistics --- */
/* A silent board receives and sends nothing any more, but its clock runs and its outputs expire. */
void sim_board_set_silent(struct sim_board *board, bool is_silent);
/* Raise a shutdown from inside, as a board does on a fault of its own ("Command request"). */
void sim_board_shut_down(struct sim_board *board);
/* Pull the plug and put it back: all state is lost, `starting` is sent. */
void sim_board_power_cycle(struct sim_board *board);

struct sim_board_stats {
    uint64_t timer_calls; /* timers run */
    uint64_t slices;      /* times the actor was stepped */
    uint64_t bytes_in, bytes_out;
    uint64_t blocks_lost; /* to the host, for want of transmit buffer */
    bool is_shut_down;
    char shutdown_reason[64]; /* "" while running */
};
void sim_board_get_stats(const struct sim_board *board, struct sim_board_stats *stats);

/* The data dictionary the board will send (JSON text, not compressed); owned by the board. */
const char *sim_board_dictionary(const struct sim_board *board);

#endif
