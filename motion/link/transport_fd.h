/* What transports on a file descriptor share. Inside the link. */
#ifndef MOTION_LINK_TRANSPORT_FD_H
#define MOTION_LINK_TRANSPORT_FD_H

#include "motion/link/transport.h"

struct transport_fd {
    struct transport base; /* first */
    int fd;
    bool is_socket, has_hung_up;
    struct actor *actor; /* attached to; NULL: none */
};

size_t transport_fd_read(struct transport *base, uint8_t *data, size_t cap_bytes, struct host_ns now);
size_t transport_fd_write(struct transport *base, const uint8_t *data, size_t len_bytes, struct host_ns now);
void transport_fd_attach(struct transport *base, struct actor *actor);
int transport_fd_panic_fd(const struct transport *base);

#endif
