/* Inputs that a board watches for the host: switches, polled and debounced by the board, and resistor ladders on an analog
 * pin. Objects (gcode_button, filament sensors) are told of each press and release. Machine thread. */
#ifndef SERVER_MACHINE_BUTTONS_H
#define SERVER_MACHINE_BUTTONS_H

#include "base/err.h"
#include "server/machine/output.h"
#include "server/machine/pins.h"
#include "server/machine/printer.h"

#include <stdbool.h>
#include <stdint.h>

struct board;
struct board_format;
struct config_section;

/* Pressed or released; not told of the state at start unless it is pressed. */
typedef void button_fn(void *ctx, bool is_pressed);

/* A digital input. Declared by its owner, zeroed by button_claim; must not move after button_connect. */
struct button {
    struct printer *printer;
    struct pin_ref pin;
    button_fn *fn;
    void *ctx;
    double debounce_s; /* a change must last this long at the host [s]; 0: what the board reports counts */
    bool is_claimed;
    bool is_pressed; /* as last told */
    bool is_pressed_now;
    struct printer_timer timer;
    /* set by button_connect */
    struct board *board;
    const struct board_format *ack;
    int oid;
    uint8_t taken_count; /* states acknowledged, modulo 256 as on the board */
};

/* Claim the pin of `option`. `fn` and `ctx` are kept. */
void button_claim(struct button *button, struct printer *printer, struct config_section *section, const char *option,
                  button_fn *fn, void *ctx);
/* Add the board's configuration commands; in a connect hook. ERR_UNSUPPORTED: the board cannot watch inputs. */
enum err button_connect(struct button *button, struct err_info *info) ERR_NODISCARD;
void button_stop(struct button *button); /* in the owner's destroy hook */

/* One of the buttons of a resistor ladder: pressed while the resistance from its analog pin to ground is in a range.
 * Several buttons may share one pin. */
struct ladder;
struct ladder_button {
    double low_ohm, high_ohm;
    button_fn *fn;
    void *ctx;
    struct ladder *ladder;
    struct ladder_button *next;
};
/* Claim the pin of `option`, alone or with others that do so here. `fn` and `ctx` are kept. */
void ladder_button_claim(struct ladder_button *button, struct printer *printer, struct config_section *section,
                         const char *option, double low_ohm, double high_ohm, double pullup_ohm, button_fn *fn, void *ctx);
enum err ladder_button_connect(struct ladder_button *button, struct err_info *info) ERR_NODISCARD;
void ladder_button_release(struct ladder_button *button); /* in the owner's destroy hook */

#endif
