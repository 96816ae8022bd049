/* [mcu] and [mcu NAME]: how a board is reached, and what it says about itself. */
#include "server/machine/object.h"
#include "server/machine/printer_private.h"

#include "base/strbuf.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/pins.h"
#include "server/machine/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct mcu {
    struct printer_object obj;
    struct pin_chip chip;
};

static const struct option_desc mcu_options[] = {
    {.name = "serial", .type = OPTION_STRING, .flags = OPTION_CONDITIONAL, .when = "canbus_uuid is not given",
     .help = "Device of the serial line: /dev/serial/by-id/..., or a pty"},
    {.name = "baud", .type = OPTION_INT, .default_text = "250000", .limits = ">=2400",
     .when = "canbus_uuid is not given and serial is a serial line", .help = "Speed of the serial line"},
    {.name = "canbus_uuid", .type = OPTION_STRING, .help = "Identity of a board on the CAN bus"},
    {.name = "canbus_interface", .type = OPTION_STRING, .default_text = "can0", .when = "canbus_uuid is given",
     .help = "Network interface of the CAN bus"},
    {.name = "restart_method", .type = OPTION_CHOICE, .choices = "arduino|cheetah|command|rpi_usb",
     .when = "serial is a serial line", .help = "How FIRMWARE_RESTART resets the board; without it found out by itself"},
};

static const struct status_field_desc mcu_fields[] = {
    {"mcu_version", "str", "firmware version string"},
    {"mcu_build_versions", "str", "firmware toolchain versions"},
    {"mcu_constants", "dict", "dictionary config constants"},
    {"last_stats", "dict", "last parsed stats line values"},
};

static const char *chip_name(const struct printer_object *obj)
{
    return obj->id;
}

static bool is_pipe_like(const char *path)
{
    return !strncmp(path, "/dev/rpmsg_", 11) || !strncmp(path, "/tmp/klipper_host_", 18);
}

static bool is_same_device(const char *a, const char *b)
{
    char *real_a = realpath(a, NULL), *real_b = realpath(b, NULL);
    bool is_same = !strcmp(real_a ? real_a : a, real_b ? real_b : b);
    free(real_a);
    free(real_b);
    return is_same;
}

/* Two sections cannot speak to one board. */
static void check_device(struct mcu *mcu, struct config_section *section, const char *serial)
{
    const struct printer_private *p = priv(mcu->obj.printer);
    for (size_t i = 0; i < p->mcu_count && *serial; i++) {
        const struct config_section *other = p->mcus[i].section;
        const struct config_option *theirs = section_find(other, "serial");
        if (other == section || !theirs || !is_same_device(serial, theirs->value))
            continue;
        config_error_option(section, "serial", "Option 'serial' in section '%s' names the same device as in section '%s' "
                                               "at %s:%d (found: '%.80s', expected: a device for each board)",
                            section_name(section), section_name(other), theirs->file, theirs->line, serial);
    }
}

static enum err mcu_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct mcu *mcu = (struct mcu *)obj;
    (void)info;
    mcu->chip = (struct pin_chip){.name = chip_name(obj), .owner = obj, .is_board = true};
    pins_add_chip(obj->printer->pins, &mcu->chip, section);
    if (!section)
        return OK;
    (void)printer_add_mcu(obj->printer, chip_name(obj), section);
    if (section_string(section, "canbus_uuid")) {
        (void)section_string(section, "canbus_interface");
        config_error_option(section, "canbus_uuid", "Boards on a CAN bus (section '%s') are not supported yet",
                            section_name(section));
        return OK;
    }
    const char *serial = section_string_required(section, "serial");
    check_device(mcu, section, serial);
    if (!is_pipe_like(serial)) {
        (void)section_int(section, "baud");
        (void)section_choice(section, "restart_method");
    }
    return OK;
}

/* Is this path a pseudo-terminal (or no terminal at all)? Those are read and written as plain bytes. */
static bool is_pty(const char *path)
{
    struct stat st;
    return is_pipe_like(path) || !strncmp(path, "/dev/pts/", 9) || (stat(path, &st) == 0 && S_ISSOCK(st.st_mode));
}

