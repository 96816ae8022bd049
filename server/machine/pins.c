#include "server/machine/pins.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "server/machine/printer.h"

#include <ctype.h>
#include <string.h>

/* A pin that somebody has claimed. Keyed by "chip:name". */
struct claim {
    struct config_section *section; /* of the first claimer, for messages */
    char *option;
    char *pin;
    struct pin_chip *chip;
    char *share_type; /* NULL: exclusive */
    bool is_inverted;
    int pull;
    void *user;
};

struct pins {
    struct strmap chips;    /* name -> struct pin_chip */
    struct strmap unknown;  /* chips of sections that are not supported yet: name -> struct pin_chip (owned) */
    struct strmap aliases;  /* "chip:alias" -> pin name (owned) */
    struct strmap reserved; /* "chip:pin" -> what for (owned) */
    struct strmap claims;   /* "chip:pin" -> struct claim (owned) */
    struct strmap multi;    /* "chip:pin" -> non-NULL */
    struct pin_chip nowhere; /* behind pins that could not be resolved */
};

struct pins *pins_create(void)
{
    struct pins *pins = MEM_NEW(struct pins);
    strmap_init(&pins->chips);
    strmap_init(&pins->unknown);
    strmap_init(&pins->aliases);
    strmap_init(&pins->reserved);
    strmap_init(&pins->claims);
    strmap_init(&pins->multi);
    pins->nowhere.name = "";
    return pins;
}

