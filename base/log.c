#include "base/log.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/ring.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <string.h>
#include <time.h>

#define LOG_RING_RECORDS 1024
#define LOG_VALUES_BYTES 440

struct log_record {
    double wall_s;
    const char *module, *message;
    enum log_level level;
    char values[LOG_VALUES_BYTES];
};

struct log {
    struct mpsc ring;
    enum log_level level;
    bool to_stderr, is_threaded;
    bool is_failing; /* the last attempt to write did not succeed */
    FILE *file;
    atomic_uint_fast64_t dropped;
    uint64_t dropped_reported;
    pthread_t thread;
    sem_t wake;
    atomic_bool is_sleeping, is_stopping;
};

static const char *level_name(enum log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    return names[level];
}

static void print_record(FILE *out, const struct log_record *r)
{
    time_t seconds = (time_t)r->wall_s;
    struct tm tm;
    char stamp[32];
    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &tm);
    fprintf(out, "%s.%03dZ %-5s %s: %s%s%s\n", stamp, (int)((r->wall_s - (double)seconds) * 1000.0),
            level_name(r->level), r->module, r->message, r->values[0] ? " " : "", r->values);
}

/* A full disk: what was to be written now counts as dropped, and the next line that finds room says how much that was. */
static void give_up(struct log *log, uint64_t records)
{
    if (!log->is_failing)
        fprintf(stderr, "log: cannot write: %s; records are dropped until that is possible again\n", strerror(errno));
    log->is_failing = true;
    clearerr(log->file);
    __fpurge(log->file);
    atomic_fetch_add(&log->dropped, records);
}

static void drain(struct log *log)
{
    struct log_record record;
    uint64_t records = 0;
    while (mpsc_pop(&log->ring, &record)) {
        records++;
        if (log->file)
            print_record(log->file, &record);
        if (log->to_stderr || !log->file)
            print_record(stderr, &record);
    }
    uint64_t dropped = atomic_load(&log->dropped);
    bool tells = dropped != log->dropped_reported;
    if (!records && !tells)
        return;
    if (tells)
        fprintf(log->file ? log->file : stderr, "%slog: records dropped count=%llu\n", log->is_failing ? "\n" : "",
                (unsigned long long)(dropped - log->dropped_reported));
    if (log->file && (fflush(log->file) != 0 || ferror(log->file))) {
        give_up(log, records);
        return;
    }
    log->is_failing = false;
    log->dropped_reported = dropped;
}

static void *log_thread(void *arg)
{
    struct log *log = arg;
    while (!atomic_load(&log->is_stopping)) {
        drain(log);
        atomic_store(&log->is_sleeping, true);
        drain(log); /* what came in before the flag was up */
        while (sem_wait(&log->wake) != 0 && errno == EINTR)
            ;
        atomic_store(&log->is_sleeping, false);
    }
    return NULL;
}

struct log *log_create(const char *path, enum log_level level, bool to_stderr, bool threaded)
{
    struct log *log = MEM_NEW(struct log);
    mpsc_init(&log->ring, sizeof(struct log_record), LOG_RING_RECORDS);
    log->level = level;
    log->to_stderr = to_stderr;
    log->is_threaded = threaded;
    if (path) {
        log->file = fopen(path, "ae");
        if (!log->file)
            fprintf(stderr, "log: cannot open %s: %s; logging to standard error\n", path, strerror(errno));
    }
    CHECK(sem_init(&log->wake, 0, 0) == 0);
    if (threaded) {
        CHECK(pthread_create(&log->thread, NULL, log_thread, log) == 0);
        (void)pthread_setname_np(log->thread, "log");
    }
    return log;
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    if (log->is_threaded) {
        atomic_store(&log->is_stopping, true);
        sem_post(&log->wake);
        pthread_join(log->thread, NULL);
    }
    drain(log);
    if (log->file)
        fclose(log->file);
    sem_destroy(&log->wake);
    mpsc_deinit(&log->ring);
    mem_free(log);
}

void log_drain(struct log *log)
{
    CHECK(!log->is_threaded);
    drain(log);
}

uint64_t log_dropped(const struct log *log)
{
    return atomic_load(&((struct log *)log)->dropped);
}

void log_write(struct log *log, enum log_level level, const char *module, const char *message, const char *fmt, ...)
{
    if (!log || level < log->level)
        return;
    struct log_record record = {.wall_s = clock_wall_s(), .module = module, .message = message, .level = level};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(record.values, sizeof record.values, fmt, args);
    va_end(args);
    if (!mpsc_push(&log->ring, &record))
        atomic_fetch_add(&log->dropped, 1);
    if (log->is_threaded && atomic_exchange(&log->is_sleeping, false))
        sem_post(&log->wake);
}

const char *log_escape(const char *text, char *out, unsigned out_bytes)
{
    unsigned n = 0;
    for (; *text && n + 1 < out_bytes; text++) {
        unsigned char c = (unsigned char)*text;
        out[n++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
    }
    out[n] = 0;
    return out;
}
