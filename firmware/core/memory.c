/* Memory, objects and the move pool: one region, handed out from its start, frozen by finalize_config, which turns what
 * is left into moves of equal size. */
#include "firmware/core/internal.h"

#define ALIGN_BYTES 16

void *mcu_grab(struct mcu *m, size_t size_bytes)
{
    size_t size = (size_bytes + ALIGN_BYTES - 1) & ~(size_t)(ALIGN_BYTES - 1);
    if (size < size_bytes || size > m->setup.memory_bytes - m->memory_used)
        return NULL;
    uint8_t *p = (uint8_t *)m->setup.memory + m->memory_used;
    m->memory_used += size;
    for (size_t i = 0; i < size; i++)
        p[i] = 0;
    return p;
}

void *mcu_alloc(struct mcu *m, size_t size_bytes)
{
    void *p = m->is_finalized ? NULL : mcu_grab(m, size_bytes);
    if (!p)
        fault_raise(m, &core_faults[CORE_ALLOC_CHUNK]);
    return p;
}

void *mcu_state(struct mcu *m, const struct module *module)
{
    for (size_t i = 0; i < m->setup.module_count; i++) {
        if (m->setup.modules[i] == module)
            return m->state[i];
    }
    return NULL;
}

void *oid_create(struct mcu *m, uint32_t oid, const struct oid_type *type, size_t size_bytes)
{
    if (oid >= m->oid_count || m->oids[oid].type || m->is_finalized) {
        fault_raise(m, &core_faults[CORE_CANT_ASSIGN_OID]);
        return NULL;
    }
    void *object = mcu_alloc(m, size_bytes);
    if (object)
        m->oids[oid] = (struct oid_entry){type, object};
    return object;
}

void *oid_find(struct mcu *m, uint32_t oid, const struct oid_type *type)
{
    if (oid >= m->oid_count || m->oids[oid].type != type) {
        fault_raise(m, &core_faults[CORE_INVALID_OID_TYPE]);
        return NULL;
    }
    return m->oids[oid].object;
}

void *oid_next(struct mcu *m, unsigned *oid, const struct oid_type *type)
{
    for (; *oid < m->oid_count; ++*oid) {
        if (m->oids[*oid].type == type)
            return m->oids[*oid].object;
    }
    return NULL;
}

void move_request_size(struct mcu *m, size_t size_bytes)
{
    if (size_bytes > UINT8_MAX || m->is_finalized)
        fault_raise(m, &core_faults[CORE_INVALID_MOVE_SIZE]);
    else if (size_bytes > m->move_bytes)
        m->move_bytes = size_bytes;
}

void move_pool_create(struct mcu *m)
{
    if (m->move_bytes < sizeof(struct move))
        m->move_bytes = sizeof(struct move);
    m->move_bytes = (m->move_bytes + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
    size_t room = (m->setup.memory_bytes - m->memory_used) / m->move_bytes;
    m->move_count = (uint16_t)(room < m->setup.move_count_max ? room : m->setup.move_count_max);
    m->moves = m->move_count ? mcu_grab(m, m->move_count * m->move_bytes) : NULL;
    if (!m->moves)
        m->move_count = (uint16_t)0;
    if (!m->move_count)
        fault_raise(m, &core_faults[CORE_ALLOC_CHUNKS]);
    move_pool_reset(m);
}

void move_pool_reset(struct mcu *m)
{
    m->moves_free = NULL;
    for (unsigned i = m->move_count; i-- > 0;) {
        struct move *move = (struct move *)(void *)(m->moves + i * m->move_bytes);
        move->next = m->moves_free;
        m->moves_free = move;
    }
}

struct move *move_take(struct mcu *m)
{
    struct move *move = m->moves_free;
    if (!move) {
        fault_raise(m, &core_faults[CORE_MOVE_OVERFLOW]);
        return NULL;
    }
    m->moves_free = move->next;
    move->next = NULL;
    return move;
}

void move_give(struct mcu *m, struct move *move)
{
    move->next = m->moves_free;
    m->moves_free = move;
}

void move_queue_push(struct move_queue *q, struct move *move)
{
    move->next = NULL;
    if (q->first)
        q->last->next = move;
    else
        q->first = move;
    q->last = move;
}

struct move *move_queue_pop(struct move_queue *q)
{
    struct move *move = q->first;
    if (move)
        q->first = move->next;
    return move;
}

void move_queue_clear(struct mcu *m, struct move_queue *q)
{
    struct move *move;
    while ((move = move_queue_pop(q)))
        move_give(m, move);
}
