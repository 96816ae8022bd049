/* The daemon: everything that lives as long as the process. It owns the listener, the files, the database and the log,
 * drives the machine actor, and owns the present printer, which RESTART replaces while clients stay connected. */
#ifndef SERVER_APP_HOST_H
#define SERVER_APP_HOST_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct host;
struct printer;
struct simulation;

#define HOST_SPEED_MAX 0.0 /* free running while there is work, like the wall clock otherwise */

struct host_options {
    const char *config_path; /* kept */
    const char *data_dir;    /* gcodes/, logs/, database/ below it; created if missing; kept */
    const char *address;     /* to listen on */
    unsigned port;           /* 0: any free one */
    const char *www_dir;     /* the page; NULL: none */
    const char *const *cors_domains; /* see net_options; kept */
    const char *const *host_names;
    bool is_simulated;
    double speed;            /* simulated: of printer time; HOST_SPEED_MAX */
    uint64_t seed;
    const char *record_dir;  /* simulated: write down what crosses each board's port (record.h); NULL: nothing */
};

/* Open everything and listen. On failure nothing is left open. */
enum err host_create(const struct host_options *options, struct host **out, struct err_info *info) ERR_NODISCARD;
/* Serve until host_stop, then stop in order: heaters and motors off, queues drained, files synced. Main thread. */
void host_run(struct host *host);
/* Ask host_run to end: the first call orderly, the second at once. Async-signal-safe, any thread. */
void host_stop(struct host *host);
void host_destroy(struct host *host); /* NULL allowed */

unsigned host_port(const struct host *host);
struct printer *host_printer(struct host *host);       /* machine thread only */
struct simulation *host_simulation(struct host *host); /* NULL unless simulated */

#endif
