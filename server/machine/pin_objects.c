/* Sections that only say something about pins: [board_pins], [duplicate_pin_override], [static_digital_output NAME]. */
#include "server/machine/object.h"

#include "base/check.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/pins.h"
#include "server/machine/printer.h"

#include <string.h>

/* --- [board_pins] --- */

static const struct option_desc board_pins_options[] = {
    {.name = "mcu", .type = OPTION_LIST, .default_text = "mcu", .help = "Boards the aliases are for"},
    {.name = "aliases", .type = OPTION_TABLE, .separators = ",=", .count = 2, .flags = OPTION_REQUIRED,
     .help = "ALIAS=pin, ...; a pin written <NAME> is reserved"},
    {.name = "aliases_*", .type = OPTION_TABLE, .separators = ",=", .count = 2, .help = "More aliases"},
};

static void add_aliases(struct printer *printer, struct config_section *section, const struct config_list *boards,
                        const struct config_table *table)
{
    for (size_t b = 0; b < boards->count; b++)
        for (size_t i = 0; i < table->count; i++) {
            const char *alias = table->rows[i].items[0], *pin = table->rows[i].items[1];
            size_t len = strlen(pin);
            if (len >= 2 && pin[0] == '<' && pin[len - 1] == '>')
                pins_reserve(printer->pins, section, boards->items[b], alias, pin);
            else
                pins_add_alias(printer->pins, section, boards->items[b], alias, pin);
        }
}

static enum err board_pins_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct config_list boards = section_list(section, "mcu");
    struct config_table table = section_table(section, "aliases");
    add_aliases(obj->printer, section, &boards, &table);
    size_t cursor = 0;
    const struct config_option *option;
    while ((option = section_next(section, "aliases_*", &cursor, NULL))) {
        table = section_table(section, option->name);
        add_aliases(obj->printer, section, &boards, &table);
    }
    return OK;
}

const struct object_desc board_pins_desc = {
    .section = "board_pins",
    .flags = OBJECT_EXACT | OBJECT_NAMED | OBJECT_FIRST,
    .help = "Names for the pins of a board.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_OPTIONS(board_pins_options),
    .create = board_pins_create,
};

/* --- [duplicate_pin_override] --- */

static const struct option_desc override_options[] = {
    {.name = "pins", .type = OPTION_LIST, .flags = OPTION_REQUIRED, .help = "Pins that may be used more than once"},
};

static enum err override_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct config_list list = section_list(section, "pins");
    for (size_t i = 0; i < list.count; i++)
        pins_allow_multi_use(obj->printer->pins, section, list.items[i]);
    return OK;
}

const struct object_desc duplicate_pin_override_desc = {
    .section = "duplicate_pin_override",
    .flags = OBJECT_EXACT | OBJECT_FIRST,
    .help = "Allows some pins to be used more than once.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_OPTIONS(override_options),
    .create = override_create,
};

/* --- [static_digital_output NAME] --- */

struct static_output {
    struct printer_object obj;
    struct pin_ref *pins;
    size_t count;
};

static const struct option_desc static_options[] = {
    {.name = "pins", .type = OPTION_LIST, .flags = OPTION_REQUIRED, .help = "Pins set once, high, or low with '!'"},
};

static enum err static_create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    struct static_output *out = (struct static_output *)obj;
    (void)info;
    struct config_list list = section_list(section, "pins");
    out->pins = MEM_ARRAY(struct pin_ref, list.count ? list.count : 1);
    for (size_t i = 0; i < list.count; i++)
        if (pins_claim_text(obj->printer->pins, section, "pins", list.items[i], PIN_CAN_INVERT, NULL, &out->pins[out->count]))
            out->count++;
    return OK;
}

static enum err static_connect(struct printer_object *obj, struct err_info *info)
{
    struct static_output *out = (struct static_output *)obj;
    for (size_t i = 0; i < out->count; i++) {
        struct board *board = pin_board(&out->pins[i]);
        if (!board)
            return err_set(info, ERR_INVALID, "Pin '%s' of section '%s' is not on a board", out->pins[i].name, obj->name);
        board_config(board, BOARD_CONFIG, "set_digital_out pin=%s value=%d", out->pins[i].name, !out->pins[i].is_inverted);
    }
    return OK;
}

static void static_destroy(struct printer_object *obj)
{
    mem_free(((struct static_output *)obj)->pins);
}

const struct object_desc static_digital_output_desc = {
    .section = "static_digital_output",
    .flags = OBJECT_NAMED,
    .help = "Pins that are set once when the board is configured.",
    .size_bytes = sizeof(struct static_output),
    OBJECT_OPTIONS(static_options),
    .create = static_create,
    .connect = static_connect,
    .destroy = static_destroy,
};
