/* Map from text to pointer, in insertion order. The keys are copied, the values are the caller's. Wraps uthash. */
#ifndef BASE_STRMAP_H
#define BASE_STRMAP_H

#include <stddef.h>

struct strmap {
    struct strmap_entry *head;
};

void strmap_init(struct strmap *map);
void strmap_deinit(struct strmap *map);
void *strmap_get(const struct strmap *map, const char *key); /* NULL if absent */
void *strmap_getn(const struct strmap *map, const char *key, size_t len_bytes);
/* Set or replace; returns the value replaced, or NULL. */
void *strmap_set(struct strmap *map, const char *key, void *value);
void *strmap_remove(struct strmap *map, const char *key); /* returns the value removed, or NULL */
size_t strmap_count(const struct strmap *map);

/* for (const struct strmap_entry *e = strmap_first(map); e; e = strmap_next(e)) */
const struct strmap_entry *strmap_first(const struct strmap *map);
const struct strmap_entry *strmap_next(const struct strmap_entry *entry);
const char *strmap_key(const struct strmap_entry *entry);
void *strmap_value(const struct strmap_entry *entry);

#endif
