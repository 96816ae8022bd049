#include "motion/link/link_impl.h"

#include "base/check.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#include <string.h>
#include <unistd.h>

/* A block leaves at the latest this long before its first deadline: with real-time rights, and without. */
#define LEAD_RT_S      0.100
#define LEAD_S         0.250
#define LINK_REQUESTS  512
#define LINK_NOTES     512
#define NOTES_RESERVED 192 /* kept for answers and faults: replies are dropped before these */

void link_port_init(struct link_port *port, unsigned index, struct actor *owner)
{
    CHECK(index < LINK_PORTS_MAX);
    spsc_init(&port->notes, sizeof(struct link_note), LINK_NOTES);
    port->owner = owner;
    port->index = (uint8_t)index;
    atomic_init(&port->dropped, 0);
}

void link_port_deinit(struct link_port *port)
{
    spsc_deinit(&port->notes);
}

void link_post(struct link *link, struct link_port *port, const struct link_note *note)
{
    bool is_reply = note->kind == LINK_NOTE_REPLY;
    bool has_room = !is_reply || spsc_count(&port->notes) + NOTES_RESERVED < spsc_capacity(&port->notes);
    if (!has_room || !spsc_push(&port->notes, note)) {
        atomic_fetch_add(&port->dropped, 1);
        if (!is_reply)
            log_error(link->log, "link", "a thread does not fetch its answers", "port=%u", (unsigned)port->index);
    }
    if (port->owner)
        actor_notify(port->owner);
}

void link_answer(struct link *link, struct link_port *port, uint32_t token, enum err result)
{
    struct link_note note = {.kind = LINK_NOTE_ANSWER, .result = (uint8_t)result, .token = token};
    if (port && token != LINK_TOKEN_NONE)
        link_post(link, port, &note);
}

static void run_request(struct link *link, const struct link_request *r, struct host_ns now)
{
    struct link_board *b = r->board;
    switch ((enum link_request_kind)r->kind) {
    case LINK_ADD_PORT:
        link->ports[r->port->index] = r->port;
        break;
    case LINK_ADD_BOARD:
        link->boards[b->index] = b;
        break;
    case LINK_ADD_LANE:
        sendq_add_lane(&b->sendq, r->lane);
        break;
    case LINK_ADD_TRIGGER:
        CHECK(link->trigger_count < LINK_TRIGGERS_MAX);
        link->triggers[link->trigger_count++] = r->trigger;
        break;
    case LINK_OPEN:
        link_board_open(b, r->transport, now);
        break;
    case LINK_CLOSE:
        link_board_close(b);
        link_answer(link, r->port, r->token, OK);
        break;
    case LINK_SET_DICT:
        link_board_set_dict(b, r->dict);
        break;
    case LINK_SET_SLOTS:
        sendq_set_slots(&b->sendq, r->number > 0 ? (size_t)r->number : 0);
        b->is_configured = true;
        break;
    case LINK_START_CLOCK:
        link_clock_start(b, r, now);
        break;
    case LINK_ROUTE:
        link_board_add_route(b, r);
        break;
    case LINK_QUERY:
        link_query_open(b, r, now);
        break;
    case LINK_CANCEL:
        link_query_cancel(b, r);
        break;
    case LINK_CLEAR_FAULT:
        if (b->fault == LINK_FAULT_SHUTDOWN)
            b->fault = LINK_FAULT_NONE;
        b->is_stopped = false;
        link_answer(link, r->port, r->token, OK);
        break;
    case LINK_DRAIN:
        if (!b->transport) {
            link_answer(link, r->port, r->token, ERR_CLOSED);
            break;
        }
        b->is_draining = true;
        b->drain_port = r->port;
        b->drain_token = r->token;
        break;
    case LINK_TRIGGER_ARM:
    case LINK_TRIGGER_END:
    case LINK_TRIGGER_STOP:
        link_trigger_request(link, r, now);
        break;
    }
}

