/* Shutdown. The first reason is kept; every further fault that a command raises is executed again (objects go to their
 * safe state once more, another `shutdown` is sent), so a host that asks twice gets two answers. */
#include "firmware/core/internal.h"

void fault_raise(struct mcu *m, const struct fault *fault)
{
    if (!m->pending)
        m->pending = fault;
}

void fault_raise_once(struct mcu *m, const struct fault *fault)
{
    if (!m->is_shut_down)
        fault_raise(m, fault);
}

bool fault_take(struct mcu *m)
{
    if (!m->pending)
        return false;
    if (!m->is_shut_down)
        m->reason = m->pending;
    m->is_shut_down = true;
    uint32_t clock = port_clock(m->setup.port);
    mcu_drop_timers(m);
    for (size_t i = 0; i < m->setup.module_count; i++) {
        if (m->setup.modules[i]->shutdown)
            m->setup.modules[i]->shutdown(m);
    }
    move_pool_reset(m); /* after the hooks: a queue that gives its moves back then does no harm */
    m->pending = NULL;  /* a fault raised by a shutdown hook adds nothing */
    int id = mcu_fault_id(m->setup.modules, m->setup.module_count, m->reason);
    mcu_send(m, &core_responses[CORE_SHUTDOWN], clock, (uint32_t)id);
    return true;
}

void mcu_emergency_stop(struct mcu *m)
{
    fault_raise(m, &core_faults[CORE_COMMAND_REQUEST]);
    fault_take(m);
}