void printer_default_board_options(struct printer_mcu *pm, struct board_options *options)
{
    static const enum board_restart_method methods[] = {BOARD_RESTART_ARDUINO, BOARD_RESTART_CHEETAH,
                                                        BOARD_RESTART_COMMAND, BOARD_RESTART_RPI_USB};
    const struct config_option *serial = section_find(pm->section, "serial");
    options->path = serial ? serial->value : "";
    char *real = realpath(options->path, NULL);
    bool raw = is_pty(options->path) || (real && is_pty(real));
    free(real);
    options->transport = raw ? BOARD_PTY : BOARD_SERIAL;
    if (raw)
        return;
    double baud;
    if (section_number_read(pm->section, "baud", &baud))
        options->baud = (unsigned)baud;
    int method = section_choice(pm->section, "restart_method");
    options->restart_method = method >= 0 ? methods[method] : BOARD_RESTART_AUTO;
}

/* --- status --- */

static void write_constants(const struct board *board, struct strbuf *json)
{
    strbuf_addc(json, '{');
    for (size_t i = 0; i < board_constant_count(board); i++) {
        struct board_constant c = board_constant_at(board, i);
        if (i)
            strbuf_adds(json, ", ");
        strbuf_add_json_string(json, c.name, strlen(c.name));
        strbuf_adds(json, ": ");
        if (c.is_number)
            strbuf_adds(json, c.text);
        else
            strbuf_add_json_string(json, c.text, strlen(c.text));
    }
    strbuf_addc(json, '}');
}

/* The values of Klipper's statistics line, under its names; three decimals where it has them. */
static void write_stats(const struct board *board, struct strbuf *json)
{
    struct board_stats s = board_stats(board);
    strbuf_addf(json,
                "{\"mcu_awake\": %.3f, \"mcu_task_avg\": %.6f, \"mcu_task_stddev\": %.6f, \"bytes_write\": %llu, "
                "\"bytes_read\": %llu, \"bytes_retransmit\": %llu, \"bytes_invalid\": %llu, \"send_seq\": %llu, "
                "\"receive_seq\": %llu, \"retransmit_seq\": %llu, \"srtt\": %.3f, \"rttvar\": %.3f, \"rto\": %.3f, "
                "\"ready_bytes\": %u, \"upcoming_bytes\": %u, \"freq\": %.0f}",
                s.mcu_awake, s.mcu_task_avg, s.mcu_task_stddev, (unsigned long long)s.bytes_write,
                (unsigned long long)s.bytes_read, (unsigned long long)s.bytes_retransmit,
                (unsigned long long)s.bytes_invalid, (unsigned long long)s.send_seq, (unsigned long long)s.receive_seq,
                (unsigned long long)s.retransmit_seq, s.srtt_s, s.rttvar_s, s.rto_s, s.ready_bytes, s.upcoming_bytes,
                s.freq_hz);
}

#define STATS_PERIOD_S 1.0 /* as often as the original host renews its statistics */

static void mcu_status(struct printer_object *obj, struct status_writer *writer)
{
    const struct board *board = printer_board(obj->printer, chip_name(obj));
    if (!board || board_freq_hz(board) <= 0)
        return; /* no fields before it has identified itself */
    status_string(writer, "mcu_version", board_version(board));
    status_string(writer, "mcu_build_versions", board_build_versions(board));
    if (status_needs(writer, "mcu_constants", 1)) {
        write_constants(board, status_begin_json(writer, "mcu_constants"));
        status_end_json(writer);
    }
    uint64_t second = (uint64_t)(printer_now_s(obj->printer) / STATS_PERIOD_S) + 1;
    if (status_needs(writer, "last_stats", second)) {
        write_stats(board, status_begin_json(writer, "last_stats"));
        status_end_json(writer);
    }
}

const struct object_desc mcu_desc = {
    .section = "mcu",
    .flags = OBJECT_EXACT | OBJECT_NAMED | OBJECT_FIRST,
    .help = "A microcontroller board.",
    .size_bytes = sizeof(struct mcu),
    OBJECT_OPTIONS(mcu_options),
    OBJECT_FIELDS(mcu_fields),
    .create = mcu_create,
    .status = mcu_status,
};