static void run_requests(struct link *link, struct host_ns now)
{
    struct link_request request;
    while (mpsc_pop(&link->requests, &request))
        run_request(link, &request, now);
    for (size_t i = 0; i < LINK_BOARDS_MAX; i++)
        if (link->boards[i])
            link_query_forget_early(link->boards[i]);
}

static void run_emergency(struct link *link)
{
    unsigned count = atomic_load(&link->stop_count);
    if (count == link->stop_seen)
        return;
    link->stop_seen = count;
    for (size_t i = 0; i < LINK_BOARDS_MAX; i++)
        if (link->boards[i])
            link_board_stop(link->boards[i]);
}

static bool all_configured(const struct link *link)
{
    for (size_t i = 0; i < LINK_BOARDS_MAX; i++)
        if (link->boards[i] && !link->boards[i]->is_configured)
            return false;
    return true;
}

/* Time budget: 200 us with nothing to do but one block each way per board. */
static struct host_ns link_step(struct actor *self, struct host_ns now)
{
    struct link *link = CONTAINER_OF(self, struct link, actor);
    if (link->lead_s == 0.0) /* virtual time is never late */
        link->lead_s = link_is_prompt(link) ? LEAD_RT_S : LEAD_S;
    run_emergency(link);
    run_requests(link, now);
    struct host_ns next = HOST_NS_NEVER;
    bool is_guarded = all_configured(link); /* from then on nothing is allocated here */
    if (is_guarded)
        mem_guard_begin();
    for (size_t i = 0; i < LINK_BOARDS_MAX; i++)
        if (link->boards[i])
            next = host_ns_min(next, link_board_step(link->boards[i], now));
    next = host_ns_min(next, link_trigger_step(link, now));
    if (is_guarded)
        mem_guard_end();
    return next;
}

struct link *link_create(struct runtime *runtime, struct log *log)
{
    struct link *link = MEM_NEW(struct link);
    link->actor = (struct actor){.name = "link", .step = link_step};
    link->runtime = runtime;
    link->log = log;
    mpsc_init(&link->requests, sizeof(struct link_request), LINK_REQUESTS);
    return link;
}

void link_destroy(struct link *link)
{
    if (!link)
        return;
    run_requests(link, runtime_now(link->runtime)); /* take over what was still on its way */
    for (size_t i = 0; i < atomic_load(&link->all_count); i++)
        link_board_destroy(link->all_boards[i]);
    for (size_t i = 0; i < link->trigger_count; i++)
        link_trigger_destroy(link->triggers[i]);
    mpsc_deinit(&link->requests);
    mem_free(link);
}

bool link_is_prompt(const struct link *link)
{
    return runtime_is_virtual(link->runtime) || runtime_has_realtime(link->runtime, &link->actor);
}

void link_get_lateness(const struct link *link, struct link_lateness *out)
{
    memset(out, 0, sizeof *out);
    histogram_read(&link->lead, &out->lead);
    histogram_read(&link->late, &out->late);
    out->has_thread = runtime_actor_stats(link->runtime, &link->actor, &out->thread);
}

struct actor *link_actor(struct link *link)
{
    return &link->actor;
}

bool link_request(struct link *link, const struct link_request *request)
{
    if (!mpsc_push(&link->requests, request))
        return false;
    actor_notify(&link->actor);
    return true;
}

void link_wake(struct link *link)
{
    actor_notify(&link->actor);
}

void link_emergency_stop(struct link *link)
{
    atomic_fetch_add(&link->stop_count, 1);
    actor_notify(&link->actor);
}

void link_panic(struct link *link)
{
    size_t count = atomic_load(&link->all_count);
    for (size_t i = 0; i < count; i++) {
        struct link_board *b = link->all_boards[i];
        int fd = atomic_load(&b->panic_fd);
        unsigned len = atomic_load(&b->panic_bytes);
        if (fd >= 0 && len > 0 && write(fd, b->panic, len) < 0)
            continue; /* nobody left to tell */
    }
}
