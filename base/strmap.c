#include "base/strmap.h"

#include "base/check.h"
#include "base/mem.h"

#include <string.h>

#define uthash_malloc(size)    mem_alloc(size)
#define uthash_free(ptr, size) mem_free(ptr)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#include <uthash.h>

struct strmap_entry {
    char *key;
    void *value;
    UT_hash_handle hh;
};

void strmap_init(struct strmap *map)
{
    map->head = NULL;
}

void strmap_deinit(struct strmap *map)
{
    struct strmap_entry *entry, *next;
    HASH_ITER(hh, map->head, entry, next) {
        HASH_DEL(map->head, entry);
        mem_free(entry->key);
        mem_free(entry);
    }
}

static struct strmap_entry *find(const struct strmap *map, const char *key, size_t len_bytes)
{
    struct strmap_entry *entry = NULL;
    HASH_FIND(hh, map->head, key, (unsigned)len_bytes, entry);
    return entry;
}

void *strmap_getn(const struct strmap *map, const char *key, size_t len_bytes)
{
    struct strmap_entry *entry = find(map, key, len_bytes);
    return entry ? entry->value : NULL;
}

void *strmap_get(const struct strmap *map, const char *key)
{
    return strmap_getn(map, key, strlen(key));
}

void *strmap_set(struct strmap *map, const char *key, void *value)
{
    struct strmap_entry *entry = find(map, key, strlen(key));
    if (entry) {
        void *old = entry->value;
        entry->value = value;
        return old;
    }
    entry = MEM_NEW(struct strmap_entry);
    entry->key = mem_strdup(key);
    entry->value = value;
    HASH_ADD_KEYPTR(hh, map->head, entry->key, (unsigned)strlen(entry->key), entry);
    return NULL;
}

void *strmap_remove(struct strmap *map, const char *key)
{
    struct strmap_entry *entry = find(map, key, strlen(key));
    if (!entry)
        return NULL;
    void *value = entry->value;
    HASH_DEL(map->head, entry);
    mem_free(entry->key);
    mem_free(entry);
    return value;
}

size_t strmap_count(const struct strmap *map)
{
    return HASH_COUNT(map->head);
}
#pragma GCC diagnostic pop

const struct strmap_entry *strmap_first(const struct strmap *map)
{
    return map->head;
}

const struct strmap_entry *strmap_next(const struct strmap_entry *entry)
{
    return entry->hh.next;
}

const char *strmap_key(const struct strmap_entry *entry)
{
    return entry->key;
}

void *strmap_value(const struct strmap_entry *entry)
{
    return entry->value;
}
