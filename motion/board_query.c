/* Sending and asking. */
#include "board_impl.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"

#include <string.h>

/* A lane that refuses empties at the speed of the wire; a fiber looks again this often. */
#define FULL_RETRY_S 0.002

static enum err push_general(struct board *board, const struct board_msg *msg, struct board_timing timing, uint32_t tag)
{
    struct lane *lane = &board->general->lane;
    if (lane_push(lane, msg->data, msg->len_bytes, timing.min_clock, timing.req_clock, timing.slot_until, tag)) {
        boards_wake(board->boards);
        return OK;
    }
    if (board_is_file(board) && runtime_is_virtual(board->boards->runtime)) {
        boards_run_link(board->boards);
        if (lane_push(lane, msg->data, msg->len_bytes, timing.min_clock, timing.req_clock, timing.slot_until, tag))
            return OK;
    }
    return ERR_FULL;
}

enum err board_send_patiently(struct board *board, const struct board_msg *msg)
{
    enum err err;
    while ((err = push_general(board, msg, (struct board_timing){0}, 0)) == ERR_FULL) {
        err = fiber_sleep(FULL_RETRY_S);
        if (err)
            break;
    }
    return err;
}

enum err board_send_data(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                         const void *data, size_t data_bytes, struct board_timing timing)
{
    struct board_msg msg;
    enum err err = board_encode(format, args, arg_count, data, data_bytes, &msg);
    return err ? err : push_general(board, &msg, timing, 0);
}

enum err board_send(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                    struct board_timing timing)
{
    return board_send_data(board, format, args, arg_count, NULL, 0, timing);
}

static enum err wait_done(struct board *board, struct board_ask *ask, uint32_t token, struct host_ns deadline)
{
    enum err err = OK;
    while (!ask->is_done && !err)
        err = fiber_park(deadline);
    if (ask->is_done) {
        err = ask->result;
    } else {
        struct link_request cancel = {
            .kind = LINK_CANCEL, .board = board->link, .port = &board->boards->ports[0]->link, .token = token};
        boards_request(board->boards, &cancel);
    }
    board_ask_close(ask);
    return err;
}

enum err board_request_wait(struct board *board, struct link_request *request, struct host_ns deadline)
{
    struct board_port *port = board->boards->ports[0];
    CHECK(fiber_current());
    struct board_ask *ask = board_ask_open(port, &request->token);
    if (!ask)
        return ERR_FULL;
    ask->fiber = fiber_current();
    request->port = &port->link;
    request->board = board->link;
    boards_request(board->boards, request);
    return wait_done(board, ask, request->token, deadline);
}

static struct link_request query_request(const struct board *board, struct board_port *port, uint32_t token,
                                         const struct board_msg *msg, struct board_timing timing,
                                         enum link_query_mode mode, const struct board_format *response, int oid)
{
    struct link_request request = {.kind = LINK_QUERY,
                                   .mode = (uint8_t)mode,
                                   .board = board->link,
                                   .port = &port->link,
                                   .token = token,
                                   .number = response ? msgfmt_id_number(response) : -1,
                                   .oid = oid < 0 ? LINK_OID_ANY : oid,
                                   .len_bytes = msg->len_bytes,
                                   .timing = {timing.min_clock, timing.req_clock}};
    memcpy(request.msg, msg->data, msg->len_bytes);
    return request;
}

enum err board_ask_and_wait(struct board *board, const struct board_msg *msg, struct board_timing timing,
                            enum link_query_mode mode, const struct board_format *response, int oid,
                            struct board_reply *reply, struct host_ns deadline)
{
    struct board_port *port = board->boards->ports[0];
    CHECK(fiber_current());
    uint32_t token;
    struct board_ask *ask = board_ask_open(port, &token);
    if (!ask)
        return ERR_FULL;
    ask->fiber = fiber_current();
    ask->response = response;
    ask->reply = reply;
    struct link_request request = query_request(board, port, token, msg, timing, mode, response, oid);
    request.is_in_lane = true;
    boards_request(board->boards, &request);
    enum err err;
    while ((err = push_general(board, msg, timing, link_tag(&port->link, token))) == ERR_FULL && !ask->is_done) {
        err = fiber_sleep(FULL_RETRY_S);
        if (err)
            break;
    }
    if (err && !ask->is_done) {
        ask->is_done = true;
        ask->result = err;
        request.kind = LINK_CANCEL;
        boards_request(board->boards, &request);
    }
    return wait_done(board, ask, token, deadline);
}

