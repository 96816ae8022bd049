/* Print time and the boards' clocks. The main board's clock defines print time; another board's clock is bound to it by
 * a line that is bent a little each second, so that both agree a few seconds ahead and no step already generated moves.
 * docs/protocol.md section 8. */
#include "board_impl.h"

#include "base/check.h"

#include <math.h>
#include <string.h>

#define CALIBRATE_INTERVAL_S 1.0
#define CALIBRATE_AHEAD_S    4.0

struct board_time board_time_map(const struct board *board)
{
    struct board_time time;
    published_read(&board->time, &time, sizeof(time));
    return time;
}

static void set_time_map(struct board *board, double offset_s, double freq_hz)
{
    struct board_time time = {.offset_s = offset_s, .freq_hz = freq_hz};
    published_write(&board->time, &time, sizeof(time));
}

struct mcu_ticks board_ticks_at(const struct board *board, struct print_time time)
{
    struct board_time map = board_time_map(board);
    double ticks = (time.s - map.offset_s) * map.freq_hz;
    return (struct mcu_ticks){ticks > 0. ? (uint64_t)ticks : 0};
}

struct print_time board_print_time(const struct board *board, struct mcu_ticks ticks)
{
    struct board_time map = board_time_map(board);
    return (struct print_time){(double)ticks.t / map.freq_hz + map.offset_s};
}

struct mcu_ticks board_ticks_extend(const struct board *board, uint32_t ticks32)
{
    struct link_view view = link_board_view(board->link);
    int64_t delta = (int32_t)(ticks32 - (uint32_t)view.last_clock);
    if (delta < 0 && (uint64_t)-delta > view.last_clock)
        return (struct mcu_ticks){ticks32};
    return (struct mcu_ticks){view.last_clock + (uint64_t)delta};
}

struct mcu_ticks board_ticks_now(const struct board *board, struct host_ns now)
{
    struct link_view view = link_board_view(board->link);
    return (struct mcu_ticks){view.is_clock_known ? clock_line_at(&view.line, now) : 0};
}

static double clock_s(const struct board *board, const struct link_view *view, struct host_ns now)
{
    return (view->line.clock + host_ns_diff_s(now, view->line.time) * view->line.freq_hz) / board->freq_hz;
}

struct print_time boards_est_print_time(const struct boards *boards, struct host_ns now)
{
    _Atomic uint64_t *latest = &((struct boards *)(uintptr_t)boards)->latest_est;
    double best = 0.;
    uint64_t bits = atomic_load(latest);
    memcpy(&best, &bits, sizeof(best));
    if (boards->count == 0)
        return (struct print_time){0.};
    const struct board *main_board = boards->board[0];
    struct link_view view = link_board_view(main_board->link);
    if (!view.is_clock_known)
        return (struct print_time){best};
    double est = clock_s(main_board, &view, now);
    while (est > best) {
        uint64_t wanted;
        memcpy(&wanted, &est, sizeof(wanted));
        if (atomic_compare_exchange_weak(latest, &bits, wanted))
            return (struct print_time){est};
        memcpy(&best, &bits, sizeof(best));
    }
    return (struct print_time){best};
}

void board_time_start(struct board *board)
{
    struct boards *boards = board->boards;
    board->sync_until_s = 0.;
    if (board_is_main(board) || board_is_file(board)) {
        set_time_map(board, 0., board->freq_hz);
        if (!board_is_main(board))
            return;
        /* Print time begins anew; boards that were there before must be bound to it again. */
        atomic_store(&boards->latest_est, 0);
        for (size_t i = 1; i < boards->count; i++)
            if (atomic_load(&boards->board[i]->is_connected))
                board_time_start(boards->board[i]);
        return;
    }
    struct host_ns now = runtime_now(boards->runtime);
    struct link_view main_view = link_board_view(boards->board[0]->link), view = link_board_view(board->link);
    double main_s = main_view.is_clock_known ? clock_s(boards->board[0], &main_view, now) : 0.;
    set_time_map(board, main_s - clock_s(board, &view, now), board->freq_hz);
}

static void calibrate(struct board *board, struct host_ns now, double generated_s)
{
    const struct board *main_board = board->boards->board[0];
    struct link_view main_view = link_board_view(main_board->link), view = link_board_view(board->link);
    if (!main_view.is_clock_known || !view.is_clock_known || view.is_lost)
        return;
    struct board_time map = board_time_map(board);
    double est_s = clock_s(main_board, &main_view, now);
    double first_s = fmax(generated_s, est_s);
    double second_s = fmax(first_s + CALIBRATE_AHEAD_S, board->sync_until_s);
    second_s = fmax(second_s, generated_s + 2.5 * (generated_s - est_s));
    double first_clock = (first_s - map.offset_s) * map.freq_hz;
    /* The board's clock at the instant at which the main board's shows second_s. */
    double ahead_s = (second_s * main_board->freq_hz - main_view.line.clock) / main_view.line.freq_hz;
    double lag_s = host_ns_diff_s(main_view.line.time, view.line.time);
    double second_clock = view.line.clock + (ahead_s + lag_s) * view.line.freq_hz;
    double freq_hz = (second_clock - first_clock) / (second_s - first_s);
    if (!(freq_hz > board->freq_hz * .5 && freq_hz < board->freq_hz * 2.))
        return; /* an estimate that is off: keep the last good one */
    board->sync_until_s = second_s;
    set_time_map(board, first_s - first_clock / freq_hz, freq_hz);
}

void boards_calibrate(struct boards *boards, struct host_ns now, struct print_time generated_until)
{
    if (host_ns_diff_s(now, boards->calibrated_at) < CALIBRATE_INTERVAL_S)
        return;
    boards->calibrated_at = now;
    for (size_t i = 1; i < boards->count; i++)
        if (boards->board[i]->is_connected && !board_is_file(boards->board[i]))
            calibrate(boards->board[i], now, generated_until.s);
}
