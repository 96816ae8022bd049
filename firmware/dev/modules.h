/* The devices of a full board. A port may use a list of its own. */
#ifndef FIRMWARE_DEV_MODULES_H
#define FIRMWARE_DEV_MODULES_H

#include "firmware/core/mcu.h"

#define DEV_MODULE_COUNT 10
extern const struct module *const dev_modules[DEV_MODULE_COUNT]; /* core_module first */

#endif
