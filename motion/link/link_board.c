/* One board inside the link: what comes in, who hears of it, its state. */
#include "motion/link/link_impl.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "firmware/proto/vlq.h"

#include <math.h>
#include <string.h>

#define STATS_INTERVAL_S  0.25
#define READ_ROUNDS_MAX   16 /* per step and board, so that one board cannot starve the others */
#define IDENTIFY_RESPONSE 0

static void handle_reply(void *ctx, const uint8_t *payload, size_t len_bytes, struct host_ns sent,
                         struct host_ns received);
static void handle_stray(void *ctx, const uint8_t *payload, size_t len_bytes);

struct link_board *link_board_create(struct link *link, unsigned index)
{
    CHECK(index < LINK_BOARDS_MAX && index == atomic_load(&link->all_count));
    struct link_board *b = MEM_NEW(struct link_board);
    b->link = link;
    b->index = index;
    atomic_init(&b->panic_fd, -1);
    lane_init(&b->internal, NULL, LINK_INTERNAL_LANE_BYTES);
    sendq_init(&b->sendq);
    sendq_add_lane(&b->sendq, &b->internal);
    b->route_mask = LINK_ROUTES_MIN - 1;
    b->routes = MEM_ARRAY(struct link_route, LINK_ROUTES_MIN);
    session_init(&b->session, handle_reply, handle_stray, b);
    b->words = (struct link_words){
        .clock = -1, .uptime = -1, .shutdown = -1, .is_shutdown = -1, .starting = -1, .stats = -1, .trsync_state = -1};
    link->all_boards[index] = b;
    atomic_store(&link->all_count, index + 1);
    return b;
}

void link_board_destroy(struct link_board *b)
{
    link_board_close(b);
    lane_deinit(&b->internal);
    sendq_deinit(&b->sendq);
    mem_free(b->routes);
    mem_free(b);
}

uint64_t *link_board_fault_counter(struct link_board *b)
{
    return &b->faults_injected;
}

struct link_view link_board_view(const struct link_board *b)
{
    struct link_view view;
    published_read(&b->view, &view, sizeof(view));
    return view;
}

struct link_stats link_board_stats(const struct link_board *b)
{
    struct link_stats stats;
    published_read(&b->stats, &stats, sizeof(stats));
    return stats;
}

static void publish_view(struct link_board *b)
{
    struct link_view view;
    memset(&view, 0, sizeof(view));
    view.is_clock_known = b->clock.is_known;
    view.is_shutdown = b->fault == LINK_FAULT_SHUTDOWN;
    view.is_lost = b->fault == LINK_FAULT_LOST;
    view.last_clock = b->clock.last_clock;
    if (b->clock.is_known)
        view.line = clocksync_line(&b->clock);
    published_write(&b->view, &view, sizeof(view));
}

static uint64_t upcoming_bytes(const struct link_board *b)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < b->sendq.lane_count; i++)
        bytes += lane_pending_bytes(b->sendq.lanes[i]);
    return bytes > b->sendq.ready_bytes ? bytes - b->sendq.ready_bytes : 0;
}

static void publish_stats(struct link_board *b)
{
    const struct session *s = &b->session;
    struct link_stats stats = {.bytes_write = s->bytes_write,
                               .bytes_read = s->bytes_read,
                               .bytes_retransmit = s->bytes_retransmit,
                               .bytes_invalid = s->bytes_invalid,
                               .send_seq = s->send_seq,
                               .receive_seq = s->receive_seq,
                               .retransmit_seq = s->retransmit_seq,
                               .srtt_s = s->srtt_s,
                               .rttvar_s = s->rttvar_s,
                               .rto_s = s->rto_s,
                               .ready_bytes = b->sendq.ready_bytes,
                               .upcoming_bytes = upcoming_bytes(b),
                               .freq_hz = b->clock.freq_hz,
                               .mcu_awake = b->mcu_awake,
                               .mcu_task_avg = b->mcu_task_avg,
                               .mcu_task_stddev = b->mcu_task_stddev,
                               .blocks_late = b->blocks_late,
                               .lateness_max_s = b->lateness_max_s,
                               .faults_injected = b->faults_injected};
    published_write(&b->stats, &stats, sizeof(stats));
}

void link_board_open(struct link_board *b, struct transport *transport, struct host_ns now)
{
    link_board_close(b);
    session_init(&b->session, handle_reply, handle_stray, b);
    b->transport = transport;
    b->fault = LINK_FAULT_NONE;
    b->is_configured = false;
    b->is_draining = false;
    b->wants_stop = b->is_stopped = false;
    b->early_count = 0;
    b->clock_state = LINK_CLOCK_OFF;
    b->clock.is_known = false;
    b->tx_first = b->tx_bytes = 0;
    b->stats_at = now;
    b->now = now;
    transport->ops->attach(transport, &b->link->actor);
    atomic_store(&b->panic_fd, transport->ops->panic_fd ? transport->ops->panic_fd(transport) : -1);
}

