/* The device files, one module each; their commands are the interface. */
#ifndef FIRMWARE_DEV_DEVICES_H
#define FIRMWARE_DEV_DEVICES_H

#include "firmware/core/mcu.h"

extern const struct module stepper_module;     /* step and direction outputs, stepper.c */
extern const struct module trsync_module;      /* stop several objects at once, trsync.c */
extern const struct module endstop_module;     /* watch a pin, fire a trsync, endstop.c */
extern const struct module digital_out_module; /* timed digital outputs and software PWM, digital_out.c */
extern const struct module pwm_out_module;     /* timed hardware PWM, pwm_out.c */
extern const struct module analog_module;      /* periodic ADC readings, analog_in.c */
extern const struct module buttons_module;     /* debounced inputs, buttons.c */
extern const struct module counter_module;     /* edge counters, counter.c */
extern const struct module neopixel_module;    /* lamps that take colours as a train of pulses, neopixel.c */

#endif
