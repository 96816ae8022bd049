/* Opening, closing and resetting the device behind a board. */
#include "board_impl.h"

#include "base/fiber.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/usbdevice_fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RESET_BAUD 2400 /* what boards with a bootloader take as a request to reset */
#define PULSE_S    0.1

/* Boards with an stk500v2 bootloader stay in it after a reset until they are told to start the program. */
static enum err leave_bootloader(struct transport *t, unsigned baud, struct err_info *info)
{
    static const uint8_t leave[] = {0x1b, 0x01, 0x00, 0x01, 0x0e, 0x11, 0x04};
    struct host_ns now = {0};
    uint8_t scratch[512];
    enum err err = transport_serial_set_baud(t, 115200, info);
    if (!err)
        err = fiber_sleep(0.1);
    if (err)
        return err;
    if (t->ops->read(t, scratch, sizeof(scratch), now) == TRANSPORT_CLOSED ||
        t->ops->write(t, leave, sizeof(leave), now) == TRANSPORT_CLOSED)
        return err_set(info, ERR_CLOSED, "the serial port was closed");
    err = fiber_sleep(0.050);
    if (err)
        return err;
    size_t n;
    do
        n = t->ops->read(t, scratch, sizeof(scratch), now);
    while (n == sizeof(scratch));
    return n == TRANSPORT_CLOSED ? ERR_CLOSED : transport_serial_set_baud(t, baud, info);
}

static enum err open_serial(struct board *board, struct transport **transport, struct err_info *info)
{
    bool rts = board->restart_method != BOARD_RESTART_CHEETAH;
    struct transport *t;
    enum err err = transport_serial_open(board->path, RESET_BAUD, rts, &t, info);
    if (err)
        return err;
    err = leave_bootloader(t, board->baud, info);
    if (err) {
        transport_destroy(t);
        return err;
    }
    *transport = t;
    return OK;
}

static enum err open_transport(struct board *board, struct transport **t, struct err_info *info)
{
    switch (board->transport) {
    case BOARD_SERIAL:
        if (!transport_path_is_serial(board->path))
            return transport_pty_open(board->path, t, info);
        return open_serial(board, t, info);
    case BOARD_PTY:
        return transport_pty_open(board->path, t, info);
    case BOARD_PIPES:
        *t = transport_pipes_create(board->tx, board->rx);
        return OK;
    case BOARD_FILE:
        return transport_file_open(board->path, t, info);
    }
    return ERR_INVALID;
}

enum err board_open(struct board *board, struct err_info *info)
{
    struct transport *t;
    enum err err = open_transport(board, &t, info);
    if (err)
        return err;
    if (board->has_faults)
        t = transport_faults_create(t, &board->faults, link_board_fault_counter(board->link));
    boards_request(board->boards, &(struct link_request){.kind = LINK_OPEN, .board = board->link, .transport = t});
    return OK;
}

void board_close(struct board *board)
{
    atomic_store(&board->is_connected, false);
    struct link_request request = {.kind = LINK_CLOSE};
    if (board_request_wait(board, &request, HOST_NS_NEVER) != OK)
        log_warn(board->boards->log, "board", "closing was not waited for", "board=%s", board->name);
}

/* Pulses on DTR, and for cheetah boards with RTS both ways. */
static enum err pulse(struct transport *t, bool rts)
{
    transport_serial_set_lines(t, true, rts);
    enum err err = fiber_sleep(PULSE_S);
    transport_serial_set_lines(t, false, rts);
    return err ? err : fiber_sleep(PULSE_S);
}

enum err board_reset_by_lines(struct board *board, struct err_info *info)
{
    if (!transport_path_is_serial(board->path))
        return err_set(info, ERR_UNSUPPORTED, "Unable to reset MCU '%s': '%s' is not a serial port", board->name,
                       board->path);
    bool is_cheetah = board->restart_method == BOARD_RESTART_CHEETAH;
    struct transport *t;
    enum err err = transport_serial_open(board->path, RESET_BAUD, true, &t, info);
    if (err)
        return err;
    err = pulse(t, true);
    if (is_cheetah && !err) {
        transport_serial_set_lines(t, false, false);
        err = fiber_sleep(PULSE_S);
        if (!err)
            err = pulse(t, false);
    }
    transport_destroy(t);
    return err;
}

/* The internal hub of a Raspberry Pi: power of all its ports off and on (USB 2.0, 11.24.2: port feature PORT_POWER = 8,
 * which on these hubs switches all ports together through port 2). */
static enum err hub_power(int fd, bool on, struct err_info *info)
{
    struct usbdevfs_ctrltransfer transfer = {
        .bRequestType = 0x23, .bRequest = on ? 3 : 1, .wValue = 8, .wIndex = 2, .timeout = 1000};
    if (ioctl(fd, USBDEVFS_CONTROL, &transfer) < 0)
        return err_set(info, ERR_IO, "Unable to switch USB power: %s", strerror(errno));
    return OK;
}

enum err board_reset_by_usb(struct err_info *info)
{
    int fd = open("/dev/bus/usb/001/002", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set(info, ERR_IO, "Unable to open the USB hub: %s", strerror(errno));
    enum err err = hub_power(fd, false, info);
    if (!err) {
        enum err wait = fiber_sleep(2.0);
        err = hub_power(fd, true, info); /* also when cancelled: nobody wants a keyboard without power */
        err = err ? err : wait;
    }
    close(fd);
    return err;
}
