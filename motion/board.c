/* All boards of a printer: creation, the one request queue to the link, lanes. */
#include "board_impl.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resident.h"

#include <stdio.h>
#include <string.h>

#define GENERAL_LANE_BYTES 32768

/* What the link thread works with is there before the first step leaves: a page fault would make bytes late. */
bool boards_begin_resident(const struct boards *boards)
{
    const bool is_wanted = !runtime_is_virtual(boards->runtime);
    if (is_wanted)
        resident_begin();
    return is_wanted;
}

void boards_end_resident(bool was_wanted)
{
    if (was_wanted)
        resident_end();
}

struct boards *boards_create(const struct boards_options *options)
{
    struct boards *boards = MEM_NEW(struct boards);
    boards->runtime = options->runtime;
    boards->log = options->log;
    boards->machine = options->machine;
    boards->calibrated_at = (struct host_ns){INT64_MIN / 2};
    const bool is_resident = boards_begin_resident(boards);
    boards->link = link_create(options->runtime, options->log);
    board_port_create(boards, options->machine);
    boards_end_resident(is_resident);
    struct actor_options actor = {.fifo_priority = options->fifo_priority, .is_realtime = true};
    runtime_add(boards->runtime, link_actor(boards->link), &actor);
    return boards;
}

bool boards_is_prompt(const struct boards *boards)
{
    return link_is_prompt(boards->link);
}

void boards_get_lateness(const struct boards *boards, struct boards_lateness *out)
{
    struct link_lateness link;
    link_get_lateness(boards->link, &link);
    *out = (struct boards_lateness){
        .lead = link.lead, .late = link.late, .has_thread = link.has_thread, .thread = link.thread};
}

static void free_lines(struct board_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        mem_free(lines->line[i]);
    mem_free(lines->line);
}

static void board_destroy(struct board *board)
{
    for (size_t i = 0; i < ARRAY_COUNT(board->lists); i++)
        free_lines(&board->lists[i]);
    for (size_t i = 0; i < board->lane_count; i++) {
        lane_deinit(&board->lanes[i]->lane);
        mem_free(board->lanes[i]);
    }
    mem_free(board->lanes);
    mem_free(board->callbacks);
    dict_destroy(board->dict);
    mem_free(board->file_json);
    mem_free(board->name);
    mem_free(board->path);
    mem_free(board);
}

void boards_destroy(struct boards *boards)
{
    if (!boards)
        return;
    runtime_remove(boards->runtime, link_actor(boards->link));
    link_destroy(boards->link);
    for (size_t i = 0; i < boards->pending_count; i++)
        if (boards->pending[i].kind == LINK_OPEN)
            transport_destroy(boards->pending[i].transport);
    mem_free(boards->pending);
    for (size_t i = 0; i < boards->trigger_count; i++)
        board_trigger_destroy(boards->triggers[i]);
    for (size_t i = 0; i < boards->count; i++)
        board_destroy(boards->board[i]);
    for (size_t i = 0; i < boards->port_count; i++) {
        link_port_deinit(&boards->ports[i]->link);
        mem_free(boards->ports[i]->handlers);
        mem_free(boards->ports[i]);
    }
    mem_free(boards);
}

/* ---- requests ---- */

void boards_retry_requests(struct boards *boards)
{
    size_t done = 0;
    while (done < boards->pending_count && link_request(boards->link, &boards->pending[done]))
        done++;
    if (done == 0)
        return;
    boards->pending_count -= done;
    memmove(boards->pending, boards->pending + done, boards->pending_count * sizeof(*boards->pending));
}

/* The link's queue is bounded, and in virtual time the link does not run before we return: what does not fit waits
 * here, in order. Only a configuration has that much to say, so only then this allocates. */
void boards_request(struct boards *boards, const struct link_request *request)
{
    boards_retry_requests(boards);
    if (boards->pending_count == 0 && link_request(boards->link, request))
        return;
    if (boards->pending_count == boards->pending_capacity) {
        boards->pending_capacity = boards->pending_capacity ? boards->pending_capacity * 2 : 64;
        boards->pending = mem_realloc(boards->pending, boards->pending_capacity * sizeof(*boards->pending));
    }
    boards->pending[boards->pending_count++] = *request;
    link_wake(boards->link);
}

void boards_run_link(struct boards *boards)
{
    CHECK(runtime_is_virtual(boards->runtime));
    struct actor *actor = link_actor(boards->link);
    actor->step(actor, runtime_now(boards->runtime));
}

void boards_wake(struct boards *boards)
{
    link_wake(boards->link);
}

void boards_emergency_stop(struct boards *boards, const char *reason)
{
    link_emergency_stop(boards->link);
    log_warn(boards->log, "board", "emergency stop", "reason=\"%s\"", reason ? reason : "");
}

void boards_panic(void *boards)
{
    link_panic(((struct boards *)boards)->link);
}

size_t boards_count(const struct boards *boards)
{
    return boards->count;
}

struct board *boards_at(const struct boards *boards, size_t index)
{
    CHECK(index < boards->count);
    return boards->board[index];
}

/* ---- one board ---- */

static void copy_faults(struct board *board, const struct board_faults *f)
{
    if (!f)
        return;
    board->has_faults = true;
    board->faults = (struct transport_faults){.seed = f->seed,
                                              .tx_loss = f->tx_loss,
                                              .tx_corrupt = f->tx_corrupt,
                                              .tx_cut = f->tx_cut,
                                              .tx_duplicate = f->tx_duplicate,
                                              .rx_loss = f->rx_loss,
                                              .rx_corrupt = f->rx_corrupt,
                                              .rx_cut = f->rx_cut,
                                              .rx_duplicate = f->rx_duplicate,
                                              .rx_reorder = f->rx_reorder,
                                              .delay_max_s = f->delay_max_s};
}

