#include "server/api/console_store.h"

#include "base/mem.h"

#include <pthread.h>
#include <string.h>

#define LINE_BYTES_MAX 4096
#define TOTAL_BYTES_MAX (1u << 20) /* all entries together: a macro that prints pages must not grow the process */

struct console_store {
    pthread_mutex_t lock; /* guards all below; held for copies of text only */
    char **entries;       /* ring of JSON objects as text */
    size_t room, first, count, total_bytes;
};

struct console_store *console_store_create(size_t line_count)
{
    struct console_store *store = MEM_NEW(struct console_store);
    pthread_mutex_init(&store->lock, NULL);
    store->entries = MEM_ARRAY(char *, line_count);
    store->room = line_count;
    return store;
}

static void drop_oldest(struct console_store *store)
{
    store->total_bytes -= strlen(store->entries[store->first]);
    mem_free(store->entries[store->first]);
    store->entries[store->first] = NULL;
    store->first = (store->first + 1) % store->room;
    store->count--;
}

void console_store_destroy(struct console_store *store)
{
    if (!store)
        return;
    while (store->count > 0)
        drop_oldest(store);
    pthread_mutex_destroy(&store->lock);
    mem_free(store->entries);
    mem_free(store);
}

void console_store_add(struct console_store *store, const char *line, double time_s, bool is_command)
{
    struct strbuf entry;
    strbuf_init(&entry);
    strbuf_adds(&entry, "{\"message\":");
    strbuf_add_json_string(&entry, line, strnlen(line, LINE_BYTES_MAX));
    strbuf_adds(&entry, ",\"time\":");
    strbuf_add_json_double(&entry, time_s);
    strbuf_addf(&entry, ",\"type\":\"%s\"}", is_command ? "command" : "response");
    size_t len_bytes = entry.len_bytes;
    char *text = strbuf_take(&entry);

    pthread_mutex_lock(&store->lock);
    while (store->count == store->room || (store->count > 0 && store->total_bytes + len_bytes > TOTAL_BYTES_MAX))
        drop_oldest(store);
    store->entries[(store->first + store->count++) % store->room] = text;
    store->total_bytes += len_bytes;
    pthread_mutex_unlock(&store->lock);
}

void console_store_write(struct console_store *store, size_t count, struct strbuf *out)
{
    strbuf_addc(out, '[');
    pthread_mutex_lock(&store->lock);
    size_t skip = store->count > count ? store->count - count : 0;
    for (size_t i = skip; i < store->count; i++) {
        if (i > skip)
            strbuf_addc(out, ',');
        strbuf_adds(out, store->entries[(store->first + i) % store->room]);
    }
    pthread_mutex_unlock(&store->lock);
    strbuf_addc(out, ']');
}
