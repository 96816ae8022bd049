/* Questions to boards. A board forgets an answer that does not fit its output, so a question is asked again when it has
 * been acknowledged and no answer has come. */
#include "motion/link/link_impl.h"

#include "base/check.h"

#include <string.h>

#define RETRIES        5
#define FIRST_RETRY_S  0.010 /* doubled each time */
#define SLOW_RETRY_S   0.5
#define SLOW_GIVE_UP_S 5.0

static void finish(struct link_board *b, struct link_query *q, enum err result, const uint8_t *payload,
                   size_t len_bytes, struct host_ns sent, struct host_ns received)
{
    struct link_note note = {.kind = LINK_NOTE_ANSWER,
                             .board = (uint8_t)b->index,
                             .result = (uint8_t)result,
                             .token = q->token,
                             .len_bytes = (uint8_t)len_bytes,
                             .sent = sent,
                             .received = received};
    if (len_bytes)
        memcpy(note.payload, payload, len_bytes);
    q->is_open = false;
    b->query_count--;
    link_post(b->link, q->port, &note);
}

static void finish_empty(struct link_board *b, struct link_query *q, enum err result)
{
    finish(b, q, result, NULL, 0, (struct host_ns){0}, b->now);
}

static bool push(struct link_board *b, struct link_query *q)
{
    q->is_sent = link_board_push(b, q->msg, q->len_bytes, q->timing, q->tag);
    q->is_acked = false;
    q->block_seq = 0;
    return q->is_sent;
}

static struct link_query *find_free(struct link_board *b)
{
    for (size_t i = 0; i < LINK_QUERIES_MAX; i++)
        if (!b->queries[i].is_open)
            return &b->queries[i];
    return NULL;
}

static void mark_sent(struct link_board *b, struct link_query *q, uint64_t block_seq)
{
    q->block_seq = block_seq;
    if (!q->has_left)
        q->first_seq = block_seq;
    q->has_left = true;
    if (b->transport && b->transport->is_file)
        finish_empty(b, q, OK);
}

void link_query_open(struct link_board *b, const struct link_request *r, struct host_ns now)
{
    struct link_query *q = find_free(b);
    if (!q || link_board_is_gone(b)) {
        link_answer(b->link, r->port, r->token, q ? ERR_CLOSED : ERR_FULL);
        return;
    }
    *q = (struct link_query){.is_open = true,
                             .mode = r->mode,
                             .len_bytes = r->len_bytes,
                             .port = r->port,
                             .tag = link_tag(r->port, r->token),
                             .token = r->token,
                             .number = r->number,
                             .oid = r->oid,
                             .timing = r->timing,
                             .retry_at = HOST_NS_NEVER,
                             .give_up_at = HOST_NS_NEVER};
    memcpy(q->msg, r->msg, r->len_bytes);
    b->query_count++;
    if (q->mode == LINK_QUERY_SLOW)
        q->give_up_at = host_ns_add_s(now, SLOW_GIVE_UP_S);
    q->is_sent = r->is_in_lane;
    if (!r->is_in_lane)
        push(b, q);
    for (unsigned i = 0; i < b->early_count; i++)
        if (b->early[i].tag == q->tag)
            mark_sent(b, q, b->early[i].block_seq);
}

void link_query_forget_early(struct link_board *b)
{
    b->early_count = 0;
}

void link_query_cancel(struct link_board *b, const struct link_request *r)
{
    for (size_t i = 0; i < LINK_QUERIES_MAX; i++) {
        struct link_query *q = &b->queries[i];
        if (q->is_open && q->tag == link_tag(r->port, r->token)) {
            q->is_open = false;
            b->query_count--;
        }
    }
}

static struct link_query *find_tag(struct link_board *b, uint32_t tag)
{
    for (size_t i = 0; i < LINK_QUERIES_MAX; i++)
        if (b->queries[i].is_open && b->queries[i].tag == tag)
            return &b->queries[i];
    return NULL;
}

void link_query_sent(struct link_board *b, uint32_t tag, uint64_t block_seq)
{
    struct link_query *q = find_tag(b, tag);
    if (q) {
        mark_sent(b, q, block_seq);
        return;
    }
    /* It overtook the request that announces it, which is in the queue by now; or it was cancelled. */
    if (b->early_count == SENDQ_TAGS_MAX)
        b->early_count = 0; /* more than a block's: those of before were cancelled */
    b->early[b->early_count].tag = tag;
    b->early[b->early_count++].block_seq = block_seq;
}

bool link_query_reply(struct link_board *b, int number, int32_t oid, const uint8_t *payload, size_t len_bytes,
                      struct host_ns sent, struct host_ns received)
{
    bool is_taken = false;
    for (size_t i = 0; i < LINK_QUERIES_MAX && b->query_count > 0; i++) {
        struct link_query *q = &b->queries[i];
        if (!q->is_open || q->number != number || (q->oid != LINK_OID_ANY && q->oid != oid))
            continue;
        /* An answer that the board gave before it had our question is to somebody else's, or comes twice. */
        if (!q->has_left || b->session.reply_seq <= q->first_seq)
            continue;
        finish(b, q, OK, payload, len_bytes, sent, received);
        is_taken = true;
    }
    return is_taken;
}

/* The board has carried the command out and its answer did not come. */
static void handle_acked(struct link_board *b, struct link_query *q, struct host_ns now)
{
    q->is_acked = true;
    if (q->mode == LINK_QUERY_ACK) {
        finish_empty(b, q, OK);
        return;
    }
    double delay_s = q->mode == LINK_QUERY_SLOW ? SLOW_RETRY_S : FIRST_RETRY_S * (double)(1u << q->tries);
    q->retry_at = host_ns_add_s(now, delay_s);
}

static void handle_retry(struct link_board *b, struct link_query *q)
{
    q->retry_at = HOST_NS_NEVER;
    if (b->fault == LINK_FAULT_SHUTDOWN && q->tries > 0)
        finish_empty(b, q, ERR_SHUTDOWN);
    else if (q->mode == LINK_QUERY_NORMAL && q->tries >= RETRIES)
        finish_empty(b, q, ERR_TIMEOUT);
    else
        push(b, q);
    q->tries++;
}

struct host_ns link_query_step(struct link_board *b, struct host_ns now)
{
    struct host_ns next = HOST_NS_NEVER;
    if (b->query_count == 0)
        return next;
    uint64_t done_seq = session_done_seq(&b->session);
    for (size_t i = 0; i < LINK_QUERIES_MAX; i++) {
        struct link_query *q = &b->queries[i];
        if (!q->is_open)
            continue;
        if (!q->is_sent && !push(b, q))
            next = host_ns_min(next, host_ns_add_s(now, .001));
        if (!q->is_acked && q->block_seq && q->block_seq < done_seq)
            handle_acked(b, q, now);
        if (q->is_open && !host_ns_before(now, q->give_up_at))
            finish_empty(b, q, b->fault == LINK_FAULT_SHUTDOWN ? ERR_SHUTDOWN : ERR_TIMEOUT);
        if (q->is_open && !host_ns_before(now, q->retry_at))
            handle_retry(b, q);
        if (q->is_open)
            next = host_ns_min(next, host_ns_min(q->retry_at, q->give_up_at));
    }
    return next;
}

void link_query_fail_all(struct link_board *b, enum err result)
{
    for (size_t i = 0; i < LINK_QUERIES_MAX; i++)
        if (b->queries[i].is_open)
            finish_empty(b, &b->queries[i], result);
}
