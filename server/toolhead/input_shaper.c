/* [input_shaper]: shapers of x, y and z, and SET_INPUT_SHAPER. */
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"
#include "server/machine/motion_stream.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TYPE_BYTES_MAX 64

struct shaper_axis {
    char type[TYPE_BYTES_MAX]; /* "mzv" or "mzv(n=4,tau=1)" */
    struct engine_shaper shaper;
};

struct input_shaper {
    struct printer_object base;
    struct shaper_axis axes[3];
};

static const struct {
    const char *name;
    enum engine_shaper_kind kind;
    double damping_max;
} kinds[] = {
    {"zv", ENGINE_SHAPER_ZV, 0.99},
    {"mzv", ENGINE_SHAPER_MZV, 0.99},
    {"zvd", ENGINE_SHAPER_ZVD, 0.99},
    {"ei", ENGINE_SHAPER_EI, 0.4},
    {"2hump_ei", ENGINE_SHAPER_2HUMP_EI, 0.3},
    {"3hump_ei", ENGINE_SHAPER_3HUMP_EI, 0.2},
};

#define AXIS_OPTIONS(axis)                                                                                             \
    {.name = "shaper_freq_" axis,                                                                                      \
     .type = OPTION_FLOAT,                                                                                             \
     .unit = "Hz",                                                                                                     \
     .default_text = "0",                                                                                              \
     .limits = ">=0",                                                                                                  \
     .help = "Frequency that the shaper of the " axis " axis is made for; 0: no shaper"},                              \
        {.name = "shaper_type_" axis,                                                                                  \
         .type = OPTION_STRING,                                                                                        \
         .default_text = "shaper_type",                                                                                \
         .help = "Kind of shaper of the " axis " axis"},                                                               \
    {                                                                                                                  \
        .name = "damping_ratio_" axis, .type = OPTION_FLOAT, .default_text = "0.1", .limits = ">=0 <=1",               \
        .help = "Damping of the " axis " axis"                                                                         \
    }

static const struct option_desc options[] = {
    {.name = "shaper_type",
     .type = OPTION_STRING,
     .default_text = "mzv",
     .help = "Kind of shaper: zv, mzv, zvd, ei, 2hump_ei or 3hump_ei; mzv may be followed by (n=..., "
             "tau=...), ei by (v_tol=...)"},
    AXIS_OPTIONS("x"),
    AXIS_OPTIONS("y"),
    AXIS_OPTIONS("z"),
};

/* The arguments of "mzv(n=4,tau=1)" at `text`, behind the bracket. tau and t name the same length of the shaper:
 * t = tau (n - 1) / (n + 2 tau - 2). */
static bool parse_mzv(const char *text, struct engine_shaper *shaper)
{
    double n = 3.0, t = 0.75, tau = 0.0;
    while (*text && *text != ')') {
        char *end;
        size_t name_bytes = strcspn(text, "=");
        const char *value = text + name_bytes + (text[name_bytes] == '=');
        double number = strtod(value, &end);
        if (end == value || !isfinite(number) || number <= 0.0)
            return false;
        if (name_bytes == 1 && *text == 'n')
            n = number;
        else if (name_bytes == 1 && *text == 't')
            t = number;
        else if (name_bytes == 3 && strncmp(text, "tau", 3) == 0)
            tau = number;
        else
            return false;
        text = end + strspn(end, ", ");
    }
    if (*text != ')' || text[1] || n != floor(n) || n < 3.0 || n > 32.0)
        return false;
    if (tau > 0.0)
        t = tau * (n - 1.0) / (n + 2.0 * tau - 2.0);
    shaper->mzv_n = (unsigned)n;
    shaper->mzv_t = t;
    return n > 2.0 * t + 1.0;
}

/* The argument of "ei(v_tol=0.02)" at `text`, behind the bracket. */
static bool parse_ei(const char *text, struct engine_shaper *shaper)
{
    char *end;
    double v = strtod(text + (strncmp(text, "v_tol=", 6) == 0 ? 6 : 0), &end);
    shaper->ei_tolerance = v;
    return v > 0.0 && v < 1.0 && strcmp(end, ")") == 0;
}

static bool parse_arguments(enum engine_shaper_kind kind, const char *text, struct engine_shaper *shaper)
{
    return kind == ENGINE_SHAPER_MZV ? parse_mzv(text, shaper) : kind == ENGINE_SHAPER_EI && parse_ei(text, shaper);
}

/* Fill the kind in from its name; the error says what is wrong with name or damping. */
static enum err set_type(struct shaper_axis *axis, const char *type, struct err_info *info)
{
    size_t name_bytes = strcspn(type, "(");
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strlen(kinds[i].name) != name_bytes || strncasecmp(type, kinds[i].name, name_bytes) != 0)
            continue;
        axis->shaper.mzv_n = 0;
        axis->shaper.mzv_t = 0.0;
        axis->shaper.ei_tolerance = 0.0;
        bool has_arguments = type[name_bytes] == '(';
        if (strlen(type) >= TYPE_BYTES_MAX ||
            (has_arguments && !parse_arguments(kinds[i].kind, type + name_bytes + 1, &axis->shaper)))
            return err_set(info, ERR_INVALID, "Invalid arguments of shaper type: %s", type);
        if (axis->shaper.damping_ratio > kinds[i].damping_max)
            return err_set(info, ERR_INVALID, "Damping ratio %.3f: shaper type %s allows at most %.2f",
                           axis->shaper.damping_ratio, kinds[i].name, kinds[i].damping_max);
        axis->shaper.kind = kinds[i].kind;
        if (type != axis->type)
            snprintf(axis->type, sizeof axis->type, "%s", type);
        return OK;
    }
    return err_set(info, ERR_INVALID, "Unsupported shaper type: %s", type);
}

