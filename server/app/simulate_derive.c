/* Boards, pins and switches of a configuration, and the order in which the rest is read. */
#include "server/app/simulate_derive.h"

#include "base/check.h"
#include "server/app/simulate_internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define WHEEL_LENGTH_MM 7.0

/* --- raw options --- */

const char *derive_text(const struct config_section *section, const char *name)
{
    const struct config_option *option = section ? section_find(section, name) : NULL;
    return option ? option->value : NULL;
}

double derive_number(const struct config_section *section, const char *name, double fallback)
{
    const char *value = derive_text(section, name);
    char *end;
    if (!value)
        return fallback;
    double v = strtod(value, &end);
    return end != value && v == v && v > -1e9 && v < 1e9 ? v : fallback;
}

bool derive_starts_with(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

/* --- boards and pins --- */

int derived_board_index(const struct derived *d, const char *name)
{
    for (size_t i = 0; i < d->board_count; i++) {
        if (!strcmp(d->boards[i].name, name))
            return (int)i;
    }
    return -1;
}

static void add_pin_name(struct derived *d, struct derived_board *board, const char *name)
{
    for (size_t i = 0; i < board->pin_count; i++) {
        if (!strcmp(board->pin_names[i], name))
            return;
    }
    if (board->pin_count == board->pin_room) {
        size_t room = board->pin_room ? 2 * board->pin_room : 32;
        const char **names = arena_alloc(&d->arena, room * sizeof(*names));
        if (board->pin_count)
            memcpy(names, board->pin_names, board->pin_count * sizeof(*names));
        board->pin_names = names;
        board->pin_room = room;
    }
    board->pin_names[board->pin_count++] = name;
    strbuf_addf(&d->signature, "pin %s %s\n", board->name, name);
}

/* The real pin behind an alias of [board_pins], or `name` itself. */
static const char *resolve_alias(struct derived *d, const struct config *config, const char *board, const char *name)
{
    for (size_t i = 0; i < config_section_count(config); i++) {
        const struct config_section *section = config_section_at(config, i);
        const char *owner = derive_text(section, "mcu");
        if (!derive_starts_with(section_name(section), "board_pins") || strcmp(owner ? owner : "mcu", board) != 0)
            continue;
        for (size_t o = 0; o < section_option_count(section); o++) {
            const struct config_option *option = section_option_at(section, o);
            if (!derive_starts_with(option->name, "aliases"))
                continue;
            size_t len = strlen(name);
            for (const char *p = option->value; *p;) {
                p += strspn(p, " \t\r\n,");
                size_t key = strcspn(p, "= \t\r\n,");
                const char *eq = p + key + strspn(p + key, " \t");
                if (*eq != '=') {
                    p += strcspn(p, ",\n");
                    continue;
                }
                const char *value = eq + 1 + strspn(eq + 1, " \t");
                size_t value_len = strcspn(value, " \t\r\n,");
                if (key == len && !strncmp(p, name, len) && value_len && value[0] != '<')
                    return arena_strndup(&d->arena, value, value_len);
                p = value + value_len;
            }
        }
    }
    return name;
}

/* Read "[^~!]*[board:]name". false: not a pin of one of the boards (a virtual endstop, say). */
static bool parse_pin(struct derived *d, const struct config *config, const char *value, struct plant_pin *pin)
{
    *pin = (struct plant_pin){0};
    if (!value)
        return false;
    for (; *value && strchr(" \t\r\n^~!", *value); value++) {
        if (*value == '!')
            pin->is_inverted = !pin->is_inverted;
    }
    size_t len = strcspn(value, " \t\r\n,");
    const char *colon = memchr(value, ':', len);
    const char *board = "mcu";
    if (colon) {
        board = arena_strndup(&d->arena, value, (size_t)(colon - value));
        len -= (size_t)(colon + 1 - value);
        value = colon + 1;
        value += strspn(value, " \t");
        len = strcspn(value, " \t\r\n,");
    }
    int index = derived_board_index(d, board);
    if (index < 0 || !len || len > 64)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)value[i]) && !strchr("_./-", value[i]))
            return false;
    }
    pin->board = (unsigned)index;
    pin->name = resolve_alias(d, config, board, arena_strndup(&d->arena, value, len));
    add_pin_name(d, &d->boards[index], pin->name);
    return true;
}

bool derive_pin(struct derived *d, const struct config_section *section, const char *name, struct plant_pin *pin)
{
    return parse_pin(d, section_config(section), derive_text(section, name), pin);
}

static void find_boards(struct derived *d, const struct config *config, bool main_board_only)
{
    for (size_t i = 0; i < config_section_count(config) && d->board_count < DERIVED_BOARDS_MAX; i++) {
        const char *name = section_name(config_section_at(config, i));
        if (!strcmp(name, "mcu") || (derive_starts_with(name, "mcu ") && !main_board_only))
            d->boards[d->board_count++].name = arena_strdup(&d->arena, name[3] ? name + 4 : name);
    }
}

