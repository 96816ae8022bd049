/* A way to move bytes to and from one board. Opened on the machine thread, then given to the link, which alone uses it.
 * Each kind is one file; SocketCAN fits the same seam (a byte stream in frames of at most 8 bytes). */
#ifndef MOTION_LINK_TRANSPORT_H
#define MOTION_LINK_TRANSPORT_H

#include "base/clock.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct actor;
struct bytepipe;
struct transport;

#define TRANSPORT_CLOSED ((size_t)-1)

struct transport_ops {
    /* Bytes now there (at most `cap_bytes`; 0: none), or TRANSPORT_CLOSED. Never blocks. */
    size_t (*read)(struct transport *t, uint8_t *data, size_t cap_bytes, struct host_ns now);
    /* Take up to `len_bytes`; returns how many, or TRANSPORT_CLOSED. Never blocks. */
    size_t (*write)(struct transport *t, const uint8_t *data, size_t len_bytes, struct host_ns now);
    /* Forget what was written and has not left yet; may be NULL. */
    void (*flush)(struct transport *t);
    /* Write out what the transport itself still buffers; false: that failed. May be NULL. */
    bool (*sync)(struct transport *t);
    /* Wake `actor` when there is something to read, and when there is room again after a short write. The actor's own
     * thread. NULL stops it. */
    void (*attach)(struct transport *t, struct actor *actor);
    /* When read or write may have something to do by itself; may be NULL: never. */
    struct host_ns (*next)(const struct transport *t);
    /* A descriptor for the last words of a dying process, or -1; may be NULL. */
    int (*panic_fd)(const struct transport *t);
    void (*destroy)(struct transport *t);
};

struct transport {
    const struct transport_ops *ops;
    bool is_file; /* no board at the other end: blocks are not acknowledged */
};

void transport_destroy(struct transport *t); /* NULL allowed */

/* A tty, through libserialport. `path` may be a link ("/dev/serial/by-id/..."). Exclusive, HUPCL off. ERR_IO with the
 * system's reason. */
enum err transport_serial_open(const char *path, unsigned baud, bool rts, struct transport **t,
                               struct err_info *info) ERR_NODISCARD;
enum err transport_serial_set_baud(struct transport *t, unsigned baud, struct err_info *info) ERR_NODISCARD;
void transport_serial_set_lines(struct transport *t, bool dtr, bool rts);
/* Is it a tty that transport_serial_open is for? Ptys and pipe-like devices are not. */
bool transport_path_is_serial(const char *path);

/* A pty, pipe-like device or Unix stream socket. */
enum err transport_pty_open(const char *path, struct transport **t, struct err_info *info) ERR_NODISCARD;
/* Takes a descriptor that is open already; closes it in the end. */
struct transport *transport_fd_create(int fd);

/* To a board in this process. Both kept until transport_destroy. */
struct transport *transport_pipes_create(struct bytepipe *tx, struct bytepipe *rx);

/* No board: all blocks go to a file, created or cut to nothing. */
enum err transport_file_open(const char *path, struct transport **t, struct err_info *info) ERR_NODISCARD;

/* Damage on purpose: probabilities per block. */
struct transport_faults {
    uint64_t seed;
    double tx_loss, tx_corrupt, tx_cut, tx_duplicate;
    double rx_loss, rx_corrupt, rx_cut, rx_duplicate, rx_reorder;
    double delay_max_s;
};
/* Wraps `take_inner`. *injected (kept) counts what was done. */
struct transport *transport_faults_create(struct transport *take_inner, const struct transport_faults *faults,
                                          uint64_t *injected);

#endif