static enum err create_object(struct printer_object *obj, struct config_section *section, struct err_info *unused)
{
    (void)unused;
    struct input_shaper *self = (struct input_shaper *)obj;
    const char *common = section_string(section, "shaper_type");
    for (unsigned i = 0; i < 3; i++) {
        struct shaper_axis *axis = &self->axes[i];
        struct err_info info;
        char name[32];
        snprintf(name, sizeof name, "shaper_freq_%c", "xyz"[i]);
        axis->shaper.freq_hz = section_float(section, name);
        snprintf(name, sizeof name, "damping_ratio_%c", "xyz"[i]);
        axis->shaper.damping_ratio = section_float(section, name);
        snprintf(name, sizeof name, "shaper_type_%c", "xyz"[i]);
        if (set_type(axis, section_string_or(section, name, common), &info))
            config_error_option(section, section_has(section, name) ? name : "shaper_type", "%s", info.text);
        else if (engine_check_shaper(&axis->shaper, &info)) {
            snprintf(name, sizeof name, "shaper_freq_%c", "xyz"[i]);
            config_error_option(section, name, "%s", info.text);
        }
    }
    return OK;
}

static enum err send(struct printer *printer, const struct shaper_axis axes[3], struct err_info *info)
{
    struct engine_shaper shapers[3];
    for (unsigned i = 0; i < 3; i++) {
        shapers[i] = axes[i].shaper;
        if (shapers[i].freq_hz == 0.0)
            shapers[i].kind = ENGINE_SHAPER_OFF;
    }
    enum err e;
    do {
        e = engine_set_shapers(printer->engine, shapers, motion_source(printer), info);
    } while (motion_may_retry(printer, &e, info));
    return e;
}

static bool is_any_on(const struct input_shaper *self)
{
    return self->axes[0].shaper.freq_hz > 0.0 || self->axes[1].shaper.freq_hz > 0.0 ||
           self->axes[2].shaper.freq_hz > 0.0;
}

static void on_ready(struct printer_object *obj)
{
    struct input_shaper *self = (struct input_shaper *)obj;
    struct err_info info = {""};
    if (is_any_on(self) && send(obj->printer, self->axes, &info))
        printer_shutdown(obj->printer, "The input shapers cannot be set: %s", info.text);
}

static enum err update_axis(struct gcode_command *cmd, unsigned index, struct shaper_axis *axis, struct err_info *info)
{
    char name[32];
    snprintf(name, sizeof name, "DAMPING_RATIO_%c", "XYZ"[index]);
    enum err e = gcode_opt_double(cmd, name, GCODE_RANGE(0.0, 1.0), &axis->shaper.damping_ratio, info);
    snprintf(name, sizeof name, "SHAPER_FREQ_%c", "XYZ"[index]);
    if (!e)
        e = gcode_opt_double(cmd, name, GCODE_MIN(0.0), &axis->shaper.freq_hz, info);
    snprintf(name, sizeof name, "SHAPER_TYPE_%c", "XYZ"[index]);
    const char *type = gcode_get(cmd, "SHAPER_TYPE");
    if (!type)
        type = gcode_get(cmd, name);
    return e ? e : set_type(axis, type ? type : axis->type, info);
}

static enum err cmd_set_input_shaper(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct input_shaper *self = ctx;
    struct shaper_axis axes[3];
    memcpy(axes, self->axes, sizeof axes);
    enum err e = OK;
    for (unsigned i = 0; i < 3 && !e; i++)
        e = update_axis(cmd, i, &axes[i], info);
    if (!e && gcode_param_count(cmd) > 0)
        e = send(self->base.printer, axes, info);
    if (e)
        return e;
    memcpy(self->axes, axes, sizeof axes);
    for (unsigned i = 0; i < 3; i++)
        gcode_respond_info(gcode_of(cmd), "shaper_type_%c:%s shaper_freq_%c:%.3f damping_ratio_%c:%.6f", "xyz"[i],
                           axes[i].type, "xyz"[i], axes[i].shaper.freq_hz, "xyz"[i], axes[i].shaper.damping_ratio);
    return OK;
}

static const struct command_param params[] = {{"SHAPER_FREQ_X", "float", "present value", ">=0"},
                                              {"SHAPER_FREQ_Y", "float", "present value", ">=0"},
                                              {"SHAPER_FREQ_Z", "float", "present value", ">=0"},
                                              {"DAMPING_RATIO_X", "float", "present value", ">=0 <=1"},
                                              {"DAMPING_RATIO_Y", "float", "present value", ">=0 <=1"},
                                              {"DAMPING_RATIO_Z", "float", "present value", ">=0 <=1"},
                                              {"SHAPER_TYPE", "str", NULL, NULL},
                                              {"SHAPER_TYPE_X", "str", "present value", NULL},
                                              {"SHAPER_TYPE_Y", "str", "present value", NULL},
                                              {"SHAPER_TYPE_Z", "str", "present value", NULL},
                                              {0}};
static const struct command_desc commands[] = {
    {"SET_INPUT_SHAPER", NULL, 0, params, "Set or show the input shapers", cmd_set_input_shaper},
};

const struct object_desc input_shaper_desc = {
    .section = "input_shaper",
    .flags = OBJECT_EXACT,
    .help = "Input shapers: moves that do not make the printer ring",
    .size_bytes = sizeof(struct input_shaper),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    .create = create_object,
    .ready = on_ready,
};
