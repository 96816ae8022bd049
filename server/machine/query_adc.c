#include "server/machine/query_adc.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/object.h"
#include "server/machine/output.h"
#include "server/machine/printer.h"

#include <math.h>
#include <string.h>

#define RATIO_MIN 0.00001
#define RATIO_MAX 0.99999

struct entry {
    const char *name; /* the section's, which lives as long as the printer */
    const struct analog_in *adc;
};

struct query_adc {
    struct printer_object obj;
    struct entry *entries;
    size_t count, room;
};

void query_adc_add(struct printer *printer, struct config_section *section, const struct analog_in *adc)
{
    struct query_adc *q = (struct query_adc *)printer_load_object(printer, "query_adc", section);
    if (!q)
        return;
    if (q->count == q->room) {
        q->room = q->room ? 2 * q->room : 8;
        q->entries = mem_realloc(q->entries, q->room * sizeof *q->entries);
    }
    q->entries[q->count++] = (struct entry){section_name(section), adc};
}

static void list(struct query_adc *q)
{
    struct strbuf names;
    strbuf_init(&names);
    strbuf_adds(&names, "Available ADC objects: ");
    for (size_t i = 0; i < q->count; i++)
        strbuf_addf(&names, "%s\"%s\"", i ? ", " : "", q->entries[i].name);
    printer_respond_info(q->obj.printer, "%s", names.data);
    strbuf_deinit(&names);
}

static enum err cmd_query_adc(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct query_adc *q = ctx;
    const char *name = gcode_get(cmd, "NAME");
    const struct analog_in *adc = NULL;
    for (size_t i = 0; name && i < q->count; i++)
        if (!strcmp(q->entries[i].name, name))
            adc = q->entries[i].adc;
    if (!adc) {
        list(q);
        return OK;
    }
    double pullup_ohm = 0;
    enum err err = gcode_opt_double(cmd, "PULLUP", GCODE_ABOVE(0), &pullup_ohm, info);
    if (err)
        return err;
    struct strbuf text;
    strbuf_init(&text);
    strbuf_addf(&text, "ADC object \"%s\" has value %.6f (timestamp %.3f)", name, adc->last_value, adc->last_time.s);
    if (pullup_ohm > 0) {
        double ratio = fmax(RATIO_MIN, fmin(RATIO_MAX, adc->last_value));
        strbuf_addf(&text, "\n resistance %.3f (with %.0f pullup)", pullup_ohm * ratio / (1.0 - ratio), pullup_ohm);
    }
    printer_respond_info(q->obj.printer, "%s", text.data);
    strbuf_deinit(&text);
    return OK;
}

static void destroy(struct printer_object *obj)
{
    mem_free(((struct query_adc *)obj)->entries);
}

static const struct command_param params[] = {{"NAME", "str", NULL, NULL}, {"PULLUP", "float", NULL, ">0"}, {0}};
static const struct command_desc commands[] = {
    {.name = "QUERY_ADC", .params = params, .help = "Report the last value of an analog pin", .handler = cmd_query_adc},
};

const struct object_desc query_adc_desc = {
    .section = "query_adc",
    .flags = OBJECT_EXACT | OBJECT_ON_DEMAND,
    .help = "Answers for the values of analog pins.",
    .size_bytes = sizeof(struct query_adc),
    OBJECT_COMMANDS(commands),
    .destroy = destroy,
};