void link_board_close(struct link_board *b)
{
    if (!b->transport)
        return;
    atomic_store(&b->panic_fd, -1);
    if (b->transport->is_file && b->fault != LINK_FAULT_LOST) {
        b->is_draining = true;
        link_send(b, b->now);
    }
    link_query_fail_all(b, ERR_CLOSED);
    sendq_discard(&b->sendq, false);
    b->transport->ops->attach(b->transport, NULL);
    transport_destroy(b->transport);
    b->transport = NULL;
    b->clock_state = LINK_CLOCK_OFF;
    b->is_configured = false;
}

static int response_number(const struct dict *dict, const char *text)
{
    const struct board_format *format = dict_response(dict, text);
    return format ? msgfmt_id_number(format) : LINK_NUMBERS_NONE;
}

/* Emergency stops in all 16 sequence numbers, one after the other: whichever the board expects next, it gets. */
static void prepare_panic(struct link_board *b)
{
    atomic_store(&b->panic_bytes, 0);
    const struct board_format *stop = b->words.emergency_stop;
    if (!stop)
        return;
    unsigned len = 0;
    b->panic[len++] = FRAME_SYNC;
    for (unsigned seq = 0; seq < 16; seq++) {
        uint8_t frame[FRAME_MAX_BYTES];
        size_t frame_bytes = frame_build(frame, seq, stop->id_bytes, stop->id_len_bytes);
        memcpy(b->panic + len, frame, frame_bytes);
        len += (unsigned)frame_bytes;
    }
    atomic_store(&b->panic_bytes, len);
}

void link_board_set_dict(struct link_board *b, const struct dict *dict)
{
    b->dict = dict;
    b->words = (struct link_words){
        .get_clock = dict_command(dict, "get_clock"),
        .get_uptime = dict_command(dict, "get_uptime"),
        .emergency_stop = dict_command(dict, "emergency_stop"),
        .trsync_set_timeout = dict_command(dict, "trsync_set_timeout oid=%c clock=%u"),
        .trsync_trigger = dict_command(dict, "trsync_trigger oid=%c reason=%c"),
        .clock = response_number(dict, "clock clock=%u"),
        .uptime = response_number(dict, "uptime high=%u clock=%u"),
        .shutdown = response_number(dict, "shutdown clock=%u static_string_id=%hu"),
        .is_shutdown = response_number(dict, "is_shutdown static_string_id=%hu"),
        .starting = response_number(dict, "starting"),
        .stats = response_number(dict, "stats count=%u sum=%u sumsq=%u"),
        .trsync_state = response_number(dict, "trsync_state oid=%c can_trigger=%c trigger_reason=%c clock=%u")};
    const struct dict_constant *freq = dict_constant(dict, "CLOCK_FREQ");
    const struct dict_constant *baud = dict_constant(dict, "SERIAL_BAUD");
    const struct dict_constant *can = dict_constant(dict, "CANBUS_FREQUENCY");
    const struct dict_constant *window = dict_constant(dict, "RECEIVE_WINDOW");
    b->nominal_hz = freq ? freq->number : 1.;
    struct session_wire wire = {.byte_s = baud && baud->number > 0. ? 10. / baud->number : 0.,
                                .can_freq_hz = can && can->number > 0. ? can->number : 0.};
    if (window && window->number >= 2 * FRAME_MAX_BYTES && window->number < 1e6)
        wire.receive_window = (uint32_t)window->number;
    session_set_wire(&b->session, &wire);
    prepare_panic(b);
}

/* ---- who hears of a response ---- */

static size_t route_home(const struct link_board *b, int32_t number, int32_t oid)
{
    uint32_t hash = ((uint32_t)number * 31u + (uint32_t)oid) * 2654435761u;
    return (hash >> 8) & b->route_mask;
}

static struct link_route *find_route(const struct link_board *b, int32_t number, int32_t oid)
{
    size_t i = route_home(b, number, oid);
    while (b->routes[i].port && (b->routes[i].number != number || b->routes[i].oid != oid))
        i = (i + 1) & b->route_mask;
    return &b->routes[i];
}

static void grow_routes(struct link_board *b)
{
    struct link_route *old = b->routes;
    size_t old_size = b->route_mask + 1;
    b->routes = MEM_ARRAY(struct link_route, old_size * 2);
    b->route_mask = old_size * 2 - 1;
    for (size_t i = 0; i < old_size; i++)
        if (old[i].port)
            *find_route(b, old[i].number, old[i].oid) = old[i];
    mem_free(old);
}

