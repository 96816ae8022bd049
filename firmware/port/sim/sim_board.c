/* Life of a simulated board: creation, time, the actor's slice. The contract is in sim_board.h. */
#include "firmware/port/sim/sim_board.h"

#include "base/check.h"
#include "firmware/port/sim/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide; /* products of nanoseconds and frequencies */

#define MHZ_NS          1000000000000ULL /* millihertz times nanoseconds per tick */
#define CLOCK_HZ_MIN    1000000u
#define CLOCK_HZ_MAX    700000000u /* 3 s stay below 2^31 ticks */
#define CLOCK_HZ_USUAL  64000000u
#define MEMORY_USUAL    (128u * 1024)
#define LATE_USUAL_S    0.001
#define WATCH_PERIOD_NS 1000000LL
#define IDLE_PERIOD_NS  20000000LL
#define READ_BYTES      512
#define CALL_COST       50 /* ticks of processor time per timer call */
#define DEBT_LIMIT_S    0.004

/* --- time --- */

static uint64_t ticks_at(const struct sim_board *board, struct host_ns now)
{
    uint64_t elapsed_ns = now.ns > board->boot_at.ns ? (uint64_t)(now.ns - board->boot_at.ns) : 0;
    return board->options.start_clock + (uint64_t)((wide)elapsed_ns * board->clock_mhz / MHZ_NS);
}

struct host_ns sim_board_host_time(const struct sim_board *board, struct mcu_ticks clock)
{
    uint64_t start = board->options.start_clock;
    if (clock.t <= start)
        return board->boot_at;
    wide ns =
        ((wide)(clock.t - start) * MHZ_NS + board->clock_mhz - 1) / board->clock_mhz; /* the first ns at or after */
    return (struct host_ns){board->boot_at.ns + (int64_t)ns};
}

struct mcu_ticks sim_board_clock(const struct sim_board *board)
{
    return (struct mcu_ticks){board->clock};
}

uint32_t sim_board_clock_hz(const struct sim_board *board)
{
    return board->options.clock_hz;
}

/* --- boot and reset --- */

static void float_pins(struct sim_board *board)
{
    for (size_t i = 0; i < board->pin_count; i++) {
        struct sim_pin *pin = &board->pins[i];
        pin->pull_up = 0;
        if (pin->level == SIM_LEVEL_FLOATING)
            continue;
        pin->level = SIM_LEVEL_FLOATING;
        for (const struct sim_watcher *w = pin->watchers; w; w = w->next)
            w->fn(w->ctx, (struct mcu_ticks){board->clock}, SIM_LEVEL_FLOATING);
    }
}

static void boot(struct sim_board *board)
{
    float_pins(board);
    board->is_reset_due = false;
    board->tx_level_bytes = 0;
    struct mcu_setup setup = {
        .port = &board->port,
        .memory = board->memory,
        .memory_bytes = board->options.memory_bytes,
        .modules = dev_modules,
        .module_count = DEV_MODULE_COUNT,
        .dictionary = board->dictionary,
        .dictionary_bytes = board->dictionary_bytes,
        .move_count_max = (uint16_t)board->options.move_count_max,
        .has_no_ack_at_shutdown = board->options.has_no_ack_at_shutdown,
    };
    mcu_init(&board->mcu, &setup);
}

/* --- the slice --- */

/* Timer calls cost nothing, so that edges are exact, but a processor is not infinitely fast: calls run up a debt of
 * CALL_COST ticks each that passing time pays off. When it exceeds DEBT_LIMIT_S the clock is pushed forward instead,
 * and a board that is asked too much falls behind and notices, as real ones do. */
static void charge_call(struct sim_board *board)
{
    board->stats.timer_calls++;
    board->clock += board->options.timer_cost_ticks;
    if (board->debt < (int64_t)(DEBT_LIMIT_S * board->options.clock_hz))
        board->debt += CALL_COST;
    else
        board->clock += CALL_COST;
}

