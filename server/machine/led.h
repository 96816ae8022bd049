/* Lamps with colours: what [led NAME] and [neopixel NAME] have in common, SET_LED and SET_LED_TEMPLATE. Machine thread. */
#ifndef SERVER_MACHINE_LED_H
#define SERVER_MACHINE_LED_H

#include "base/list.h"
#include "server/config/option.h"
#include "server/gcode/command.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LED_COUNT_MAX 500

struct led_chain;
struct led_slot;

/* Declared by the owner; must not move after led_setup. */
struct led_chain {
    struct printer_object *obj;
    size_t count;
    double (*colours)[4]; /* red, green, blue, white of each lamp, [0, 1] */
    uint64_t revision;    /* of `colours`, from 1 */
    struct led_slot *slots;
    /* Show `colours` now. Not in a fiber. */
    void (*transmit)(struct led_chain *chain);
    struct list pending; /* changes that wait for their place in the stream of moves */
    struct printer_timer timer; /* templates change many lamps at once: one transmission for all */
};

/* Rows for the owner's tables. */
#define LED_OPTIONS                                                                                                    \
    {.name = "initial_RED", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=1.0",                      \
     .help = "Red at the start"},                                                                                      \
        {.name = "initial_GREEN", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=1.0",                \
         .help = "Green at the start"},                                                                                \
        {.name = "initial_BLUE", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=1.0",                 \
         .help = "Blue at the start"},                                                                                 \
        {.name = "initial_WHITE", .type = OPTION_FLOAT, .default_text = "0.0", .limits = ">=0.0 <=1.0",                \
         .help = "White at the start"}
#define LED_FIELDS {"color_data", "list", "per led (r,g,b,w) floats"}
#define LED_COMMAND_COUNT 2
extern const struct command_desc led_commands[LED_COMMAND_COUNT]; /* their ctx: struct led_chain * */

/* Read the initial colours; `count` [1, LED_COUNT_MAX]. In a create hook. */
void led_setup(struct led_chain *chain, struct printer_object *obj, struct config_section *section, size_t count,
               void (*transmit)(struct led_chain *chain));
void led_connect(struct led_chain *chain); /* in a connect hook */
void led_stop(struct led_chain *chain);    /* in a shutdown hook */
void led_deinit(struct led_chain *chain);  /* in a destroy hook */
void led_write_status(const struct led_chain *chain, struct status_writer *writer);

#endif