void link_board_add_route(struct link_board *b, const struct link_request *r)
{
    if ((b->route_count + 1) * 2 > b->route_mask)
        grow_routes(b);
    struct link_route *route = find_route(b, r->number, r->oid);
    b->route_count += !route->port;
    *route = (struct link_route){.number = r->number, .oid = r->oid, .port = r->port, .token = r->token};
}

static void deliver(struct link_board *b, const struct link_route *route, const uint8_t *payload, size_t len_bytes,
                    struct host_ns sent, struct host_ns received)
{
    if (!route->port)
        return;
    struct link_note note = {.kind = LINK_NOTE_REPLY,
                             .board = (uint8_t)b->index,
                             .token = route->token,
                             .len_bytes = (uint8_t)len_bytes,
                             .sent = sent,
                             .received = received};
    memcpy(note.payload, payload, len_bytes);
    link_post(b->link, route->port, &note);
}

/* ---- what the link itself understands ---- */

void link_board_fault(struct link_board *b, enum link_fault fault, uint32_t string_id, uint64_t clock,
                      struct host_ns since)
{
    if (b->fault == LINK_FAULT_LOST || (b->fault != LINK_FAULT_NONE && fault != LINK_FAULT_LOST))
        return;
    b->fault = fault;
    sendq_discard(&b->sendq, !link_board_is_gone(b));
    publish_view(b);
    struct link_note note = {.kind = LINK_NOTE_FAULT,
                             .board = (uint8_t)b->index,
                             .fault = (uint8_t)fault,
                             .string_id = string_id,
                             .clock = clock,
                             .received = since};
    for (size_t i = 0; i < LINK_PORTS_MAX; i++)
        if (b->link->ports[i])
            link_post(b->link, b->link->ports[i], &note);
    link_trigger_board_failed(b, fault == LINK_FAULT_SHUTDOWN ? ERR_SHUTDOWN : ERR_CLOSED, b->now);
    if (fault == LINK_FAULT_LOST)
        b->transport->ops->attach(b->transport, NULL); /* a descriptor at its end would wake us for ever */
    if (link_board_is_gone(b))
        link_query_fail_all(b, ERR_CLOSED);
}

bool link_board_is_gone(const struct link_board *b)
{
    return !b->transport || b->fault == LINK_FAULT_LOST || b->fault == LINK_FAULT_RESTARTED;
}

static void handle_stats(struct link_board *b, const uint32_t v[3])
{
    const struct dict_constant *base = dict_constant(b->dict, "STATS_SUMSQ_BASE");
    double count = v[0], sum = v[1], sumsq = v[2] * (base ? base->number : 256.);
    b->mcu_awake = sum / b->nominal_hz;
    if (count > 0.) {
        double spread = count * sumsq - sum * sum;
        b->mcu_task_avg = sum / (count * b->nominal_hz);
        b->mcu_task_stddev = sqrt(spread > 0. ? spread : 0.) / (count * b->nominal_hz);
    }
}

/* The first fields of a response as integers. False if it is shorter. */
static bool read_integers(const uint8_t *p, const uint8_t *end, uint32_t *v, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        p = vlq_decode(p, end, &v[i]);
        if (!p)
            return false;
    }
    return true;
}

static void handle_own(struct link_board *b, int number, const uint8_t *p, const uint8_t *end, struct host_ns sent,
                       struct host_ns received)
{
    const struct link_words *w = &b->words;
    uint32_t v[4];
    if (number == w->clock && read_integers(p, end, v, 1))
        link_clock_answer(b, v[0], sent, received);
    else if (number == w->uptime && read_integers(p, end, v, 2))
        link_clock_uptime(b, ((uint64_t)v[0] << 32) | v[1], sent, received);
    else if (number == w->trsync_state && read_integers(p, end, v, 4))
        link_trigger_report(b, (uint8_t)v[0], (uint8_t)v[1] != 0, (uint8_t)v[2], v[3], b->now);
    else if (number == w->shutdown && read_integers(p, end, v, 2))
        link_board_fault(b, LINK_FAULT_SHUTDOWN, v[1] & 0xffff, clocksync_extend(&b->clock, v[0]), received);
    else if (number == w->is_shutdown && read_integers(p, end, v, 1))
        link_board_fault(b, LINK_FAULT_SHUTDOWN, v[0] & 0xffff, 0, received);
    else if (number == w->stats && read_integers(p, end, v, 3))
        handle_stats(b, v);
    else if (number == w->starting && b->is_configured)
        link_board_fault(b, LINK_FAULT_RESTARTED, 0, 0, received);
}

