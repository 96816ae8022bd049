#include "server/api/proc_stats.h"

#include "base/mem.h"

#include <ctype.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SAMPLES_KEPT 30
#define CPU_COUNT_MAX 64
#define LINK_COUNT_MAX 16

struct sample {
    double time_s, cpu_percent;
    long memory_kb;
};

struct cpu {
    uint64_t busy, total; /* ticks since boot */
    double percent;
};

struct link {
    char name[32];
    uint64_t rx_bytes, rx_packets, rx_errs, rx_drop, tx_bytes, tx_packets, tx_errs, tx_drop;
    double bandwidth; /* bytes/s, both ways */
};

struct proc_stats {
    pthread_mutex_t lock; /* guards all below */
    struct sample samples[SAMPLES_KEPT];
    size_t sample_count;
    double last_s, process_cpu_s;
    struct cpu cpus[CPU_COUNT_MAX + 1]; /* [0] all together */
    size_t cpu_count;                   /* with [0] */
    struct link links[LINK_COUNT_MAX];
    size_t link_count;
    long memory_total_kb, memory_available_kb;
    double cpu_temp_c; /* NaN: unknown */
    double uptime_s;
    unsigned connection_count;
};

struct proc_stats *proc_stats_create(void)
{
    struct proc_stats *stats = MEM_NEW(struct proc_stats);
    pthread_mutex_init(&stats->lock, NULL);
    stats->cpu_temp_c = (double)NAN;
    return stats;
}

void proc_stats_destroy(struct proc_stats *stats)
{
    if (!stats)
        return;
    pthread_mutex_destroy(&stats->lock);
    mem_free(stats);
}

/* Read a small file of the kernel whole; "" if there is none. */
static const char *read_text(const char *path, char *out, size_t out_bytes)
{
    size_t used = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t got;
        while (used + 1 < out_bytes && (got = read(fd, out + used, out_bytes - 1 - used)) > 0)
            used += (size_t)got;
        close(fd);
    }
    out[used] = 0;
    return out;
}

static void read_cpus(struct proc_stats *stats)
{
    char text[16384];
    const char *line = read_text("/proc/stat", text, sizeof text);
    size_t index = 0;
    while (strncmp(line, "cpu", 3) == 0 && index <= CPU_COUNT_MAX) {
        uint64_t ticks[8] = {0}, total = 0;
        const char *at = line + 3;
        while (*at && *at != ' ')
            at++;
        for (size_t i = 0; i < 8; i++)
            total += ticks[i] = strtoull(at, (char **)&at, 10);
        uint64_t busy = total - ticks[3] - ticks[4]; /* idle, iowait */
        struct cpu *cpu = &stats->cpus[index++];
        double passed = (double)(total - cpu->total);
        cpu->percent = cpu->total && passed > 0 ? 100 * (double)(busy - cpu->busy) / passed : 0;
        cpu->busy = busy;
        cpu->total = total;
        line = strchr(line, '\n');
        if (!line)
            break;
        line++;
    }
    stats->cpu_count = index;
}

static uint64_t old_bytes(const struct proc_stats *stats, const char *name, bool *found)
{
    for (size_t i = 0; i < stats->link_count; i++)
        if (strcmp(stats->links[i].name, name) == 0) {
            *found = true;
            return stats->links[i].rx_bytes + stats->links[i].tx_bytes;
        }
    *found = false;
    return 0;
}

static void read_links(struct proc_stats *stats, double passed_s)
{
    char text[16384];
    char *line = (char *)read_text("/proc/net/dev", text, sizeof text);
    struct link links[LINK_COUNT_MAX];
    size_t count = 0;
    for (char *next; line && *line && count < LINK_COUNT_MAX; line = next) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = 0;
        while (*line == ' ')
            line++;
        uint64_t v[16] = {0};
        char *at = colon + 1;
        for (size_t i = 0; i < 16; i++)
            v[i] = strtoull(at, &at, 10);
        struct link *link = &links[count++];
        *link = (struct link){.rx_bytes = v[0], .rx_packets = v[1], .rx_errs = v[2],  .rx_drop = v[3],
                              .tx_bytes = v[8], .tx_packets = v[9], .tx_errs = v[10], .tx_drop = v[11]};
        snprintf(link->name, sizeof link->name, "%.31s", line);
        bool found;
        uint64_t before = old_bytes(stats, link->name, &found);
        if (found && passed_s > 0)
            link->bandwidth = round((double)(v[0] + v[8] - before) / passed_s * 100) / 100;
    }
    memcpy(stats->links, links, sizeof links);
    stats->link_count = count;
}

static long field_kb(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtol(at + strlen(key), NULL, 10) : 0;
}

static void read_memory(struct proc_stats *stats)
{
    char text[4096];
    read_text("/proc/meminfo", text, sizeof text);
    stats->memory_total_kb = field_kb(text, "MemTotal:");
    stats->memory_available_kb = field_kb(text, "MemAvailable:");
}

