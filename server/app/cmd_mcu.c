/* `lockstep mcu`: the board process of firmware/port/linux, with the printer of a configuration attached. */
#include "server/app/commands.h"

#include "firmware/plant/plant.h"
#include "firmware/port/linux/mcu_main.h"
#include "server/app/simulate_derive.h"
#include "server/config/config.h"

struct mcu_printer {
    struct derived *derived;
};

static void release(void *ctx)
{
    struct mcu_printer *printer = ctx;
    derived_destroy(printer->derived);
    printer->derived = NULL;
}

static enum err load(void *ctx, const char *config_path, struct plant_desc *desc, const char *const **pin_names,
                     size_t *pin_count, struct err_info *info)
{
    struct mcu_printer *printer = ctx;
    struct config *config = config_load(config_path);
    enum err e = OK;
    if (config_error_count(config)) {
        const struct config_error *error = config_error_at(config, 0);
        e = error->line ? err_set(info, ERR_INVALID, "%s:%d: %s", error->file, error->line, error->text)
                        : err_set(info, ERR_INVALID, "%s", error->text);
    } else if (!config_find(config, "mcu")) {
        e = err_set(info, ERR_INVALID, "%s has no [mcu] section", config_path);
    } else {
        printer->derived = derived_create(config, true);
        *desc = printer->derived->desc;
        *pin_names = printer->derived->boards[0].pin_names;
        *pin_count = printer->derived->boards[0].pin_count;
    }
    config_destroy(config);
    return e;
}

int mcu_command_main(int argc, char **argv)
{
    struct mcu_printer printer = {0};
    struct mcu_printer_source source = {.load = load, .release = release, .ctx = &printer};
    return mcu_main_with(argc, argv, &source);
}