/* Every option that may name pins gives its names to the boards, whatever it is for. */
static void collect_pins(struct derived *d, const struct config *config)
{
    for (size_t i = 0; i < config_section_count(config); i++) {
        const struct config_section *section = config_section_at(config, i);
        for (size_t o = 0; o < section_option_count(section); o++) {
            const struct config_option *option = section_option_at(section, o);
            if (!strstr(option->name, "pin"))
                continue;
            for (const char *p = option->value; *p; p += strcspn(p, ",\n")) {
                struct plant_pin pin;
                p += strspn(p, " \t\r\n,");
                (void)parse_pin(d, config, p, &pin);
            }
        }
    }
}

/* --- switches --- */

static void add_switch(struct derived *d, const struct config_section *section)
{
    const char *name = section_name(section);
    bool is_filament = derive_starts_with(name, "filament_switch_sensor ");
    struct plant_switch sw = {.name = name, .is_active = is_filament};
    if (d->desc.switch_count == DERIVED_ITEMS_MAX ||
        !derive_pin(d, section, is_filament ? "switch_pin" : "pin", &sw.pin))
        return;
    d->switches[d->desc.switch_count++] = sw;
    strbuf_addf(&d->signature, "switch %s\n", name);
}

/* A filament_motion_sensor's wheel: three changes of its signal within detection_length. */
static void add_wheel(struct derived *d, const struct config_section *section)
{
    struct plant_wheel wheel = {.name = section_name(section)};
    const char *extruder = derive_text(section, "extruder");
    double length_mm = derive_number(section, "detection_length", WHEEL_LENGTH_MM);
    size_t motor = 0;
    while (extruder && motor < d->desc.motor_count && strcmp(d->motors[motor].name, extruder) != 0)
        motor++;
    if (!extruder || motor == d->desc.motor_count || !(length_mm > 0) || d->desc.wheel_count == DERIVED_ITEMS_MAX ||
        !derive_pin(d, section, "switch_pin", &wheel.pin))
        return;
    wheel.motor = motor;
    wheel.mm_per_edge = length_mm / 3;
    d->wheels[d->desc.wheel_count++] = wheel;
    strbuf_addf(&d->signature, "wheel %s %.17g\n", wheel.name, length_mm);
}

static bool is_fan(const char *name)
{
    static const char *const kinds[] = {"heater_fan ", "controller_fan ", "fan_generic ", "temperature_fan "};
    if (!strcmp(name, "fan"))
        return true;
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (derive_starts_with(name, kinds[i]))
            return true;
    }
    return false;
}

/* --- all of it --- */

static void point_desc(struct derived *d)
{
    d->desc.motors = d->motors;
    d->desc.endstops = d->endstops;
    d->desc.heaters = d->heaters;
    d->desc.sensors = d->sensors;
    d->desc.fans = d->fans;
    d->desc.switches = d->switches;
    d->desc.wheels = d->wheels;
    d->desc.board_count = d->board_count;
    d->desc.ambient_c = DERIVED_AMBIENT_C;
}

struct derived *derived_create(const struct config *config, bool main_board_only)
{
    struct derived *d = MEM_NEW(struct derived);
    arena_init(&d->arena, 0);
    strbuf_init(&d->signature);
    find_boards(d, config, main_board_only);
    derive_geometry(d, config);
    collect_pins(d, config);
    size_t count = config_section_count(config);
    for (size_t i = 0; i < count; i++) {
        const struct config_section *section = config_section_at(config, i);
        if (is_fan(section_name(section)))
            derive_fan(d, section);
    }
    for (size_t i = 0; i < count; i++) {
        const struct config_section *section = config_section_at(config, i);
        const char *name = section_name(section);
        derive_motor(d, section);
        derive_heater(d, section);
        if (derive_starts_with(name, "filament_switch_sensor ") || derive_starts_with(name, "gcode_button "))
            add_switch(d, section);
    }
    for (size_t i = 0; i < count; i++)
        if (derive_starts_with(section_name(config_section_at(config, i)), "filament_motion_sensor "))
            add_wheel(d, config_section_at(config, i));
    for (size_t i = 0; i < count; i++)
        derive_sensor(d, config, config_section_at(config, i));
    derive_positions(d, config);
    derive_endstops(d, config);
    point_desc(d);
    /* texts of the configuration go away with it */
    for (size_t i = 0; i < d->desc.motor_count; i++)
        d->motors[i].name = arena_strdup(&d->arena, d->motors[i].name);
    for (size_t i = 0; i < d->desc.endstop_count; i++)
        d->endstops[i].name = arena_strdup(&d->arena, d->endstops[i].name);
    for (size_t i = 0; i < d->desc.heater_count; i++)
        d->heaters[i].name = arena_strdup(&d->arena, d->heaters[i].name);
    for (size_t i = 0; i < d->desc.sensor_count; i++)
        d->sensors[i].name = arena_strdup(&d->arena, d->sensors[i].name);
    for (size_t i = 0; i < d->desc.fan_count; i++)
        d->fans[i].name = arena_strdup(&d->arena, d->fans[i].name);
    for (size_t i = 0; i < d->desc.switch_count; i++)
        d->switches[i].name = arena_strdup(&d->arena, d->switches[i].name);
    for (size_t i = 0; i < d->desc.wheel_count; i++)
        d->wheels[i].name = arena_strdup(&d->arena, d->wheels[i].name);
    return d;
}

void derived_destroy(struct derived *derived)
{
    if (!derived)
        return;
    strbuf_deinit(&derived->signature);
    arena_deinit(&derived->arena);
    mem_free(derived);
}
