/* [gcode_button NAME]: G-code that runs when a button is pressed or released. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/objects.h"
#include "server/job/template.h"
#include "server/machine/buttons.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

struct gcode_button {
    struct printer_object obj;
    bool is_ladder;
    struct button button;
    struct ladder_button ladder;
    struct template *press, *release;
    bool is_pressed;
};

static struct gcode_button *button_of(void *obj)
{
    return obj;
}

static void run(struct gcode_button *b, struct template *body)
{
    struct printer *printer = b->obj.printer;
    struct template_context context = {.printer = printer};
    struct err_info info = {""};
    struct strbuf script;
    strbuf_init(&script);
    enum err err = template_render(body, &context, &script, &info);
    if (!err) {
        err = printer_run_script(printer, script.data, NULL, NULL);
        if (err)
            (void)err_set(&info, err, "%s: too many scripts run at once, this press is lost", b->obj.name);
    }
    if (err)
        gcode_respond_error(printer->gcode, info.text);
    strbuf_deinit(&script);
}

static void changed(void *ctx, bool is_pressed)
{
    struct gcode_button *b = ctx;
    b->is_pressed = is_pressed;
    printer_status_touch(&b->obj);
    if (printer_state(b->obj.printer) == PRINTER_READY)
        run(b, is_pressed ? b->press : b->release);
}

static enum err cmd_query(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const struct gcode_button *b = ctx;
    (void)info;
    gcode_respond_info(gcode_of(cmd), "%s: %s", b->obj.id, b->is_pressed ? "PRESSED" : "RELEASED");
    return OK;
}

static void claim_ladder(struct gcode_button *b, struct config_section *section)
{
    struct printer *printer = b->obj.printer;
    struct config_numbers range = section_numbers(section, "analog_range");
    double pullup_ohm = section_float(section, "analog_pullup_resistor");
    if (range.count != 2)
        return; /* has been said */
    if (range.items[0] > range.items[1])
        config_error_option(section, "analog_range",
                            "Option 'analog_range' in section '%s' must name the lower resistance first (found: %g, %g)",
                            b->obj.name, range.items[0], range.items[1]);
    ladder_button_claim(&b->ladder, printer, section, "pin", range.items[0], range.items[1], pullup_ohm, changed, b);
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct gcode_button *b = button_of(obj);
    (void)info;
    b->is_ladder = section_find(section, "analog_range") != NULL;
    if (b->is_ladder) {
        claim_ladder(b, section);
    } else {
        button_claim(&b->button, obj->printer, section, "pin", changed, b);
        b->button.debounce_s = section_float(section, "debounce_delay");
    }
    b->press = template_read(section, "press_gcode");
    b->release = template_read(section, "release_gcode");
    return OK;
}

static enum err connect_button(struct printer_object *obj, struct err_info *info)
{
    struct gcode_button *b = button_of(obj);
    return b->is_ladder ? ladder_button_connect(&b->ladder, info) : button_connect(&b->button, info);
}

static void destroy(struct printer_object *obj)
{
    struct gcode_button *b = button_of(obj);
    if (b->is_ladder)
        ladder_button_release(&b->ladder);
    else
        button_stop(&b->button);
    template_destroy(b->press);
    template_destroy(b->release);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    status_string(writer, "state", button_of(obj)->is_pressed ? "PRESSED" : "RELEASED");
}

static const struct option_desc options[] = {
    {.name = "pin", .type = OPTION_PIN, .flags = OPTION_REQUIRED, .help = "Pin of the button."},
    {.name = "analog_range",
     .type = OPTION_FLOAT_LIST,
     .unit = "ohm",
     .count = 2,
     .help = "Lowest and highest resistance of this button on an analog pin."},
    {.name = "analog_pullup_resistor",
     .type = OPTION_FLOAT,
     .unit = "ohm",
     .default_text = "4700.0",
     .limits = ">0.0",
     .when = "analog_range is given",
     .help = "Pull-up of the analog pin."},
    {.name = "debounce_delay",
     .type = OPTION_FLOAT,
     .unit = "s",
     .default_text = "0.0",
     .limits = ">=0.0",
     .when = "analog_range is not given",
     .help = "How long a change must last."},
    {.name = "press_gcode", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, .help = "What to run when it is pressed."},
    {.name = "release_gcode", .type = OPTION_TEMPLATE, .default_text = "", .help = "What to run when it is released."},
};
static const struct command_desc commands[] = {
    {.name = "QUERY_BUTTON", .mux_key = "BUTTON", .help = "Report the state of a button", .handler = cmd_query},
};
static const struct status_field_desc fields[] = {{"state", "str", "PRESSED or RELEASED"}};

const struct object_desc gcode_button_desc = {
    .section = "gcode_button",
    .flags = OBJECT_NAMED,
    .help = "G-code that runs when a button is pressed.",
    .size_bytes = sizeof(struct gcode_button),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    .create = create,
    .connect = connect_button,
    .destroy = destroy,
    .status = status,
};