static enum err describe(const struct board *board, const struct board_format *response, bool is_slow, enum err err,
                         struct err_info *info)
{
    switch (err) {
    case OK:
        return OK;
    case ERR_TIMEOUT:
        return err_set(info, err, is_slow ? "Timeout on wait for '%s' response" : "Unable to obtain '%s' response",
                       response ? response->name : "ack");
    case ERR_SHUTDOWN:
        return err_set(info, err, "MCU '%s' is shut down", board->name);
    case ERR_CLOSED:
        return err_set(info, err, "Lost communication with MCU '%s'", board->name);
    default:
        return err_set(info, err, "MCU '%s': %s", board->name, err_name(err));
    }
}

/* Encode, send, wait for the answer; failures get their words. */
static enum err ask_in_words(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                             const void *data, size_t data_bytes, struct board_timing timing, enum link_query_mode mode,
                             const struct board_format *response, int oid, struct board_reply *reply,
                             struct err_info *info)
{
    struct board_msg msg;
    enum err err = board_encode(format, args, arg_count, data, data_bytes, &msg);
    if (!err)
        err = board_ask_and_wait(board, &msg, timing, mode, response, oid, reply, HOST_NS_NEVER);
    return describe(board, response, mode == LINK_QUERY_SLOW, err, info);
}

enum err board_send_wait(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                         const void *data, size_t data_bytes, struct board_timing timing, struct err_info *info)
{
    return ask_in_words(board, format, args, arg_count, data, data_bytes, timing, LINK_QUERY_ACK, NULL, -1, NULL, info);
}

enum err board_query(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                     const void *data, size_t data_bytes, struct board_timing timing,
                     const struct board_format *response, int oid, struct board_reply *reply, struct err_info *info)
{
    return ask_in_words(board, format, args, arg_count, data, data_bytes, timing, LINK_QUERY_NORMAL, response, oid, reply,
                        info);
}

enum err board_query_slow(struct board *board, const struct board_format *format, const int64_t *args, size_t arg_count,
                          const void *data, size_t data_bytes, struct board_timing timing,
                          const struct board_format *response, int oid, struct board_reply *reply,
                          struct err_info *info)
{
    return ask_in_words(board, format, args, arg_count, data, data_bytes, timing, LINK_QUERY_SLOW, response, oid, reply, info);
}

enum err board_ask(struct board *board, struct board_port *port, const struct board_msg *msg,
                   struct board_timing timing, const struct board_format *response, int oid, board_answer_fn *fn,
                   void *ctx)
{
    port = board_port_of(board->boards, port);
    uint32_t token;
    struct board_ask *ask = board_ask_open(port, &token);
    if (!ask)
        return ERR_FULL;
    ask->response = response;
    ask->fn = fn;
    ask->ctx = ctx;
    enum link_query_mode mode = response ? LINK_QUERY_NORMAL : LINK_QUERY_ACK;
    struct link_request request = query_request(board, port, token, msg, timing, mode, response, oid);
    if (link_request(board->boards->link, &request))
        return OK;
    board_ask_close(ask);
    return ERR_FULL;
}

enum err boards_drain(struct boards *boards, double timeout_s)
{
    struct host_ns deadline = timeout_s > 0. ? host_ns_add_s(runtime_now(boards->runtime), timeout_s) : HOST_NS_NEVER;
    enum err first = OK;
    for (size_t i = 0; i < boards->count; i++) {
        if (!boards->board[i]->is_connected)
            continue;
        struct link_request request = {.kind = LINK_DRAIN};
        enum err err = board_request_wait(boards->board[i], &request, deadline);
        first = first ? first : err;
    }
    return first;
}
