/* Pins: from a text in the configuration to a board and a pin name; aliases; no pin used twice.
 *
 * A pin text is `[^~!]...[chip:]name`: '^' pull-up, '~' pull-down, '!' inverted; without a chip it is on [mcu]. Chips are
 * the boards, by section name, and virtual ones that objects add ("probe:z_virtual_endstop"). Works without boards: names
 * are checked against a board's dictionary only once there is one. Machine thread. */
#ifndef SERVER_MACHINE_PINS_H
#define SERVER_MACHINE_PINS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct board;
struct config_section;
struct pins;
struct printer_object;

/* Somebody who has pins. */
struct pin_chip {
    const char *name;             /* "mcu", "zboard", "probe" */
    struct printer_object *owner; /* the [mcu] object, or the object with the virtual pins */
    bool is_board;
    void *virtual_ctx;            /* virtual chips: the struct endstop of pin z_virtual_endstop; NULL: none */
};

struct pin_ref {
    struct pin_chip *chip;
    const char *name;  /* alias resolved: what the board's dictionary calls it */
    bool is_inverted;
    int pull;          /* 1 up, -1 down, 0 none */
};

enum pin_use {
    PIN_CAN_INVERT = 1,
    PIN_CAN_PULL = 2
};

struct pins *pins_create(void);
void pins_destroy(struct pins *pins);

/* Add a chip; `chip` is kept. A name used twice is an error at `section`. */
void pins_add_chip(struct pins *pins, struct pin_chip *chip, struct config_section *section);
/* The section that a board's or virtual chip's name would need exists but its object does not (yet): pins on it are
 * accepted without further checks, so that one missing device does not hide other errors. */
void pins_add_unknown_chip(struct pins *pins, const char *name);
struct pin_chip *pins_find_chip(const struct pins *pins, const char *name);

/* `alias` on `chip` means `pin`. Reserved: `pin` may not be used ("<RES>" in [board_pins]). Errors at `section`. */
void pins_add_alias(struct pins *pins, struct config_section *section, const char *chip, const char *alias,
                    const char *pin);
void pins_reserve(struct pins *pins, struct config_section *section, const char *chip, const char *pin,
                  const char *reserved_for);
/* [duplicate_pin_override]: this pin may be used more than once, whether it is written here and there by its name or by an
 * alias. */
void pins_allow_multi_use(struct pins *pins, struct config_section *section, const char *text);

/* Claim the pin of an option: parses it, checks that nobody else has it, and fills `out`. False: an error has been added
 * at the option, and `out` is a pin on a chip with no board behind it.
 *   use         what modifiers are allowed (enum pin_use)
 *   share_type  NULL: the pin is exclusive; else it may be claimed again with the same share_type, polarity and pull
 *               (an endstop shared by two steppers); the text is kept */
bool pins_claim(struct pins *pins, struct config_section *section, const char *option, unsigned use,
                const char *share_type, struct pin_ref *out);
/* The same for a text that is not a whole option (an item of a list). */
bool pins_claim_text(struct pins *pins, struct config_section *section, const char *option, const char *text,
                     unsigned use, const char *share_type, struct pin_ref *out);
/* Who uses a shared pin first: the pointer stored by the first claimer with pins_set_user, NULL if none. */
void *pins_user(const struct pins *pins, const struct pin_ref *pin);
void pins_set_user(struct pins *pins, const struct pin_ref *pin, void *user);

/* Aliases are resolved when a pin is claimed: objects that add some are made first (OBJECT_FIRST). */

/* With a dictionary at hand: an error at the option of each claimed pin of `chip` that `has_pin` does not know. */
void pins_check_names(struct pins *pins, const char *chip, bool (*has_pin)(void *ctx, const char *name), void *ctx);

/* The pin's board, NULL before connect or for virtual chips; and its number in the board's dictionary. */
struct board *pin_board(const struct pin_ref *pin);
enum err pin_number(const struct pin_ref *pin, int *number, struct err_info *info) ERR_NODISCARD;

#endif
