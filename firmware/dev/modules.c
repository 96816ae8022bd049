#include "firmware/dev/modules.h"

#include "firmware/dev/devices.h"

const struct module *const dev_modules[DEV_MODULE_COUNT] = {
    &core_module,    &stepper_module, &trsync_module,  &endstop_module, &digital_out_module,
    &pwm_out_module, &analog_module,  &buttons_module, &counter_module, &neopixel_module,
};