static void pass_time(struct sim_board *board, uint64_t clock)
{
    int64_t passed = (int64_t)(clock - board->clock);
    board->debt = board->debt > passed ? board->debt - passed : 0;
    board->clock = clock;
}

/* Run every timer that is due at `until`, each at its own tick. */
static void run_timers(struct sim_board *board, uint64_t until)
{
    uint32_t clock32;
    while (board->clock <= until && mcu_next_timer(&board->mcu, &clock32)) {
        int64_t ahead = (int32_t)(clock32 - (uint32_t)board->clock);
        if (ahead > 0) {
            if (board->clock + (uint64_t)ahead > until)
                break;
            pass_time(board, board->clock + (uint64_t)ahead);
        }
        charge_call(board);
        mcu_run_timer(&board->mcu);
        mcu_run_tasks(&board->mcu);
    }
    if (board->clock < until)
        pass_time(board, until);
}

void sim_board_catch_up(struct sim_board *board, struct host_ns now)
{
    if (!board->is_booted || board->is_running)
        return;
    board->is_running = true;
    run_timers(board, ticks_at(board, now));
    board->is_running = false;
}

static void receive(struct sim_board *board)
{
    uint8_t data[READ_BYTES];
    size_t taken = 0, limit = board->options.rx_buffer_bytes;
    for (size_t len; (len = bytepipe_read(board->from_host, data, sizeof(data))) > 0;) {
        if (limit && len > limit - taken)
            len = limit - taken;
        if (board->is_silent || !len)
            continue;
        taken += len;
        board->stats.bytes_in += len;
        if (board->tap)
            board->tap(board->tap_ctx, (struct mcu_ticks){board->clock}, false, data, len);
        mcu_receive(&board->mcu, data, len);
        mcu_run_tasks(&board->mcu);
        if (board->is_reset_due)
            boot(board);
    }
}

static struct host_ns next_slice(const struct sim_board *board, struct host_ns now)
{
    struct timer_outlook outlook = mcu_timer_outlook(&board->mcu);
    struct host_ns next = HOST_NS_NEVER;
    if (outlook.is_any)
        next.ns = now.ns + (outlook.is_watching ? WATCH_PERIOD_NS : IDLE_PERIOD_NS);
    if (outlook.has_report) {
        int64_t ahead = (int32_t)(outlook.report_clock - (uint32_t)board->clock);
        struct mcu_ticks clock = {board->clock + (uint64_t)(ahead > 0 ? ahead : 0)};
        next = host_ns_min(next, sim_board_host_time(board, clock));
    }
    return next;
}

static struct host_ns board_step(struct actor *self, struct host_ns now)
{
    struct sim_board *board = (struct sim_board *)(void *)((char *)self - offsetof(struct sim_board, actor));
    if (!board->is_booted) {
        board->is_booted = true;
        board->boot_at = now;
        board->clock = board->tx_level_at = board->options.start_clock;
        boot(board);
    }
    board->is_running = true;
    uint64_t calls = board->stats.timer_calls;
    run_timers(board, ticks_at(board, now));
    receive(board);
    run_timers(board, board->clock); /* what the commands made due at this very tick */
    uint64_t busy = (board->stats.timer_calls - calls) * board->options.timer_cost_ticks;
    mcu_count_loop(&board->mcu, (uint32_t)(board->clock - busy));
    board->is_running = false;
    board->stats.slices++;
    if (!board->options.serial_baud)
        board->tx_level_bytes = 0;
    return next_slice(board, now);
}

/* --- creation --- */

