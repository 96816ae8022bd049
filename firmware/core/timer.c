/* The timer list: sorted by clock, compared modulo 2^32, so clocks may wrap but never lie more than 2^31 - 1 ticks
 * apart. A list is enough: a board has some ten to fifty timers, and the busy ones (step pulses) are re-inserted near
 * its head. Timers with equal clocks run in the order in which they were added. */
#include "firmware/core/internal.h"

static void timer_insert(struct mcu *m, struct timer *timer)
{
    struct timer **at = &m->timers;
    while (*at && !timer_is_before(timer->clock, (*at)->clock))
        at = &(*at)->next;
    timer->next = *at;
    *at = timer;
    if (at == &m->timers)
        port_timer_kick(m->setup.port);
}

void timer_add(struct mcu *m, struct timer *timer)
{
    bool is_first = !m->timers || timer_is_before(timer->clock, m->timers->clock);
    if (is_first && timer_is_before(timer->clock, port_clock(m->setup.port)))
        fault_raise_once(m, &core_faults[CORE_TIMER_CLOSE]);
    timer_insert(m, timer);
}

void timer_del(struct mcu *m, struct timer *timer)
{
    for (struct timer **at = &m->timers; *at; at = &(*at)->next) {
        if (*at != timer)
            continue;
        bool is_first = at == &m->timers;
        *at = timer->next;
        timer->next = NULL;
        if (is_first)
            port_timer_kick(m->setup.port);
        return;
    }
}

bool mcu_next_timer(const struct mcu *m, uint32_t *clock)
{
    if (!m->timers)
        return false;
    *clock = m->timers->clock;
    return true;
}

struct timer_outlook mcu_timer_outlook(const struct mcu *m)
{
    struct timer_outlook outlook = {0};
    for (const struct timer *t = m->timers; t; t = t->next) {
        outlook.is_any = outlook.is_any || t != &m->stats_timer;
        outlook.is_watching = outlook.is_watching || t->is_watching;
        if (t->is_report && !outlook.has_report) {
            outlook.has_report = true;
            outlook.report_clock = t->clock;
        }
    }
    return outlook;
}

void mcu_run_timer(struct mcu *m)
{
    struct timer *timer = m->timers;
    if (!timer)
        return;
    m->timers = timer->next;
    timer->next = NULL;
    uint32_t late = port_clock(m->setup.port) - timer->clock;
    if (!m->is_shut_down && (int32_t)late > (int32_t)port_late_limit(m->setup.port)) {
        fault_raise_once(m, &core_faults[CORE_RESCHEDULED]);
        fault_take(m);
        return;
    }
    enum timer_result result = timer->fn(m, timer);
    if (m->pending) {
        fault_take(m);
        return;
    }
    if (result == TIMER_AGAIN)
        timer_insert(m, timer);
}

/* Everything but the statistics stops; they go on while the board is shut down. */
void mcu_drop_timers(struct mcu *m)
{
    while (m->timers) {
        struct timer *t = m->timers;
        m->timers = t->next;
        t->next = NULL;
    }
    timer_insert(m, &m->stats_timer);
}
