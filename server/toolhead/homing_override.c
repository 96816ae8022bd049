/* [homing_override]: a script homes instead of G28; G28 inside of it homes as usual. */
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/script.h"
#include "server/toolhead/homing.h"
#include "server/toolhead/toolhead.h"

#include <ctype.h>
#include <string.h>

struct homing_override {
    struct printer_object obj;
    struct script *script;
    unsigned axes;    /* G28 of any of them runs the script */
    unsigned assumed; /* axes with a set_position_* */
    double assumed_mm[3];
    bool is_running;
};

static enum err home(void *ctx, unsigned axes, struct gcode_command *cmd, struct err_info *info)
{
    struct homing_override *h = ctx;
    struct printer *printer = h->obj.printer;
    struct toolhead *th = printer_toolhead(printer);
    if (h->is_running || !(axes & h->axes))
        return homing_home(printer, axes, info);
    enum err e = OK;
    if (h->assumed) {
        double pos[TOOLHEAD_AXES_MAX];
        toolhead_get_position(th, pos);
        for (int i = 0; i < 3; i++)
            if (h->assumed & (1u << i))
                pos[i] = h->assumed_mm[i];
        e = toolhead_set_position(th, pos, h->assumed, info);
    }
    h->is_running = true;
    if (!e)
        e = script_run(h->script, cmd, info);
    h->is_running = false;
    return e;
}

static const struct option_desc options[] = {
    {.name = "axes", .type = OPTION_STRING, .default_text = "XYZ", .help = "Axes whose homing runs the script"},
    {.name = "gcode", .type = OPTION_TEMPLATE, .flags = OPTION_REQUIRED, .help = "The script; params are those of G28"},
    {.name = "set_position_x", .type = OPTION_FLOAT, .unit = "mm", .help = "Where x is taken to be before the script"},
    {.name = "set_position_y", .type = OPTION_FLOAT, .unit = "mm", .help = "Where y is taken to be before the script"},
    {.name = "set_position_z", .type = OPTION_FLOAT, .unit = "mm", .help = "Where z is taken to be before the script"},
};

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct homing_override *h = (struct homing_override *)obj;
    static const char *const positions[] = {"set_position_x", "set_position_y", "set_position_z"};
    (void)info;
    for (const char *p = section_string(section, "axes"); *p; p++) {
        const char *letter = strchr("xyz", tolower((unsigned char)*p));
        if (letter)
            h->axes |= 1u << (letter - "xyz");
    }
    for (unsigned i = 0; i < 3; i++) {
        if (!section_has(section, positions[i]))
            continue;
        h->assumed |= 1u << i;
        h->assumed_mm[i] = section_float(section, positions[i]);
    }
    h->script = script_read(obj->printer, section, "gcode");
    if (config_find(obj->printer->config, "safe_z_home"))
        config_error_section(section, "homing_override and safe_z_home cannot be used simultaneously");
    homing_set_override(obj->printer, home, h);
    return OK;
}

static void destroy(struct printer_object *obj)
{
    script_destroy(((struct homing_override *)obj)->script);
}

const struct object_desc homing_override_desc = {
    .section = "homing_override",
    .flags = OBJECT_EXACT,
    .help = "A script that homes instead of G28",
    .size_bytes = sizeof(struct homing_override),
    OBJECT_OPTIONS(options),
    .create = create,
    .destroy = destroy,
};