static void handle_reply(void *ctx, const uint8_t *payload, size_t len_bytes, struct host_ns sent,
                         struct host_ns received)
{
    struct link_board *b = ctx;
    size_t id_bytes;
    int number = msgfmt_peek_id(payload, len_bytes, &id_bytes);
    if (number < 0 || (!b->dict && number != IDENTIFY_RESPONSE))
        return;
    uint32_t first = 0;
    int32_t oid = LINK_OID_ANY;
    if (read_integers(payload + id_bytes, payload + len_bytes, &first, 1))
        oid = (int32_t)first;
    if (b->dict)
        handle_own(b, number, payload + id_bytes, payload + len_bytes, sent, received);
    link_query_reply(b, number, oid, payload, len_bytes, sent, received);
    deliver(b, find_route(b, number, oid), payload, len_bytes, sent, received);
    if (oid != LINK_OID_ANY)
        deliver(b, find_route(b, number, LINK_OID_ANY), payload, len_bytes, sent, received);
}

/* The one message of a block outside of the sequence that matters: the board has started again. */
static void handle_stray(void *ctx, const uint8_t *payload, size_t len_bytes)
{
    struct link_board *b = ctx;
    size_t id_bytes;
    if (b->is_configured && msgfmt_peek_id(payload, len_bytes, &id_bytes) == b->words.starting && id_bytes == len_bytes)
        link_board_fault(b, LINK_FAULT_RESTARTED, 0, 0, b->now);
}

/* ---- commands of the link itself ---- */

bool link_board_push(struct link_board *b, const uint8_t *msg, size_t len_bytes, struct link_timing timing,
                     uint32_t tag)
{
    return lane_push(&b->internal, msg, len_bytes, timing.min_clock, timing.req_clock, 0, tag);
}

bool link_board_push_args(struct link_board *b, const struct board_format *format, const int64_t *args, size_t count)
{
    uint8_t msg[FRAME_PAYLOAD_MAX];
    if (!format)
        return false;
    size_t len = msgfmt_encode(format, args, count, NULL, 0, msg, sizeof(msg));
    return link_board_push(b, msg, len, (struct link_timing){0, 0}, 0);
}

void link_board_stop(struct link_board *b)
{
    if (link_board_is_gone(b))
        return;
    sendq_discard(&b->sendq, true);
    b->is_stopped = !b->transport->is_file;
    b->wants_stop = b->fault != LINK_FAULT_SHUTDOWN && !b->transport->is_file;
}

/* ---- the step ---- */

static void receive(struct link_board *b, struct host_ns now)
{
    uint8_t data[512];
    for (int round = 0; round < READ_ROUNDS_MAX; round++) {
        size_t n = b->transport->ops->read(b->transport, data, sizeof(data), now);
        if (n == TRANSPORT_CLOSED) {
            log_warn(b->link->log, "link", "the device is gone", "board=%u", b->index);
            link_board_fault(b, LINK_FAULT_LOST, 0, 0, now);
            return;
        }
        if (n == 0)
            return;
        session_receive(&b->session, data, n, now);
    }
    actor_notify(&b->link->actor);
}

static void finish_drain(struct link_board *b)
{
    bool is_stuck = link_board_is_gone(b);
    if (!is_stuck && (b->sendq.ready_bytes > 0 || sendq_next_ready_clock(&b->sendq) != UINT64_MAX || b->tx_bytes > 0 ||
                      !session_is_quiet(&b->session)))
        return;
    enum err result = is_stuck ? ERR_CLOSED : OK;
    if (!is_stuck && b->transport->ops->sync && !b->transport->ops->sync(b->transport))
        result = ERR_IO;
    b->is_draining = false;
    publish_stats(b);
    link_answer(b->link, b->drain_port, b->drain_token, result);
}

struct host_ns link_board_step(struct link_board *b, struct host_ns now)
{
    b->now = now;
    if (!b->transport) {
        sendq_discard(&b->sendq, false);
        return HOST_NS_NEVER;
    }
    if (b->fault != LINK_FAULT_LOST)
        receive(b, now);
    if (b->fault != LINK_FAULT_NONE || b->is_stopped)
        sendq_discard(&b->sendq, !link_board_is_gone(b));
    struct host_ns next = link_clock_step(b, now);
    next = host_ns_min(next, link_query_step(b, now));
    next = host_ns_min(next, link_send(b, now));
    if (b->is_draining)
        finish_drain(b);
    if (b->transport->ops->next)
        next = host_ns_min(next, b->transport->ops->next(b->transport));
    publish_view(b);
    if (!host_ns_before(now, b->stats_at)) {
        publish_stats(b);
        b->stats_at = host_ns_add_s(now, STATS_INTERVAL_S);
    }
    return next;
}
