/* What the files of the simulated board share. */
#ifndef FIRMWARE_PORT_SIM_INTERNAL_H
#define FIRMWARE_PORT_SIM_INTERNAL_H

#include "base/mem.h"
#include "base/strbuf.h"
#include "firmware/core/mcu.h"
#include "firmware/dev/modules.h"
#include "firmware/port/sim/sim_board.h"

#define SIM_SCRATCH_BYTES 256 /* memory that debug_read and debug_write may touch, at address 0 */

struct sim_watcher {
    struct sim_watcher *next;
    sim_output_fn *fn;
    void *ctx;
};

struct sim_pin {
    uint32_t level; /* driven by the board, or SIM_LEVEL_FLOATING */
    int pull_up;
    struct sim_watcher *watchers;
    sim_input_fn *input;
    void *input_ctx;
    sim_leds_fn *leds;
    void *leds_ctx;
};

/* Names of pins: the usual ones as ranges ("PA0" and 31 more), then the configuration's own. */
struct sim_pin_range {
    const char *first; /* ends in the number of the first pin; or a whole name if count is 1 */
    uint32_t count;
};
extern const struct sim_pin_range sim_pin_ranges[];
extern const size_t sim_pin_range_count;
uint32_t sim_pin_range_total(void);

struct port {
    struct sim_board *board;
};

struct sim_board {
    struct actor actor;
    struct port port;
    struct mcu mcu;
    char *name, *mcu_constant;
    struct sim_board_options options;
    struct bytepipe *from_host, *to_host;
    /* time: the logical clock is the tick at which the firmware believes to be */
    uint64_t clock;
    int64_t debt;       /* processor time used and not yet passed [ticks] */
    uint64_t clock_mhz; /* true frequency [mHz] */
    struct host_ns boot_at;
    bool is_booted, is_running, is_reset_due, is_silent;
    /* pins */
    struct sim_pin *pins;
    size_t pin_count;
    char **extra_names;
    size_t extra_count;
    /* memory of the firmware */
    void *memory;
    uint8_t scratch[SIM_SCRATCH_BYTES];
    uint8_t *dictionary;
    size_t dictionary_bytes;
    char *dictionary_text;
    /* transmit buffer */
    double tx_level_bytes;
    uint64_t tx_level_at;
    sim_bytes_fn *tap;
    void *tap_ctx;
    struct sim_board_stats stats;
};

/* Build dictionary and dictionary_text. */
void sim_dictionary_build(struct sim_board *board);

#endif
