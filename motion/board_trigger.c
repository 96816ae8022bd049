/* Triggers, on the side of the thread that runs the homing move. */
#include "board_impl.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <string.h>

#define EXPIRE_ONE_S     0.250 /* one board: it only guards against a dead host */
#define EXPIRE_SEVERAL_S 0.025 /* several: how far one may run on after another stopped */
#define REPORT_PART      0.3   /* of the expire time between reports */
#define LANE_BYTES       8192

struct board_trigger *board_trigger_create(struct boards *boards, struct board_port *port)
{
    CHECK(boards->trigger_count < BOARD_TRIGGERS_MAX);
    struct board_trigger *t = MEM_NEW(struct board_trigger);
    t->boards = boards;
    t->port = board_port_of(boards, port);
    t->setup.port = &t->port->link;
    t->setup.token = (uint32_t)boards->trigger_count;
    t->link =
        link_trigger_create(); /* now, as the thread that arms it may not allocate; set up when all boards are known */
    boards->triggers[boards->trigger_count++] = t;
    return t;
}

void board_trigger_destroy(struct board_trigger *t)
{
    if (!t->is_handed_over)
        link_trigger_destroy(t->link);
    mem_free(t);
}

static int part_of(const struct board_trigger *t, const struct board *board)
{
    for (size_t i = 0; i < t->setup.part_count; i++)
        if (t->board[i] == board)
            return (int)i;
    return -1;
}

unsigned board_trigger_oid(struct board_trigger *t, struct board *board)
{
    int part = part_of(t, board);
    if (part >= 0)
        return t->setup.parts[part].oid;
    CHECK(t->setup.part_count < BOARD_TRIGGER_BOARDS_MAX && !t->is_handed_over);
    size_t i = t->setup.part_count++;
    unsigned oid = board_oid(board);
    t->board[i] = board;
    t->lanes[i] = board_lane_create(board, NULL, LANE_BYTES);
    t->setup.parts[i] =
        (struct link_trigger_part){.board = board->link, .lane = &t->lanes[i]->lane, .oid = (uint8_t)oid};
    board_config(board, BOARD_CONFIG, "config_trsync oid=%u", oid);
    board_config(board, BOARD_RESTART, "trsync_start oid=%u report_clock=0 report_ticks=0 expire_reason=0", oid);
    return oid;
}

void board_trigger_add_stepper(struct board_trigger *t, struct board *board, unsigned stepper_oid)
{
    board_trigger_oid(t, board);
    CHECK(t->stepper_count < BOARD_TRIGGER_STEPPERS_MAX);
    t->steppers[t->stepper_count].board = board;
    t->steppers[t->stepper_count++].oid = stepper_oid;
}

bool board_trigger_has_board(const struct board_trigger *t, const struct board *board)
{
    return part_of(t, board) >= 0;
}

struct board_lane *board_trigger_lane(struct board_trigger *t, struct board *board)
{
    int part = part_of(t, board);
    CHECK(part >= 0);
    return t->lanes[part];
}

static enum err push(struct board_trigger *t, size_t part, const char *format, const int64_t *args, size_t count,
                     uint64_t req_clock)
{
    struct board_msg msg;
    const struct board_format *f = board_command(t->board[part], format);
    if (!f)
        return ERR_NOT_FOUND;
    enum err err = board_encode(f, args, count, NULL, 0, &msg);
    return err ? err : board_lane_push(t->lanes[part], &msg, (struct board_timing){.req_clock = req_clock});
}

/* The commands that arm one board: reports begin at an offset, so that the boards' reports spread evenly in time. */
static enum err arm_board(struct board_trigger *t, size_t part, uint64_t start, struct link_trigger_times *times)
{
    unsigned oid = t->setup.parts[part].oid;
    struct board *board = t->board[part];
    double share = (double)part / (double)t->setup.part_count;
    uint64_t report = start + (uint64_t)floor((double)times->report_ticks[part] * share + .5);
    enum err err = push(t, part, "trsync_start oid=%c report_clock=%u report_ticks=%u expire_reason=%c",
                        BOARD_ARGS(oid, (uint32_t)report, times->report_ticks[part], BOARD_TRIGGER_TIMEOUT), start);
    for (size_t i = 0; i < t->stepper_count && !err; i++)
        if (t->steppers[i].board == board)
            err = push(t, part, "stepper_stop_on_trigger oid=%c trsync_oid=%c", BOARD_ARGS(t->steppers[i].oid, oid),
                       start);
    if (!err)
        err = push(t, part, "trsync_set_timeout oid=%c clock=%u", BOARD_ARGS(oid, (uint32_t)times->clock[part]), start);
    return err;
}

