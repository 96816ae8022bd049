/* The command table: names to handlers, and commands shared by several objects (mux). */
#include "base/check.h"
#include "base/mem.h"
#include "server/gcode/private.h"

#include <string.h>

/* The instances of a shared command. */
struct mux {
    char *key;
    struct strmap by_value; /* of struct mux_instance */
    struct mux_instance *default_instance;
};

struct mux_instance {
    gcode_handler_fn *fn;
    void *ctx;
};

static void mux_destroy(struct mux *mux)
{
    if (!mux)
        return;
    for (const struct strmap_entry *e = strmap_first(&mux->by_value); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(&mux->by_value);
    mem_free(mux->default_instance);
    mem_free(mux->key);
    mem_free(mux);
}

static void entry_destroy(struct entry *entry)
{
    list_remove(&entry->node);
    mux_destroy(entry->mux);
    mem_free(entry->name);
    mem_free(entry->help);
    mem_free(entry);
}

void table_init(struct table *table)
{
    strmap_init(&table->by_name);
    list_init(&table->order);
    table->version = 1;
}

void table_deinit(struct table *table)
{
    LIST_FOREACH_SAFE(node, tmp, &table->order)
    {
        entry_destroy(CONTAINER_OF(node, struct entry, node));
    }
    strmap_deinit(&table->by_name);
}

struct entry *table_find(const struct table *table, const char *name, size_t len_bytes)
{
    return strmap_getn(&table->by_name, name, len_bytes);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

bool gcode_is_traditional(const char *name)
{
    char first = name[0];
    if (!(is_upper(first) || (first >= 'a' && first <= 'z')) || !is_digit(name[1]))
        return false;
    double number;
    return gcode_parse_double(name + 1, strlen(name + 1), &number) == OK;
}

/* Traditional, or [A-Z_][A-Z0-9_]* whose second character is no digit. */
static bool is_valid_name(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > GCODE_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] >= 'a' && name[i] <= 'z')
            return false;
    if (gcode_is_traditional(name))
        return true;
    if (is_digit(name[0]) || is_digit(name[1]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_upper(name[i]) && !is_digit(name[i]) && name[i] != '_')
            return false;
    return true;
}

static enum err check_new_name(const struct gcode *g, const char *name, struct err_info *info)
{
    if (!is_valid_name(name))
        return err_set(info, ERR_INVALID, "Can't register '%s' as it is an invalid name", name);
    if (gcode_has_command(g, name))
        return err_set(info, ERR_EXISTS, "gcode command %s already registered", name);
    return OK;
}

static struct entry *add_entry(struct table *table, const struct gcode_def *def, void *ctx)
{
    struct entry *entry = MEM_NEW(struct entry);
    entry->name = mem_strdup(def->name);
    entry->help = def->help ? mem_strdup(def->help) : NULL;
    entry->when_not_ready = def->when_not_ready;
    entry->is_traditional = gcode_is_traditional(def->name);
    entry->takes_text = def->takes_text;
    entry->fn = def->fn;
    entry->ctx = ctx;
    list_append(&table->order, &entry->node);
    strmap_set(&table->by_name, entry->name, entry);
    table->version++;
    return entry;
}

enum err gcode_register(struct gcode *g, const struct gcode_def *def, void *ctx, struct err_info *info)
{
    CHECK(def->fn);
    enum err e = check_new_name(g, def->name, info);
    if (e)
        return e;
    add_entry(&g->table, def, ctx);
    return OK;
}

bool gcode_unregister(struct gcode *g, const char *name)
{
    struct entry *entry = strmap_remove(&g->table.by_name, name);
    if (!entry)
        return false;
    entry_destroy(entry);
    g->table.version++;
    return true;
}

enum err gcode_rename(struct gcode *g, const char *old_name, const char *new_name, struct err_info *info)
{
    struct entry *entry = table_find(&g->table, old_name, strlen(old_name));
    if (gcode_is_traditional(old_name) != gcode_is_traditional(new_name))
        return err_set(info, ERR_INVALID, "G-Code macro rename of different types ('%s' vs '%s')", old_name, new_name);
    if (!entry)
        return err_set(info, ERR_NOT_FOUND, "Existing command '%s' not found in gcode_macro rename", old_name);
    enum err e = check_new_name(g, new_name, info);
    if (e)
        return e;
    strmap_remove(&g->table.by_name, old_name);
    mem_free(entry->help);
    entry->help = mem_sprintf("Renamed builtin of '%s'", old_name);
    mem_free(entry->name);
    entry->name = mem_strdup(new_name);
    list_remove(&entry->node);
    list_append(&g->table.order, &entry->node);
    strmap_set(&g->table.by_name, entry->name, entry);
    g->table.version++;
    return OK;
}

void gcode_watch(struct gcode *g, const char *name, gcode_watch_fn *fn, void *ctx)
{
    struct entry *entry = table_find(&g->table, name, strlen(name));
    if (!entry)
        return;
    entry->watch = fn;
    entry->watch_name = name;
    entry->watch_ctx = ctx;
}

/* --- commands shared by several objects --- */

static enum err run_mux(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const struct mux *mux = ctx;
    const char *value = NULL;
    const struct mux_instance *instance = mux->default_instance;
    if (!instance || gcode_has(cmd, mux->key)) {
        enum err e = gcode_get_str(cmd, mux->key, &value, info);
        if (e)
            return e;
        instance = strmap_get(&mux->by_value, value);
    }
    if (!instance)
        return err_set(info, ERR_NOT_FOUND, "The value '%s' is not valid for %s", value, mux->key);
    return instance->fn(instance->ctx, cmd, info);
}

static struct mux *mux_create(const char *key)
{
    struct mux *mux = MEM_NEW(struct mux);
    mux->key = mem_strdup(key);
    strmap_init(&mux->by_value);
    return mux;
}

enum err gcode_register_mux(struct gcode *g, const struct gcode_def *def, const char *key, const char *value, void *ctx,
                            struct err_info *info)
{
    struct entry *entry = table_find(&g->table, def->name, strlen(def->name));
    if (entry && !entry->mux)
        return err_set(info, ERR_EXISTS, "gcode command %s already registered", def->name);
    if (entry && strcmp(entry->mux->key, key) != 0)
        return err_set(info, ERR_INVALID, "mux command %s %s %s may have only one key (%s)", def->name, key,
                       value ? value : "None", entry->mux->key);
    bool exists = entry && (value ? strmap_get(&entry->mux->by_value, value) : entry->mux->default_instance) != NULL;
    if (exists)
        return err_set(info, ERR_EXISTS, "mux command %s %s %s already registered", def->name, key,
                       value ? value : "None");
    if (!entry) {
        enum err e = check_new_name(g, def->name, info);
        if (e)
            return e;
        struct gcode_def shared = *def;
        shared.fn = run_mux;
        entry = add_entry(&g->table, &shared, NULL);
        entry->mux = mux_create(key);
        entry->ctx = entry->mux;
    }
    struct mux_instance *instance = MEM_NEW(struct mux_instance);
    instance->fn = def->fn;
    instance->ctx = ctx;
    if (value)
        strmap_set(&entry->mux->by_value, value, instance);
    else
        entry->mux->default_instance = instance;
    return OK;
}

/* --- looking at the table --- */

bool gcode_has_command(const struct gcode *g, const char *name)
{
    return table_find(&g->table, name, strlen(name)) != NULL;
}

void *gcode_command_ctx(const struct gcode *g, const char *name)
{
    const struct entry *entry = table_find(&g->table, name, strlen(name));
    return entry ? entry->ctx : NULL;
}

void gcode_visit_commands(const struct gcode *g, gcode_visit_fn *fn, void *ctx)
{
    LIST_FOREACH(node, &g->table.order)
    {
        const struct entry *entry = CONTAINER_OF(node, struct entry, node);
        if (g->is_ready || entry->when_not_ready)
            fn(ctx, entry->name, entry->help ? entry->help : "");
    }
}

uint64_t gcode_commands_version(const struct gcode *g)
{
    return g->table.version;
}