static void free_values(struct strmap *map)
{
    for (const struct strmap_entry *e = strmap_first(map); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(map);
}

void pins_destroy(struct pins *pins)
{
    if (!pins)
        return;
    for (const struct strmap_entry *e = strmap_first(&pins->claims); e; e = strmap_next(e)) {
        struct claim *claim = strmap_value(e);
        mem_free(claim->option);
        mem_free(claim->pin);
        mem_free(claim->share_type);
    }
    for (const struct strmap_entry *e = strmap_first(&pins->unknown); e; e = strmap_next(e)) {
        struct pin_chip *chip = strmap_value(e);
        mem_free((char *)chip->name);
    }
    free_values(&pins->claims);
    free_values(&pins->unknown);
    free_values(&pins->aliases);
    free_values(&pins->reserved);
    strmap_deinit(&pins->chips);
    strmap_deinit(&pins->multi);
    mem_free(pins);
}

void pins_add_chip(struct pins *pins, struct pin_chip *chip, struct config_section *section)
{
    if (strmap_get(&pins->chips, chip->name)) {
        if (section)
            config_error_section(section, "Duplicate chip name '%s'", chip->name);
        return;
    }
    strmap_set(&pins->chips, chip->name, chip);
}

void pins_add_unknown_chip(struct pins *pins, const char *name)
{
    if (strmap_get(&pins->chips, name) || strmap_get(&pins->unknown, name))
        return;
    struct pin_chip *chip = MEM_NEW(struct pin_chip);
    chip->name = mem_strdup(name);
    strmap_set(&pins->unknown, name, chip);
}

struct pin_chip *pins_find_chip(const struct pins *pins, const char *name)
{
    struct pin_chip *chip = strmap_get(&pins->chips, name);
    return chip ? chip : strmap_get(&pins->unknown, name);
}

static char *key_of(const char *chip, const char *pin)
{
    return mem_sprintf("%s:%s", chip, pin);
}

#define ALIAS_DEPTH_MAX 16 /* of aliases of aliases; one that leads back to itself ends here */

/* What the board calls the pin that is written `pin`: aliases are followed, in whatever order they were added. */
static const char *real_name(const struct pins *pins, const char *chip, const char *pin)
{
    for (int depth = 0; depth < ALIAS_DEPTH_MAX; depth++) {
        char *key = key_of(chip, pin);
        const char *target = strmap_get(&pins->aliases, key);
        mem_free(key);
        if (!target)
            break;
        pin = target;
    }
    return pin;
}

/* Is the pin the board calls `name` one that [duplicate_pin_override] lists, by this name or by an alias? */
static bool is_multi_use(const struct pins *pins, const char *chip, const char *name)
{
    size_t len = strlen(chip);
    for (const struct strmap_entry *e = strmap_first(&pins->multi); e; e = strmap_next(e)) {
        const char *key = strmap_key(e); /* "chip:name" as written there */
        if (!strncmp(key, chip, len) && key[len] == ':' && !strcmp(real_name(pins, chip, key + len + 1), name))
            return true;
    }
    return false;
}

void pins_add_alias(struct pins *pins, struct config_section *section, const char *chip, const char *alias,
                    const char *pin)
{
    char *key = key_of(chip, alias);
    const char *known = strmap_get(&pins->aliases, key);
    if (known && strcmp(known, pin))
        config_error_section(section, "Alias %s mapped to %s, can't alias to %s", alias, known, pin);
    else if (strpbrk(pin, "^~!: \t\n"))
        config_error_section(section, "Invalid pin alias '%s'", pin);
    else if (!known && strcmp(real_name(pins, chip, pin), alias)) /* what leads back to itself is the pin's own name */
        strmap_set(&pins->aliases, key, mem_strdup(pin));
    mem_free(key);
}

void pins_reserve(struct pins *pins, struct config_section *section, const char *chip, const char *pin,
                  const char *reserved_for)
{
    char *key = key_of(chip, pin);
    const char *known = strmap_get(&pins->reserved, key);
    if (known && strcmp(known, reserved_for))
        config_error_section(section, "Pin %s reserved for %s - can't reserve for %s", pin, known, reserved_for);
    else if (!known)
        strmap_set(&pins->reserved, key, mem_strdup(reserved_for));
    mem_free(key);
}

/* --- the text of a pin --- */

static const char *skip_blank(const char *p)
{
    while (*p && isspace((unsigned char)*p))
        p++;
    return p;
}

static void report_format(struct config_section *section, const char *option, const char *text, unsigned use)
{
    config_error_option(section, option, "Invalid pin description '%.80s' in option '%s' of section '%s' (expected: "
                                         "%s%s[chip_name:] pin_name)",
                        text, option, section_name(section), use & PIN_CAN_PULL ? "[^~] " : "",
                        use & PIN_CAN_INVERT ? "[!] " : "");
}

/* Split the text; names are copied to chip_name and pin_name (size as given). */
static bool split_text(struct config_section *section, const char *option, const char *text, unsigned use,
                       struct pin_ref *out, char *chip_name, char *pin_name, size_t size)
{
    const char *p = skip_blank(text);
    out->is_inverted = false;
    out->pull = 0;
    if ((use & PIN_CAN_PULL) && (*p == '^' || *p == '~')) {
        out->pull = *p == '^' ? 1 : -1;
        p = skip_blank(p + 1);
    }
    if ((use & PIN_CAN_INVERT) && *p == '!') {
        out->is_inverted = true;
        p = skip_blank(p + 1);
    }
    const char *colon = strchr(p, ':');
    const char *chip = colon ? p : "mcu", *chip_end = colon ? colon : chip + 3;
    p = colon ? skip_blank(colon + 1) : p;
    const char *end = p + strlen(p);
    while (end > p && isspace((unsigned char)end[-1]))
        end--;
    while (chip_end > chip && isspace((unsigned char)chip_end[-1]))
        chip_end--;
    bool is_bad = end == p || (size_t)(end - p) >= size || (size_t)(chip_end - chip) >= size;
    for (const char *q = p; q < end; q++)
        is_bad |= strchr("^~!:", *q) || isspace((unsigned char)*q);
    if (is_bad) {
        report_format(section, option, text, use);
        return false;
    }
    memcpy(chip_name, chip, (size_t)(chip_end - chip));
    chip_name[chip_end - chip] = 0;
    memcpy(pin_name, p, (size_t)(end - p));
    pin_name[end - p] = 0;
    return true;
}

#define PIN_TEXT_MAX 128

void pins_allow_multi_use(struct pins *pins, struct config_section *section, const char *text)
{
    char chip[PIN_TEXT_MAX], pin[PIN_TEXT_MAX];
    struct pin_ref ref;
    if (!split_text(section, "pins", text, 0, &ref, chip, pin, PIN_TEXT_MAX))
        return;
    char *key = key_of(chip, pin); /* by whichever name: aliases may still be added */
    strmap_set(&pins->multi, key, pins);
    mem_free(key);
}

static void report_twice(const struct claim *claim, struct config_section *section, const char *option, const char *pin)
{
    const struct config_option *first = section_find(claim->section, claim->option);
    config_error_option(section, option, "pin %s used multiple times in config (first in option '%s' of section '%s' at "
                                         "%s:%d)",
                        pin, claim->option, section_name(claim->section), first ? first->file : section_file(claim->section),
                        first ? first->line : section_line(claim->section));
}

/* May this pin be had again? */
static bool check_share(const struct claim *claim, struct config_section *section, const char *option,
                        const char *share_type, const struct pin_ref *pin)
{
    if (!share_type || !claim->share_type || strcmp(share_type, claim->share_type)) {
        report_twice(claim, section, option, pin->name);
        return false;
    }
    if (claim->is_inverted != pin->is_inverted || claim->pull != pin->pull) {
        config_error_option(section, option, "Shared pin %s must have same polarity", pin->name);
        return false;
    }
    return true;
}

bool pins_claim_text(struct pins *pins, struct config_section *section, const char *option, const char *text,
                     unsigned use, const char *share_type, struct pin_ref *out)
{
    char chip_name[PIN_TEXT_MAX], pin_name[PIN_TEXT_MAX];
    *out = (struct pin_ref){.chip = &pins->nowhere, .name = ""};
    if (!split_text(section, option, text, use, out, chip_name, pin_name, PIN_TEXT_MAX))
        return false;
    struct pin_chip *chip = pins_find_chip(pins, chip_name);
    if (!chip) {
        config_error_option(section, option, "Unknown pin chip name '%s' in option '%s' of section '%s'", chip_name, option,
                            section_name(section));
        return false;
    }
    const char *name = real_name(pins, chip_name, pin_name);
    char *key = key_of(chip_name, name), *written = key_of(chip_name, pin_name);
    const char *reserved = strmap_get(&pins->reserved, written);
    if (!reserved)
        reserved = strmap_get(&pins->reserved, key);
    mem_free(written);
    bool is_free = true;
    if (reserved) {
        config_error_option(section, option, "pin %s is reserved for %s", name, reserved);
        is_free = false;
    }
    struct claim *claim = strmap_get(&pins->claims, key);
    out->chip = chip;
    if (claim) {
        out->name = claim->pin;
        is_free &= is_multi_use(pins, chip_name, name) || check_share(claim, section, option, share_type, out);
    } else {
        claim = MEM_NEW(struct claim);
        *claim = (struct claim){.section = section,
                                .option = mem_strdup(option),
                                .pin = mem_strdup(name),
                                .chip = chip,
                                .share_type = share_type ? mem_strdup(share_type) : NULL,
                                .is_inverted = out->is_inverted,
                                .pull = out->pull};
        strmap_set(&pins->claims, key, claim);
        out->name = claim->pin;
    }
    mem_free(key);
    return is_free;
}

bool pins_claim(struct pins *pins, struct config_section *section, const char *option, unsigned use,
                const char *share_type, struct pin_ref *out)
{
    const char *text = section_string_required(section, option);
    if (!*text) {
        *out = (struct pin_ref){.chip = &pins->nowhere, .name = ""};
        if (section_find(section, option))
            report_format(section, option, text, use);
        return false;
    }
    return pins_claim_text(pins, section, option, text, use, share_type, out);
}

static struct claim *claim_of(const struct pins *pins, const struct pin_ref *pin)
{
    char *key = key_of(pin->chip->name, pin->name);
    struct claim *claim = strmap_get(&pins->claims, key);
    mem_free(key);
    return claim;
}

void *pins_user(const struct pins *pins, const struct pin_ref *pin)
{
    struct claim *claim = claim_of(pins, pin);
    return claim ? claim->user : NULL;
}

void pins_set_user(struct pins *pins, const struct pin_ref *pin, void *user)
{
    struct claim *claim = claim_of(pins, pin);
    if (claim)
        claim->user = user;
}

void pins_check_names(struct pins *pins, const char *chip, bool (*has_pin)(void *ctx, const char *name), void *ctx)
{
    for (const struct strmap_entry *e = strmap_first(&pins->claims); e; e = strmap_next(e)) {
        const struct claim *claim = strmap_value(e);
        if (strcmp(claim->chip->name, chip) || has_pin(ctx, claim->pin))
            continue;
        config_error_option(claim->section, claim->option,
                            "Pin '%s' is not a valid pin name on mcu '%s' (option '%s' of section '%s')", claim->pin, chip,
                            claim->option, section_name(claim->section));
    }
}

struct board *pin_board(const struct pin_ref *pin)
{
    return pin->chip->is_board ? printer_board(pin->chip->owner->printer, pin->chip->name) : NULL;
}

enum err pin_number(const struct pin_ref *pin, int *number, struct err_info *info)
{
    struct board *board = pin_board(pin);
    int32_t value;
    if (!board)
        return err_set(info, ERR_STATE, "Pin '%s' is not on a board", pin->name);
    if (!board_enum_value(board, "pin", pin->name, &value))
        return err_set(info, ERR_NOT_FOUND, "Pin '%s' is not a valid pin name on mcu '%s'", pin->name, pin->chip->name);
    *number = value;
    return OK;
}
