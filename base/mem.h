/* Memory. Nothing here returns NULL: when memory runs out the process fails safe (check_failed). Sizes that a client
 * chooses are bounded by the caller first (ERR_LIMIT). */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *mem_alloc(size_t size_bytes);                       /* zeroed */
void *mem_realloc(void *ptr, size_t size_bytes);          /* new bytes are not zeroed */
void mem_free(void *ptr);                                 /* NULL allowed */
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len_bytes);
char *mem_sprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Before anything is allocated, in a process that is to stay small: the heap gives back what is free at its end, large
 * blocks get pages of their own for good (glibc would move that limit up with the first that is freed), and threads
 * share a few heaps. */
void mem_stay_small(void);

#define MEM_NEW(type) ((type *)mem_alloc(sizeof(type)))
#define MEM_ARRAY(type, count) ((type *)mem_array(sizeof(type), (count)))
void *mem_array(size_t item_bytes, size_t count);         /* zeroed, overflow checked */

/* Allocation guard: between mem_guard_begin and mem_guard_end on a thread, mem_alloc and mem_realloc fail a CHECK.
 * Shows that a real-time path allocates nothing. Nests. */
void mem_guard_begin(void);
void mem_guard_end(void);
bool mem_is_guarded(void); /* this thread is between the two: for tests that watch malloc itself */

/* Arena: many small allocations with one lifetime (a request, a parsed file). */
struct arena {
    struct arena_block *head;
    size_t used_bytes;  /* handed out in total */
    size_t limit_bytes; /* 0: none; arena_alloc beyond it fails a CHECK, so test arena_fits first on client data */
};
void arena_init(struct arena *arena, size_t limit_bytes);
void arena_deinit(struct arena *arena);                   /* frees everything; reusable after arena_init */
void *arena_alloc(struct arena *arena, size_t size_bytes); /* zeroed, aligned to 16 */
int arena_fits(const struct arena *arena, size_t size_bytes);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t len_bytes);
char *arena_sprintf(struct arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Pool: fixed number of equal items, taken and given back without touching the heap. One thread. */
struct pool {
    void *items;
    void *free_head;
    size_t item_bytes, count, used_count;
};
void pool_init(struct pool *pool, size_t item_bytes, size_t count);
void pool_deinit(struct pool *pool);
void *pool_take(struct pool *pool); /* not zeroed; NULL when empty */
void pool_give(struct pool *pool, void *item);

#endif