static void read_process(struct proc_stats *stats, double now_s, double passed_s)
{
    char text[4096];
    read_text("/proc/self/stat", text, sizeof text);
    const char *at = strrchr(text, ')'); /* the name may hold anything */
    double cpu_s = stats->process_cpu_s;
    if (at) {
        char state;
        unsigned long user = 0, kernel = 0;
        if (sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &state, &user, &kernel) == 3)
            cpu_s = (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
    }
    read_text("/proc/self/status", text, sizeof text);
    double percent = passed_s > 0 ? 100 * (cpu_s - stats->process_cpu_s) / passed_s : 0;
    struct sample sample = {now_s, round(percent * 100) / 100, field_kb(text, "VmRSS:")};
    stats->process_cpu_s = cpu_s;
    if (stats->sample_count == SAMPLES_KEPT)
        memmove(stats->samples, stats->samples + 1, sizeof sample * --stats->sample_count);
    stats->samples[stats->sample_count++] = sample;
}

void proc_stats_sample(struct proc_stats *stats, double now_s, unsigned connection_count)
{
    char text[64];
    pthread_mutex_lock(&stats->lock);
    double passed_s = stats->last_s > 0 ? now_s - stats->last_s : 0;
    stats->last_s = now_s;
    read_cpus(stats);
    read_links(stats, passed_s);
    read_memory(stats);
    read_process(stats, now_s, passed_s);
    stats->uptime_s = strtod(read_text("/proc/uptime", text, sizeof text), NULL);
    const char *temp = read_text("/sys/class/thermal/thermal_zone0/temp", text, sizeof text);
    stats->cpu_temp_c = isdigit((unsigned char)temp[0]) ? strtod(temp, NULL) / 1000 : (double)NAN;
    stats->connection_count = connection_count;
    pthread_mutex_unlock(&stats->lock);
}

static void add_number(struct strbuf *out, const char *name, double value)
{
    strbuf_addf(out, "\"%s\":", name);
    strbuf_add_json_double(out, value);
}

static void add_sample(struct strbuf *out, const struct sample *sample)
{
    strbuf_addc(out, '{');
    add_number(out, "time", sample->time_s);
    strbuf_addc(out, ',');
    add_number(out, "cpu_usage", sample->cpu_percent);
    strbuf_addf(out, ",\"memory\":%ld,\"mem_units\":\"kB\"}", sample->memory_kb);
}

static void add_links(const struct proc_stats *stats, struct strbuf *out)
{
    strbuf_adds(out, ",\"network\":{");
    for (size_t i = 0; i < stats->link_count; i++) {
        const struct link *l = &stats->links[i];
        if (i > 0)
            strbuf_addc(out, ',');
        strbuf_add_json_string(out, l->name, strlen(l->name));
        strbuf_addf(out,
                    ":{\"rx_bytes\":%llu,\"tx_bytes\":%llu,\"rx_packets\":%llu,\"tx_packets\":%llu,\"rx_errs\":%llu,"
                    "\"tx_errs\":%llu,\"rx_drop\":%llu,\"tx_drop\":%llu,",
                    (unsigned long long)l->rx_bytes, (unsigned long long)l->tx_bytes, (unsigned long long)l->rx_packets,
                    (unsigned long long)l->tx_packets, (unsigned long long)l->rx_errs, (unsigned long long)l->tx_errs,
                    (unsigned long long)l->rx_drop, (unsigned long long)l->tx_drop);
        add_number(out, "bandwidth", l->bandwidth);
        strbuf_addc(out, '}');
    }
    strbuf_addc(out, '}');
}

/* The members that the method and the notification share. */
static void add_common(const struct proc_stats *stats, struct strbuf *out)
{
    strbuf_addc(out, ',');
    add_number(out, "cpu_temp", stats->cpu_temp_c);
    add_links(stats, out);
    strbuf_adds(out, ",\"system_cpu_usage\":{");
    for (size_t i = 0; i < stats->cpu_count; i++) {
        char name[24] = "cpu"; /* any size_t fits behind it */
        if (i > 0)
            snprintf(name, sizeof name, "cpu%zu", i - 1);
        if (i > 0)
            strbuf_addc(out, ',');
        add_number(out, name, round(stats->cpus[i].percent * 100) / 100);
    }
    strbuf_addf(out, "},\"system_memory\":{\"total\":%ld,\"available\":%ld,\"used\":%ld},\"websocket_connections\":%u",
                stats->memory_total_kb, stats->memory_available_kb, stats->memory_total_kb - stats->memory_available_kb,
                stats->connection_count);
}

void proc_stats_add_update(struct proc_stats *stats, struct strbuf *out)
{
    pthread_mutex_lock(&stats->lock);
    strbuf_adds(out, "[{\"moonraker_stats\":");
    if (stats->sample_count > 0)
        add_sample(out, &stats->samples[stats->sample_count - 1]);
    else
        strbuf_adds(out, "{}");
    add_common(stats, out);
    strbuf_adds(out, "}]");
    pthread_mutex_unlock(&stats->lock);
}

void proc_stats_add_all(struct proc_stats *stats, struct strbuf *out)
{
    pthread_mutex_lock(&stats->lock);
    strbuf_adds(out, "{\"moonraker_stats\":[");
    for (size_t i = 0; i < stats->sample_count; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        add_sample(out, &stats->samples[i]);
    }
    strbuf_adds(out, "],\"throttled_state\":null");
    add_common(stats, out);
    strbuf_addc(out, ',');
    add_number(out, "system_uptime", stats->uptime_s);
    strbuf_addc(out, '}');
    pthread_mutex_unlock(&stats->lock);
}
