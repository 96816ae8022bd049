/* Any bytes as printer.cfg and what it includes: the reader ends, reports, and what it read can be written and read again. */
#include "base/check.h"
#include "base/mem.h"
#include "server/config/autosave.h"
#include "server/config/config.h"
#include "server/machine/object.h"
#include "tests/fuzz/memory_files.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Read every option of a section that we know by the type its descriptor gives it. */
static void read_all(struct config_section *section, const struct object_desc *desc)
{
    section_bind(section, desc->options, desc->option_count);
    for (size_t i = 0; i < desc->option_count; i++) {
        const struct option_desc *option = &desc->options[i];
        if (strpbrk(option->name, "*<"))
            continue;
        switch (option->type) {
        case OPTION_FLOAT:
            (void)section_float(section, option->name);
            break;
        case OPTION_INT:
            (void)section_int(section, option->name);
            break;
        case OPTION_BOOL:
            (void)section_bool(section, option->name);
            break;
        case OPTION_CHOICE:
            (void)section_choice(section, option->name);
            break;
        case OPTION_LIST:
            (void)section_list(section, option->name);
            break;
        case OPTION_FLOAT_LIST:
        case OPTION_INT_LIST:
            (void)section_numbers(section, option->name);
            break;
        case OPTION_TABLE:
            (void)section_table(section, option->name);
            break;
        case OPTION_FLOAT_TABLE:
            (void)section_number_table(section, option->name);
            break;
        default:
            (void)section_string(section, option->name);
        }
    }
    section_check_unused(section);
}

/* SAVE_CONFIG on any file either refuses it or makes one that reads back with the value. */
static void save_into(struct config *config, struct memory_files *memory)
{
    struct memory_file *file = &memory->files[0];
    struct err_info info;
    CHECK(config_set_autosave(config, "extruder", "pid_kp", "1.5", &info) == OK);
    config_remove_autosave(config, "bed_mesh default");
    char *saved = config_apply_autosave(config, file->text, file->len_bytes, NULL, &info);
    if (!saved)
        return;
    file->text = saved;
    file->len_bytes = strlen(saved);
    struct config *again = config_load_from(&memory->io, "printer.cfg");
    const struct config_section *section = config_find(again, "extruder");
    const struct config_option *option = section ? section_find(section, "pid_kp") : NULL;
    CHECK(option && option->is_autosave && !strcmp(option->value, "1.5"));
    config_destroy(again);
    mem_free(saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_files memory;
    memory_files_init(&memory, (const char *)data, size);
    struct config *config = config_load_from(&memory.io, "printer.cfg");
    bool had_errors = config_error_count(config) > 0;
    char *written = config_write(config), *json = config_raw_json(config);
    struct config *again = config_parse("again.cfg", written, strlen(written));
    char *json_again = config_raw_json(again);
    CHECK(had_errors || !strcmp(json, json_again));
    mem_free(written);
    mem_free(json);
    mem_free(json_again);
    config_destroy(again);
    for (size_t i = 0; i < config_section_count(config); i++) {
        struct config_section *section = config_section_at(config, i);
        const struct object_desc *desc = object_find_desc(section_name(section));
        if (desc)
            read_all(section, desc);
    }
    char *errors = config_error_text(config), *settings = config_settings_json(config), *warnings = config_warnings_json(config);
    mem_free(errors);
    mem_free(settings);
    mem_free(warnings);
    save_into(config, &memory);
    config_destroy(config);
    return 0;
}
