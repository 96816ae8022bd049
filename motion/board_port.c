/* What comes back from the link: answers, responses, faults, triggers; delivered on the thread that owns the port. */
#include "board_impl.h"

#include "base/check.h"
#include "base/fiber.h"
#include "base/log.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

struct board_port *board_port_create(struct boards *boards, struct actor *owner)
{
    CHECK(boards->port_count < LINK_PORTS_MAX);
    const bool is_resident = boards_begin_resident(boards);
    struct board_port *port = MEM_NEW(struct board_port);
    port->boards = boards;
    link_port_init(&port->link, (unsigned)boards->port_count, owner);
    boards_end_resident(is_resident);
    boards->ports[boards->port_count++] = port;
    boards_request(boards, &(struct link_request){.kind = LINK_ADD_PORT, .port = &port->link});
    return port;
}

struct board_port *board_port_of(struct boards *boards, struct board_port *port)
{
    return port ? port : boards->ports[0];
}

/* ---- questions ---- */

/* A token is the place in the table and a generation, in 16 bits, never 0. */
static uint32_t token_of(const struct board_port *port, const struct board_ask *ask)
{
    return ((uint32_t)ask->generation << 8 | (uint32_t)(ask - port->asks)) + 1;
}

_Static_assert(BOARD_ASKS_MAX <= 255, "a place and a generation make a 16-bit token");

struct board_ask *board_ask_open(struct board_port *port, uint32_t *token)
{
    for (size_t i = 0; i < BOARD_ASKS_MAX; i++) {
        struct board_ask *ask = &port->asks[i];
        if (ask->is_open)
            continue;
        uint8_t generation = (uint8_t)((ask->generation + 1) & 0x7f);
        *ask = (struct board_ask){.is_open = true, .generation = generation};
        *token = token_of(port, ask);
        return ask;
    }
    return NULL;
}

void board_ask_close(struct board_ask *ask)
{
    ask->is_open = false;
}

static void fill_times(struct board_reply *reply, const struct link_note *note)
{
    reply->sent = note->sent;
    reply->received = note->received;
}

static void handle_answer(struct board_port *port, const struct link_note *note)
{
    size_t place = (note->token - 1) & 0xff;
    if (place >= BOARD_ASKS_MAX)
        return;
    struct board_ask *ask = &port->asks[place];
    if (!ask->is_open || ask->is_done || token_of(port, ask) != note->token)
        return;
    struct board_reply reply;
    enum err result = (enum err)note->result;
    if (result == OK && ask->response) {
        if (!board_decode(ask->response, note->payload, note->len_bytes, &reply))
            result = ERR_INVALID;
        fill_times(&reply, note);
    }
    if (ask->fiber) {
        if (result == OK && ask->reply)
            *ask->reply = reply;
        ask->result = result;
        ask->is_done = true;
        fiber_wake(ask->fiber);
        return;
    }
    board_answer_fn *fn = ask->fn;
    void *ctx = ask->ctx;
    bool has_reply = result == OK && ask->response;
    board_ask_close(ask);
    if (fn)
        fn(ctx, result, has_reply ? &reply : NULL);
}

/* ---- responses ---- */

void board_on_reply(struct board *board, struct board_port *port, const struct board_format *response, int oid,
                    board_reply_fn *fn, void *ctx)
{
    port = board_port_of(board->boards, port);
    struct board_handler *h = NULL;
    for (size_t i = 0; i < port->handler_count && !h; i++)
        if (port->handlers[i].board == board && port->handlers[i].format == response && port->handlers[i].oid == oid)
            h = &port->handlers[i];
    if (!h) {
        if (port->handler_count == port->handler_capacity) {
            port->handler_capacity = port->handler_capacity ? port->handler_capacity * 2 : 32;
            port->handlers = mem_realloc(port->handlers, port->handler_capacity * sizeof(*port->handlers));
        }
        h = &port->handlers[port->handler_count++];
    }
    *h = (struct board_handler){.board = board, .format = response, .oid = oid, .fn = fn, .ctx = ctx};
    boards_request(board->boards, &(struct link_request){.kind = LINK_ROUTE,
                                                         .board = board->link,
                                                         .number = msgfmt_id_number(response),
                                                         .oid = oid < 0 ? LINK_OID_ANY : oid,
                                                         .port = &port->link,
                                                         .token = (uint32_t)(h - port->handlers) + 1});
}

