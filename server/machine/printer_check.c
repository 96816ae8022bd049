/* Checking a configuration without boards: the same objects are created as for a real printer, and then thrown away. With
 * data dictionaries at hand pin names are checked too: each stands for a board whose bytes go nowhere. */
#include "server/machine/printer_private.h"

#include "base/fiber.h"
#include "base/list.h"
#include "base/mem.h"
#include "motion/board.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/machine/pins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DICT_BYTES_MAX (4u << 20)

struct dict_check {
    struct actor machine;
    struct runtime *runtime;
    struct fiber_pool *fibers;
    struct boards *boards;
    struct printer *printer;
    const char *const *dicts;
    size_t dict_count;
};

static char *read_dict(struct config *config, const char *path, size_t *len)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        config_error_place(config, path, 0, "Unable to open data dictionary: %s", strerror(errno));
        return NULL;
    }
    char *text = mem_alloc(DICT_BYTES_MAX + 1);
    *len = fread(text, 1, DICT_BYTES_MAX + 1, f);
    (void)fclose(f);
    if (*len <= DICT_BYTES_MAX)
        return text;
    config_error_place(config, path, 0, "Data dictionary is too large (allowed: %u bytes)", DICT_BYTES_MAX);
    mem_free(text);
    return NULL;
}

static bool has_pin(void *ctx, const char *name)
{
    int32_t value;
    return board_enum_value(ctx, "pin", name, &value);
}

/* "NAME=path", or "path" for the main board. In a fiber. */
static void check_dict(struct dict_check *check, const char *dict)
{
    struct config *config = check->printer->config;
    const char *equals = strchr(dict, '='), *path = equals ? equals + 1 : dict;
    char *name = equals ? mem_strndup(dict, (size_t)(equals - dict)) : mem_strdup("mcu");
    size_t len = 0;
    struct err_info info = {""};
    struct board *board;
    char *text = read_dict(config, path, &len);
    struct board_options options = {.name = name,
                                    .transport = BOARD_FILE,
                                    .path = "/dev/null",
                                    .dictionary_json = text,
                                    .dictionary_bytes = len};
    struct pin_chip *chip = pins_find_chip(check->printer->pins, name);
    if (!chip || !chip->is_board)
        config_error_place(config, path, 0, "There is no [mcu%s%s] for this data dictionary", equals ? " " : "",
                           equals ? name : "");
    else if (text && (board_add(check->boards, &options, &board, &info) != OK || board_connect(board, &info) != OK))
        config_error_place(config, path, 0, "%s", info.text);
    else if (text)
        pins_check_names(check->printer->pins, name, has_pin, board);
    mem_free(text);
    mem_free(name);
}

static void check_fiber(void *arg)
{
    struct dict_check *check = arg;
    for (size_t i = 0; i < check->dict_count; i++)
        check_dict(check, check->dicts[i]);
    runtime_stop(check->runtime);
}

static struct host_ns check_step(struct actor *self, struct host_ns now)
{
    struct dict_check *check = CONTAINER_OF(self, struct dict_check, machine);
    boards_poll(check->boards, now);
    return fiber_pool_run(check->fibers, now);
}

static void check_dicts(struct printer *printer, const char *const *dicts, size_t dict_count)
{
    struct dict_check check = {.machine = {.name = "check", .step = check_step},
                               .runtime = runtime_create_virtual(1),
                               .fibers = fiber_pool_create(1),
                               .printer = printer,
                               .dicts = dicts,
                               .dict_count = dict_count};
    struct boards_options options = {.runtime = check.runtime, .machine = &check.machine};
    check.boards = boards_create(&options);
    (void)fiber_spawn(check.fibers, "check", check_fiber, &check);
    runtime_add(check.runtime, &check.machine, NULL);
    runtime_run(check.runtime, HOST_NS_NEVER, true);
    runtime_remove(check.runtime, &check.machine);
    boards_destroy(check.boards);
    fiber_pool_destroy(check.fibers);
    runtime_destroy(check.runtime);
}

struct config *printer_check_config(const char *path, const char *const *dicts, size_t dict_count)
{
    return printer_check_files(&config_files_disk, path, dicts, dict_count);
}

struct config *printer_check_files(const struct config_files *files, const char *path, const char *const *dicts,
                                   size_t dict_count)
{
    struct actor nobody = {.name = "check"}; /* driven by no runtime: there is nothing to wake */
    const struct printer_services services = {.config_path = path, .machine = &nobody};
    struct printer *printer = printer_create_bare(&services, PRINTER_RESTART_NONE, config_load_from(files, path));
    printer_create_objects(printer);
    if (dict_count)
        check_dicts(printer, dicts, dict_count);
    struct config *config = printer->config;
    printer->config = NULL; /* the caller's from here on */
    printer_destroy(printer);
    return config;
}
