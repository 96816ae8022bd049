/* Inside of the printer: what printer*.c share. */
#ifndef SERVER_MACHINE_PRINTER_PRIVATE_H
#define SERVER_MACHINE_PRINTER_PRIVATE_H

#include "base/list.h"
#include "base/strmap.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

struct board;

#define PRINTER_BOARDS_MAX 16

/* One [mcu], from its object's create hook on. */
struct printer_mcu {
    const char *name; /* "mcu", or NAME of [mcu NAME] */
    struct config_section *section;
    struct board *board;
};

struct subscription {
    struct list node;
    const char *event;
    printer_event_fn *fn;
    void *ctx;
};

/* A script in a fiber. */
struct script_run {
    struct list node;
    struct printer *printer;
    struct fiber *fiber;
    char *script;
    printer_script_fn *done;
    void *ctx;
};

struct printer_private {
    struct printer pub;
    enum printer_state state;
    char *message;             /* of the state */
    struct host_ns since;
    bool is_ending;            /* printer_destroy has begun */
    bool is_closing, is_closed;
    enum printer_restart wanted, closing_for;
    struct fiber *close_fiber;
    struct printer_timer close_timer;
    double startup_s;          /* -1 while it lasts */
    struct host_ns created;

    struct printer_object *first, **last;
    struct printer_object **creation; /* in order, for destroy */
    size_t object_count, object_cap;
    struct strmap objects;     /* full name -> struct printer_object */
    struct strmap loading;     /* sections whose objects are being created: names of a loop */
    struct strmap commands;    /* plain commands registered -> their descriptor */
    size_t connected_count;    /* objects whose connect hook has run */

    struct printer_mcu mcus[PRINTER_BOARDS_MAX];
    size_t mcu_count;

    struct list timers, subscriptions, scripts;
    struct host_ns status_due;
    bool is_status_touched;
};

static inline struct printer_private *priv(const struct printer *printer)
{
    return printer->priv;
}

/* printer.c: a printer with its configuration (owned from here on) and nothing else. */
struct printer *printer_create_bare(const struct printer_services *services, enum printer_restart start_reason,
                                    struct config *take_config);

/* printer_objects.c */
void printer_create_objects(struct printer *printer);
void printer_destroy_objects(struct printer *printer);

/* printer_start.c */
void printer_start(struct printer *printer);
void printer_default_board_options(struct printer_mcu *mcu, struct board_options *options);

/* printer_status.c */
struct host_ns printer_publish(struct printer *printer, struct host_ns now);

/* printer.c */
void printer_set_state(struct printer *printer, enum printer_state state, char *take_message);

/* printer_events.c */
struct host_ns printer_run_timers(struct printer *printer, struct host_ns now);
void printer_cancel_scripts(struct printer *printer);
void printer_free_subscriptions(struct printer *printer);

/* mcu.c: register a board's section; false: too many. */
struct printer_mcu *printer_add_mcu(struct printer *printer, const char *name, struct config_section *section);

#endif
