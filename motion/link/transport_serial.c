/* libserialport, wrapped: real serial ports and USB. It refuses ptys, which have transport_fd.c. */
#include "motion/link/transport_fd.h"

#include "base/mem.h"

#include <errno.h>
#include <libserialport.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

struct transport_serial {
    struct transport_fd fd; /* first */
    struct sp_port *port;
};

static void serial_flush(struct transport *base)
{
    tcflush(((struct transport_fd *)base)->fd, TCOFLUSH);
}

static void serial_destroy(struct transport *base)
{
    struct transport_serial *t = (struct transport_serial *)base;
    sp_close(t->port);
    sp_free_port(t->port);
    mem_free(t);
}

static const struct transport_ops serial_ops = {
    .read = transport_fd_read,
    .write = transport_fd_write,
    .flush = serial_flush,
    .attach = transport_fd_attach,
    .panic_fd = transport_fd_panic_fd,
    .destroy = serial_destroy,
};

static enum err fail(const char *path, struct err_info *info)
{
    char *text = sp_last_error_message();
    enum err err = err_set(info, ERR_IO, "Unable to open serial port '%s': %s", path, text && *text ? text : "refused");
    if (text)
        sp_free_error_message(text);
    return err;
}

bool transport_path_is_serial(const char *path)
{
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return false;
    return strncmp(resolved, "/dev/tty", 8) == 0 && strcmp(resolved, "/dev/tty") != 0;
}

/* Raw, 8N1, no handshake, and the line stays up when we close: many boards reset when DTR drops. */
static void configure(struct sp_port *port, int fd, bool rts)
{
    sp_set_bits(port, 8);
    sp_set_parity(port, SP_PARITY_NONE);
    sp_set_stopbits(port, 1);
    sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE);
    sp_set_rts(port, rts ? SP_RTS_ON : SP_RTS_OFF);
    struct termios settings;
    if (tcgetattr(fd, &settings) == 0) {
        settings.c_cflag &= ~(tcflag_t)HUPCL;
        tcsetattr(fd, TCSANOW, &settings);
    }
}

enum err transport_serial_open(const char *path, unsigned baud, bool rts, struct transport **t, struct err_info *info)
{
    char resolved[PATH_MAX];
    if (!realpath(path, resolved))
        return err_set(info, ERR_IO, "Unable to open serial port '%s': %s", path, strerror(errno));
    struct sp_port *port;
    if (sp_get_port_by_name(resolved, &port) != SP_OK)
        return fail(path, info);
    if (sp_open(port, SP_MODE_READ_WRITE) != SP_OK) {
        enum err err = fail(path, info);
        sp_free_port(port);
        return err;
    }
    int fd;
    if (sp_get_port_handle(port, &fd) != SP_OK || sp_set_baudrate(port, (int)baud) != SP_OK) {
        enum err err = fail(path, info);
        sp_close(port);
        sp_free_port(port);
        return err;
    }
    configure(port, fd, rts);
    struct transport_serial *s = MEM_NEW(struct transport_serial);
    s->fd.base.ops = &serial_ops;
    s->fd.fd = fd;
    s->port = port;
    *t = &s->fd.base;
    return OK;
}

enum err transport_serial_set_baud(struct transport *t, unsigned baud, struct err_info *info)
{
    struct transport_serial *s = (struct transport_serial *)t;
    if (sp_set_baudrate(s->port, (int)baud) != SP_OK)
        return fail(sp_get_port_name(s->port), info);
    return OK;
}

void transport_serial_set_lines(struct transport *t, bool dtr, bool rts)
{
    struct transport_serial *s = (struct transport_serial *)t;
    sp_set_dtr(s->port, dtr ? SP_DTR_ON : SP_DTR_OFF);
    sp_set_rts(s->port, rts ? SP_RTS_ON : SP_RTS_OFF);
}
