/* [led NAME]: one lamp with a pin for each of its colours. */
#include "server/machine/led.h"

#include "base/check.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/output.h"

#define COLOURS 4

struct led {
    struct printer_object obj;
    struct led_chain chain;
    struct output pins[COLOURS];
    bool has_pin[COLOURS];
};

static const char *const pin_options[COLOURS] = {"red_pin", "green_pin", "blue_pin", "white_pin"};

static void transmit(struct led_chain *chain)
{
    struct led *led = CONTAINER_OF(chain, struct led, chain);
    for (int i = 0; i < COLOURS; i++)
        if (led->has_pin[i] && led->pins[i].last_value != chain->colours[0][i])
            output_set_now(&led->pins[i], chain->colours[0][i]);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct led *led = (struct led *)obj;
    bool has_any = false;
    (void)info;
    double cycle_s = section_float(section, "cycle_time");
    bool is_hardware = section_bool(section, "hardware_pwm");
    led_setup(&led->chain, obj, section, 1, transmit);
    for (int i = 0; i < COLOURS; i++) {
        if (!section_string(section, pin_options[i]))
            continue;
        output_claim(&led->pins[i], obj->printer, section, pin_options[i], true, NULL);
        output_set_max_duration(&led->pins[i], 0);
        output_set_cycle(&led->pins[i], cycle_s, is_hardware);
        output_set_start(&led->pins[i], led->chain.colours[0][i], 0);
        led->has_pin[i] = has_any = true;
    }
    if (!has_any)
        config_error_section(section, "Section '%s' needs at least one of red_pin, green_pin, blue_pin and white_pin",
                             obj->name);
    return OK;
}

static enum err connect_led(struct printer_object *obj, struct err_info *info)
{
    struct led *led = (struct led *)obj;
    enum err err = OK;
    led_connect(&led->chain);
    for (int i = 0; i < COLOURS && !err; i++)
        if (led->has_pin[i])
            err = output_connect(&led->pins[i], info);
    return err;
}

static void stop(struct printer_object *obj)
{
    led_stop(&((struct led *)obj)->chain);
}

static void destroy(struct printer_object *obj)
{
    led_deinit(&((struct led *)obj)->chain);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    led_write_status(&((struct led *)obj)->chain, writer);
}

static void *command_ctx(struct printer_object *obj)
{
    return &((struct led *)obj)->chain;
}

static const struct option_desc options[] = {
    {.name = "red_pin", .type = OPTION_PIN, .help = "Pin of the red light"},
    {.name = "green_pin", .type = OPTION_PIN, .help = "Pin of the green light"},
    {.name = "blue_pin", .type = OPTION_PIN, .help = "Pin of the blue light"},
    {.name = "white_pin", .type = OPTION_PIN, .help = "Pin of the white light"},
    {.name = "cycle_time", .type = OPTION_FLOAT, .unit = "s", .default_text = "0.01", .limits = ">0.0 <=3.0",
     .help = "Period of the PWM"},
    {.name = "hardware_pwm", .type = OPTION_BOOL, .default_text = "False", .help = "PWM made by the chip"},
    LED_OPTIONS,
};
static const struct status_field_desc fields[] = {LED_FIELDS};

const struct object_desc led_desc = {
    .section = "led",
    .flags = OBJECT_NAMED,
    .help = "A lamp with a pin for each colour.",
    .size_bytes = sizeof(struct led),
    OBJECT_OPTIONS(options),
    .commands = led_commands,
    .command_count = LED_COMMAND_COUNT,
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_led,
    .shutdown = stop,
    .destroy = destroy,
    .status = status,
    .command_ctx = command_ctx,
};