enum err board_add(struct boards *boards, const struct board_options *options, struct board **board,
                   struct err_info *info)
{
    for (size_t i = 0; i < boards->count; i++)
        if (strcmp(boards->board[i]->name, options->name) == 0)
            return err_set(info, ERR_EXISTS, "mcu '%s' is defined twice", options->name);
    if (boards->count == BOARDS_MAX)
        return err_set(info, ERR_LIMIT, "more than %d mcus", BOARDS_MAX);
    const bool is_resident = boards_begin_resident(boards);
    struct board *b = MEM_NEW(struct board);
    b->boards = boards;
    b->index = (unsigned)boards->count;
    b->name = mem_strdup(options->name);
    b->path = mem_strdup(options->path ? options->path : "");
    b->transport = options->transport;
    b->baud = options->baud ? options->baud : 250000;
    b->tx = options->tx;
    b->rx = options->rx;
    b->restart_method = options->restart_method;
    b->connect_timeout_s = options->connect_timeout_s > 0. ? options->connect_timeout_s : 90.;
    if (options->dictionary_json) {
        b->file_json = mem_strndup(options->dictionary_json, options->dictionary_bytes);
        b->file_json_bytes = options->dictionary_bytes;
    }
    copy_faults(b, options->faults);
    b->link = link_board_create(boards->link, b->index);
    boards->board[boards->count++] = b;
    boards_request(boards, &(struct link_request){.kind = LINK_ADD_BOARD, .board = b->link});
    b->general = board_lane_create(b, NULL, GENERAL_LANE_BYTES);
    b->general->lane.is_discarded_in_shutdown = false;
    boards_end_resident(is_resident);
    *board = b;
    return OK;
}

const char *board_name(const struct board *board)
{
    return board->name;
}

size_t board_index(const struct board *board)
{
    return board->index;
}

bool board_is_main(const struct board *board)
{
    return board->index == 0;
}

bool board_is_file(const struct board *board)
{
    return board->transport == BOARD_FILE;
}

double board_freq_hz(const struct board *board)
{
    return board->freq_hz;
}

bool board_is_shutdown(const struct board *board)
{
    return link_board_view(board->link).is_shutdown;
}

bool board_is_lost(const struct board *board)
{
    return link_board_view(board->link).is_lost;
}

struct board_stats board_stats(const struct board *board)
{
    struct link_stats s = link_board_stats(board->link);
    struct board_stats stats = {.bytes_write = s.bytes_write,
                                .bytes_read = s.bytes_read,
                                .bytes_retransmit = s.bytes_retransmit,
                                .bytes_invalid = s.bytes_invalid,
                                .send_seq = s.send_seq,
                                .receive_seq = s.receive_seq,
                                .retransmit_seq = s.retransmit_seq,
                                .srtt_s = s.srtt_s,
                                .rttvar_s = s.rttvar_s,
                                .rto_s = s.rto_s,
                                .ready_bytes = (uint32_t)s.ready_bytes,
                                .upcoming_bytes = (uint32_t)s.upcoming_bytes,
                                .freq_hz = s.freq_hz,
                                .mcu_awake = s.mcu_awake,
                                .mcu_task_avg = s.mcu_task_avg,
                                .mcu_task_stddev = s.mcu_task_stddev,
                                .blocks_late = s.blocks_late,
                                .lateness_max_s = s.lateness_max_s,
                                .faults_injected = s.faults_injected};
    for (size_t i = 0; i < board->boards->port_count; i++)
        stats.responses_dropped += atomic_load(&board->boards->ports[i]->link.dropped);
    return stats;
}

/* ---- lanes ---- */

struct board_lane *board_lane_create(struct board *board, struct actor *producer, size_t capacity_bytes)
{
    const bool is_resident = boards_begin_resident(board->boards);
    struct board_lane *lane = MEM_NEW(struct board_lane);
    lane_init(&lane->lane, producer, capacity_bytes);
    boards_end_resident(is_resident);
    lane->lane.is_discarded_in_shutdown = true;
    lane->board = board;
    board->lanes = mem_realloc(board->lanes, (board->lane_count + 1) * sizeof(*board->lanes));
    board->lanes[board->lane_count++] = lane;
    boards_request(board->boards,
                   &(struct link_request){.kind = LINK_ADD_LANE, .board = board->link, .lane = &lane->lane});
    return lane;
}

struct board *board_lane_board(const struct board_lane *lane)
{
    return lane->board;
}

enum err board_lane_push(struct board_lane *lane, const struct board_msg *msg, struct board_timing timing)
{
    if (lane_push(&lane->lane, msg->data, msg->len_bytes, timing.min_clock, timing.req_clock, timing.slot_until, 0))
        return OK;
    struct boards *boards = lane->board->boards;
    if (!board_is_file(lane->board) || !runtime_is_virtual(boards->runtime))
        return ERR_FULL;
    boards_run_link(boards);
    bool is_stored =
        lane_push(&lane->lane, msg->data, msg->len_bytes, timing.min_clock, timing.req_clock, timing.slot_until, 0);
    return is_stored ? OK : ERR_FULL;
}

size_t board_lane_room(const struct board_lane *lane)
{
    return lane_room(&lane->lane);
}