static bool hand_over(struct board_trigger *t)
{
    if (t->is_handed_over)
        return true;
    link_trigger_set_up(t->link, &t->setup);
    struct link_request request = {.kind = LINK_ADD_TRIGGER, .trigger = t->link};
    t->is_handed_over = link_request(t->boards->link, &request);
    return t->is_handed_over;
}

enum err board_trigger_start(struct board_trigger *t, struct host_ns now, struct print_time start,
                             board_trigger_fn *on_end, void *ctx)
{
    (void)now;
    CHECK(t->setup.part_count > 0);
    if (t->is_armed)
        return ERR_STATE;
    if (!hand_over(t))
        return ERR_FULL;
    struct link_request request = {.kind = LINK_TRIGGER_ARM, .trigger = t->link};
    double expire_s = t->setup.part_count > 1 ? EXPIRE_SEVERAL_S : EXPIRE_ONE_S;
    uint64_t clock[BOARD_TRIGGER_BOARDS_MAX];
    for (size_t i = 0; i < t->setup.part_count; i++) {
        clock[i] = board_ticks_at(t->board[i], start).t;
        request.times.expire_ticks[i] = (uint32_t)(expire_s * t->board[i]->freq_hz);
        request.times.report_ticks[i] = (uint32_t)(expire_s * REPORT_PART * t->board[i]->freq_hz);
        request.times.clock[i] = clock[i] + request.times.expire_ticks[i];
    }
    if (!link_request(t->boards->link, &request))
        return ERR_FULL;
    t->is_armed = true;
    t->on_end = on_end;
    t->end_ctx = ctx;
    for (size_t i = 0; i < t->setup.part_count; i++) {
        enum err err = arm_board(t, i, clock[i], &request.times);
        if (err) {
            board_trigger_stop(t, NULL, NULL);
            return err;
        }
    }
    boards_wake(t->boards);
    return OK;
}

void board_trigger_set_end(struct board_trigger *t, struct print_time end)
{
    struct link_request request = {.kind = LINK_TRIGGER_END, .trigger = t->link};
    for (size_t i = 0; i < t->setup.part_count; i++)
        request.times.clock[i] = board_ticks_at(t->board[i], end).t;
    /* A full queue means that the link does not run; then the boards' own time-outs end the move. */
    (void)link_request(t->boards->link, &request);
}

void board_trigger_stop(struct board_trigger *t, board_trigger_fn *fn, void *ctx)
{
    t->on_end = NULL;
    t->on_stop = fn;
    t->stop_ctx = ctx;
    t->is_stopping = true;
    struct link_request request = {.kind = LINK_TRIGGER_STOP, .trigger = t->link};
    bool is_file = board_is_file(t->board[0]); /* has nothing to say: it can be armed again at once */
    if (!is_file && t->is_handed_over && link_request(t->boards->link, &request))
        return;
    t->is_armed = t->is_stopping = false;
    struct board_trigger_result result = {.result = is_file ? OK : ERR_STATE,
                                          .reason = is_file ? BOARD_TRIGGER_ENDSTOP : BOARD_TRIGGER_HOST};
    if (fn)
        fn(ctx, &result);
}

void board_trigger_note(struct board_port *port, const struct link_note *note)
{
    CHECK(note->token < port->boards->trigger_count);
    struct board_trigger *t = port->boards->triggers[note->token];
    struct board_trigger_result result = {
        .result = (enum err)note->result, .reason = note->reason, .board_index = note->board, .when = note->received};
    board_trigger_fn *fn = t->on_end;
    void *ctx = t->end_ctx;
    if (note->is_stop) {
        if (!t->is_stopping)
            return;
        t->is_armed = t->is_stopping = false;
        fn = t->on_stop;
        ctx = t->stop_ctx;
    } else {
        t->on_end = NULL;
    }
    if (fn)
        fn(ctx, &result);
}