static void handle_reply(struct board_port *port, const struct link_note *note)
{
    if (note->token == 0 || note->token > port->handler_count)
        return;
    struct board_handler h = port->handlers[note->token - 1];
    struct board_reply reply;
    if (!h.fn || !board_decode(h.format, note->payload, note->len_bytes, &reply))
        return;
    fill_times(&reply, note);
    h.fn(h.ctx, &reply);
}

/* ---- events ---- */

void board_on_event(struct boards *boards, struct board_port *port, board_event_fn *fn, void *ctx)
{
    port = board_port_of(boards, port);
    CHECK(port->listener_count < BOARD_LISTENERS_MAX);
    port->listeners[port->listener_count].fn = fn;
    port->listeners[port->listener_count++].ctx = ctx;
}

static void describe_shutdown(const struct board *board, const struct link_note *note, struct board_event *event)
{
    char scratch[64];
    const char *reason = NULL;
    if (board->dict)
        reason =
            dict_enum_name(board->dict, dict_enum(board->dict, "static_string_id"), (int32_t)note->string_id, scratch);
    if (reason)
        snprintf(event->reason, sizeof(event->reason), "%s", reason);
    else
        snprintf(event->reason, sizeof(event->reason), "?%u", (unsigned)note->string_id);
    snprintf(event->text, sizeof(event->text), "MCU '%s' shutdown: %s", board->name, event->reason);
}

static void handle_fault(struct board_port *port, const struct link_note *note)
{
    struct board *board = port->boards->board[note->board];
    if (!atomic_load(&board->is_connected))
        return; /* board_connect tells */
    struct board_event event = {.board = board, .when = note->received, .clock = {note->clock}};
    switch ((enum link_fault)note->fault) {
    case LINK_FAULT_SHUTDOWN:
        event.kind = BOARD_EVENT_SHUTDOWN;
        describe_shutdown(board, note, &event);
        break;
    case LINK_FAULT_LOST:
        event.kind = BOARD_EVENT_LOST;
        snprintf(event.reason, sizeof(event.reason), "Lost communication");
        snprintf(event.text, sizeof(event.text), "Lost communication with MCU '%s'", board->name);
        break;
    case LINK_FAULT_RESTARTED:
        event.kind = BOARD_EVENT_RESTARTED;
        snprintf(event.reason, sizeof(event.reason), "spontaneous restart");
        snprintf(event.text, sizeof(event.text), "MCU '%s' spontaneous restart", board->name);
        break;
    case LINK_FAULT_NONE:
        return;
    }
    if (port == port->boards->ports[0])
        log_error(port->boards->log, "board", "fault", "board=%s text=\"%s\" clock=%llu", board->name, event.text,
                  (unsigned long long)note->clock);
    for (size_t i = 0; i < port->listener_count; i++)
        port->listeners[i].fn(port->listeners[i].ctx, &event);
}

void board_port_poll(struct board_port *port, struct host_ns now)
{
    (void)now;
    struct link_note note;
    while (spsc_pop(&port->link.notes, &note)) {
        switch ((enum link_note_kind)note.kind) {
        case LINK_NOTE_REPLY:
            handle_reply(port, &note);
            break;
        case LINK_NOTE_ANSWER:
            handle_answer(port, &note);
            break;
        case LINK_NOTE_FAULT:
            handle_fault(port, &note);
            break;
        case LINK_NOTE_TRIGGER:
            board_trigger_note(port, &note);
            break;
        }
    }
}

void boards_poll(struct boards *boards, struct host_ns now)
{
    boards_retry_requests(boards);
    board_port_poll(boards->ports[0], now);
}
