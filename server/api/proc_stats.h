/* What the process and the computer are doing, sampled once a second: machine.proc_stats and its notification. */
#ifndef API_PROC_STATS_H
#define API_PROC_STATS_H

#include "base/strbuf.h"

struct proc_stats;

struct proc_stats *proc_stats_create(void);
void proc_stats_destroy(struct proc_stats *stats);
/* Read /proc and /sys; `now_s` since 1970. One thread at a time; takes about 0.1 ms. */
void proc_stats_sample(struct proc_stats *stats, double now_s, unsigned connection_count);
/* Append the params of notify_proc_stat_update: [{...}]. Any thread. */
void proc_stats_add_update(struct proc_stats *stats, struct strbuf *out);
/* Append the result of machine.proc_stats. Any thread. */
void proc_stats_add_all(struct proc_stats *stats, struct strbuf *out);

#endif
