/* system_stats: load and memory of the computer. Read once a second, shown only: nothing of the printer depends on it. */
#include "server/machine/object.h"

#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define PERIOD_S 1.0

struct system_stats {
    struct printer_object obj;
    struct host_ns next;
    double load, cpu_s;
    long available_kb;
};

static long read_available_kb(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    long kb = 0;
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "MemAvailable: %ld kB", &kb) == 1)
            break;
    if (f)
        (void)fclose(f);
    return kb;
}

static void read_stats(struct system_stats *stats)
{
    struct rusage usage;
    double load[1];
    stats->load = getloadavg(load, 1) == 1 ? load[0] : 0;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        stats->cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    stats->available_kb = read_available_kb();
}

static void stats_status(struct printer_object *obj, struct status_writer *writer)
{
    struct system_stats *stats = (struct system_stats *)obj;
    struct host_ns now = printer_now(obj->printer);
    if (!host_ns_before(now, stats->next)) {
        read_stats(stats);
        stats->next = host_ns_add_s(now, PERIOD_S);
    }
    status_float(writer, "sysload", stats->load);
    status_float(writer, "cputime", stats->cpu_s);
    status_int(writer, "memavail", stats->available_kb);
}

static const struct status_field_desc stats_fields[] = {
    {"sysload", "float", "1 minute load average"},
    {"cputime", "float", "process cpu seconds"},
    {"memavail", "int", "available memory kB"},
};

const struct object_desc system_stats_desc = {
    .section = "system_stats",
    .flags = OBJECT_ALWAYS,
    .help = "Load and memory of the computer.",
    .size_bytes = sizeof(struct system_stats),
    OBJECT_FIELDS(stats_fields),
    .status = stats_status,
};