static void take_options(struct sim_board *board, const struct sim_board_options *options)
{
    struct sim_board_options *o = &board->options;
    if (options)
        *o = *options;
    o->clock_hz = o->clock_hz ? o->clock_hz : CLOCK_HZ_USUAL;
    o->move_count_max = o->move_count_max ? o->move_count_max : MCU_MOVES_MAX;
    o->memory_bytes = o->memory_bytes ? o->memory_bytes : MEMORY_USUAL;
    o->late_limit_s = o->late_limit_s > 0 ? o->late_limit_s : LATE_USUAL_S;
    CHECK(o->clock_hz >= CLOCK_HZ_MIN && o->clock_hz <= CLOCK_HZ_MAX);
    CHECK(o->move_count_max <= MCU_MOVES_MAX);
    CHECK(fabs(o->drift_ppm) < 1e5);
    size_t needed = mcu_table_bytes(dev_modules, DEV_MODULE_COUNT);
    if (o->memory_bytes < needed)
        o->memory_bytes = needed;
    board->clock_mhz = (uint64_t)llround(o->clock_hz * (1e3 + o->drift_ppm * 1e-3));
    board->name = mem_strdup(o->name ? o->name : "mcu");
    board->mcu_constant = mem_strdup(o->mcu_constant ? o->mcu_constant : "lockstep-sim");
}

static void create_pins(struct sim_board *board)
{
    const struct sim_board_options *o = &board->options;
    board->extra_names = MEM_ARRAY(char *, o->pin_count + 1);
    for (size_t i = 0; i < o->pin_count; i++) {
        if (sim_board_pin(board, o->pin_names[i]) == UINT32_MAX)
            board->extra_names[board->extra_count++] = mem_strdup(o->pin_names[i]);
    }
    board->pin_count = sim_pin_range_total() + board->extra_count;
    board->pins = MEM_ARRAY(struct sim_pin, board->pin_count);
    for (size_t i = 0; i < board->pin_count; i++)
        board->pins[i].level = SIM_LEVEL_FLOATING;
}

struct sim_board *sim_board_create(const struct sim_board_options *options, struct bytepipe *from_host,
                                   struct bytepipe *to_host)
{
    struct sim_board *board = MEM_NEW(struct sim_board);
    take_options(board, options);
    create_pins(board);
    board->port.board = board;
    board->from_host = from_host;
    board->to_host = to_host;
    board->memory = mem_alloc(board->options.memory_bytes);
    sim_dictionary_build(board);
    board->actor = (struct actor){.name = board->name, .step = board_step};
    atomic_store(&from_host->reader, &board->actor);
    return board;
}

void sim_board_destroy(struct sim_board *board)
{
    if (!board)
        return;
    atomic_store(&board->from_host->reader, NULL);
    for (size_t i = 0; i < board->pin_count; i++) {
        for (struct sim_watcher *w = board->pins[i].watchers, *next; w; w = next) {
            next = w->next;
            mem_free(w);
        }
    }
    for (size_t i = 0; i < board->extra_count; i++)
        mem_free(board->extra_names[i]);
    mem_free(board->extra_names);
    mem_free(board->pins);
    mem_free(board->memory);
    mem_free(board->dictionary);
    mem_free(board->dictionary_text);
    mem_free(board->name);
    mem_free(board->mcu_constant);
    mem_free(board);
}

struct actor *sim_board_actor(struct sim_board *board)
{
    return &board->actor;
}

void sim_board_tap(struct sim_board *board, sim_bytes_fn *fn, void *ctx)
{
    board->tap = fn;
    board->tap_ctx = ctx;
}

const char *sim_board_dictionary(const struct sim_board *board)
{
    return board->dictionary_text;
}

/* --- faults and statistics --- */

void sim_board_set_silent(struct sim_board *board, bool is_silent)
{
    board->is_silent = is_silent;
}

void sim_board_shut_down(struct sim_board *board)
{
    if (board->is_booted)
        mcu_emergency_stop(&board->mcu);
    actor_notify(&board->actor);
}

void sim_board_power_cycle(struct sim_board *board)
{
    if (board->is_booted)
        boot(board);
    actor_notify(&board->actor);
}

void sim_board_get_stats(const struct sim_board *board, struct sim_board_stats *stats)
{
    *stats = board->stats;
    stats->is_shut_down = board->is_booted && mcu_is_shut_down(&board->mcu);
    stats->shutdown_reason[0] = 0;
    if (stats->is_shut_down)
        snprintf(stats->shutdown_reason, sizeof(stats->shutdown_reason), "%s", board->mcu.reason->text);
}
