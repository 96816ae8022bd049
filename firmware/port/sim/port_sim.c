/* The port contract on simulated hardware. Pin functions are on the path of every step pulse: keep them short. */
#include "base/check.h"
#include "firmware/port/port.h"
#include "firmware/port/sim/internal.h"

#include <string.h>

/* --- time --- */

uint32_t port_clock(struct port *port)
{
    return (uint32_t)port->board->clock;
}

uint32_t port_clock_hz(struct port *port)
{
    return port->board->options.clock_hz;
}

uint32_t port_late_limit(struct port *port)
{
    return (uint32_t)(port->board->options.late_limit_s * port->board->options.clock_hz);
}

void port_timer_kick(struct port *port)
{
    (void)port; /* the actor looks at the timer list whenever it is stepped */
}

/* --- bytes --- */

/* Room in the transmit buffer, after what the wire has taken away since the last look. */
static bool tx_fits(struct sim_board *board, size_t len_bytes)
{
    const struct sim_board_options *o = &board->options;
    if (!o->tx_buffer_bytes)
        return true;
    if (o->serial_baud) {
        double elapsed_s = (double)(board->clock - board->tx_level_at) / o->clock_hz;
        board->tx_level_bytes -= elapsed_s * o->serial_baud / 10;
        board->tx_level_at = board->clock;
        if (board->tx_level_bytes < 0)
            board->tx_level_bytes = 0;
    }
    if (board->tx_level_bytes + (double)len_bytes > (double)o->tx_buffer_bytes)
        return false;
    board->tx_level_bytes += (double)len_bytes;
    return true;
}

bool port_send(struct port *port, const uint8_t *block, size_t len_bytes)
{
    struct sim_board *board = port->board;
    if (board->is_silent)
        return false;
    size_t room = board->to_host->mask + 1 - bytepipe_pending(board->to_host);
    if (room < len_bytes || !tx_fits(board, len_bytes)) {
        board->stats.blocks_lost++;
        return false;
    }
    if (board->tap)
        board->tap(board->tap_ctx, (struct mcu_ticks){board->clock}, true, block, len_bytes);
    board->stats.bytes_out += len_bytes;
    return bytepipe_write(board->to_host, block, len_bytes) == len_bytes;
}

/* --- pins --- */

static void drive(struct sim_board *board, uint32_t pin_number, uint32_t level)
{
    struct sim_pin *pin = &board->pins[pin_number];
    if (pin->level == level)
        return;
    pin->level = level;
    for (const struct sim_watcher *w = pin->watchers; w; w = w->next)
        w->fn(w->ctx, (struct mcu_ticks){board->clock}, level);
}

bool port_out_setup(struct port_out *out, struct port *port, uint32_t pin, bool value)
{
    if (pin >= port->board->pin_count)
        return false;
    *out = (struct port_out){port, pin};
    drive(port->board, pin, value ? SIM_PWM_MAX : 0);
    return true;
}

void port_out_write(const struct port_out *out, bool value)
{
    if (out->port)
        drive(out->port->board, out->pin, value ? SIM_PWM_MAX : 0);
}

void port_out_toggle(const struct port_out *out)
{
    struct sim_board *board = out->port->board;
    drive(board, out->pin, board->pins[out->pin].level ? 0 : SIM_PWM_MAX);
}

static bool input_setup(struct port *port, uint32_t pin, int pull_up)
{
    if (pin >= port->board->pin_count)
        return false;
    port->board->pins[pin].pull_up = pull_up;
    return true;
}

bool port_in_setup(struct port_in *in, struct port *port, uint32_t pin, int pull_up)
{
    *in = (struct port_in){port, pin};
    if (input_setup(port, pin, pull_up))
        return true;
    in->port = NULL;
    return false;
}

bool port_in_read(const struct port_in *in)
{
    if (!in->port)
        return false;
    struct sim_board *board = in->port->board;
    const struct sim_pin *pin = &board->pins[in->pin];
    if (pin->input)
        return pin->input(pin->input_ctx, (struct mcu_ticks){board->clock}) != 0;
    return pin->pull_up > 0;
}

bool port_adc_setup(struct port_adc *adc, struct port *port, uint32_t pin)
{
    *adc = (struct port_adc){port, pin};
    if (input_setup(port, pin, 0))
        return true;
    adc->port = NULL;
    return false;
}

uint32_t port_adc_sample(const struct port_adc *adc)
{
    (void)adc;
    return 0; /* conversions are instantaneous */
}

uint16_t port_adc_read(const struct port_adc *adc)
{
    if (!adc->port)
        return 0;
    struct sim_board *board = adc->port->board;
    const struct sim_pin *pin = &board->pins[adc->pin];
    uint32_t value = SIM_ADC_MAX / 2;
    if (pin->input)
        value = pin->input(pin->input_ctx, (struct mcu_ticks){board->clock});
    return (uint16_t)(value > SIM_ADC_MAX ? SIM_ADC_MAX : value);
}

void port_adc_cancel(const struct port_adc *adc)
{
    (void)adc;
}

bool port_pwm_setup(struct port_pwm *pwm, struct port *port, uint32_t pin, uint32_t cycle_ticks, uint32_t value)
{
    (void)cycle_ticks;
    if (pin >= port->board->pin_count)
        return false;
    *pwm = (struct port_pwm){port, pin};
    port_pwm_write(pwm, value);
    return true;
}

void port_pwm_write(const struct port_pwm *pwm, uint32_t value)
{
    if (pwm->port)
        drive(pwm->port->board, pwm->pin, value > SIM_PWM_MAX ? SIM_PWM_MAX : value);
}

bool port_leds_setup(struct port_leds *leds, struct port *port, uint32_t pin)
{
    *leds = (struct port_leds){port, pin};
    if (pin < port->board->pin_count)
        return true;
    leds->port = NULL;
    return false;
}

bool port_leds_send(const struct port_leds *leds, const uint8_t *data, size_t len_bytes, uint32_t bit_max_ticks)
{
    (void)bit_max_ticks; /* nothing interrupts this board */
    if (!leds->port)
        return false;
    const struct sim_pin *pin = &leds->port->board->pins[leds->pin];
    if (pin->leds)
        pin->leds(pin->leds_ctx, data, len_bytes);
    return true;
}

/* --- whole board --- */

void port_reset(struct port *port)
{
    port->board->is_reset_due = true;
}

static bool scratch_fits(unsigned order, uint32_t addr)
{
    return addr <= SIM_SCRATCH_BYTES - (1u << order);
}

uint32_t port_peek(struct port *port, unsigned order, uint32_t addr)
{
    if (!scratch_fits(order, addr))
        return 0;
    const uint8_t *p = port->board->scratch + addr;
    uint32_t value = 0;
    for (unsigned i = 0; i < 1u << order; i++)
        value |= (uint32_t)p[i] << (8 * i);
    return value;
}

void port_poke(struct port *port, unsigned order, uint32_t addr, uint32_t value)
{
    if (!scratch_fits(order, addr))
        return;
    for (unsigned i = 0; i < 1u << order; i++)
        port->board->scratch[addr + i] = (uint8_t)(value >> (8 * i));
}
