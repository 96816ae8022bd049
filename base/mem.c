#include "base/mem.h"

#include "base/check.h"
#include "base/resident.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define ARENA_BLOCK_BYTES 8192
#define ARENA_ALIGN       16
#define HEAP_TRIM_BYTES   (64 * 1024)
#define HEAP_PAD_BYTES    (16 * 1024)
#define HEAP_BLOCK_BYTES  (64 * 1024)
#define HEAPS_MAX         4

static _Thread_local int guard_depth;

void mem_guard_begin(void)
{
    guard_depth++;
}

void mem_guard_end(void)
{
    CHECK(guard_depth > 0);
    guard_depth--;
}

bool mem_is_guarded(void)
{
    return guard_depth > 0;
}

#ifdef __GLIBC__
void mem_stay_small(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_TRIM_BYTES);
    (void)mallopt(M_TOP_PAD, HEAP_PAD_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_BLOCK_BYTES);
    (void)mallopt(M_ARENA_MAX, HEAPS_MAX);
}
#else
void mem_stay_small(void) {}
#endif

void *mem_alloc(size_t size_bytes)
{
    CHECK(guard_depth == 0);
    void *p = calloc(1, size_bytes ? size_bytes : 1);
    CHECK(p != NULL);
    if (resident_is_wanted())
        resident_touch(p, size_bytes);
    return p;
}

void *mem_realloc(void *ptr, size_t size_bytes)
{
    CHECK(guard_depth == 0);
    void *p = realloc(ptr, size_bytes ? size_bytes : 1);
    CHECK(p != NULL);
    return p;
}

void mem_free(void *ptr)
{
    free(ptr);
}

void *mem_array(size_t item_bytes, size_t count)
{
    CHECK(item_bytes == 0 || count <= SIZE_MAX / item_bytes);
    return mem_alloc(item_bytes * count);
}

char *mem_strndup(const char *text, size_t len_bytes)
{
    char *copy = mem_alloc(len_bytes + 1);
    memcpy(copy, text, len_bytes);
    return copy;
}

char *mem_strdup(const char *text)
{
    return mem_strndup(text, strlen(text));
}

char *mem_sprintf(const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    CHECK(len >= 0);
    char *text = mem_alloc((size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

struct arena_block {
    struct arena_block *next;
    size_t used_bytes, size_bytes;
    _Alignas(ARENA_ALIGN) char data[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

void arena_deinit(struct arena *arena)
{
    struct arena_block *block = arena->head;
    while (block) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    arena->head = NULL;
    arena->used_bytes = 0;
}

int arena_fits(const struct arena *arena, size_t size_bytes)
{
    return arena->limit_bytes == 0 ||
           (size_bytes <= arena->limit_bytes && arena->used_bytes <= arena->limit_bytes - size_bytes);
}

void *arena_alloc(struct arena *arena, size_t size_bytes)
{
    CHECK(arena_fits(arena, size_bytes));
    size_t need = (size_bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    struct arena_block *block = arena->head;
    if (!block || block->size_bytes - block->used_bytes < need) {
        size_t size = need > ARENA_BLOCK_BYTES ? need : ARENA_BLOCK_BYTES;
        block = mem_alloc(sizeof *block + size);
        block->size_bytes = size;
        /* An oversized block goes behind the head, so that the room left in the head stays in use. */
        if (arena->head && need > ARENA_BLOCK_BYTES) {
            block->next = arena->head->next;
            arena->head->next = block;
        } else {
            block->next = arena->head;
            arena->head = block;
        }
    }
    void *p = block->data + block->used_bytes;
    block->used_bytes += need;
    arena->used_bytes += size_bytes;
    return p;
}

char *arena_strndup(struct arena *arena, const char *text, size_t len_bytes)
{
    char *copy = arena_alloc(arena, len_bytes + 1);
    memcpy(copy, text, len_bytes);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_sprintf(struct arena *arena, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    CHECK(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    (void)vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    va_end(args);
    return text;
}

/* A free item holds the pointer to the next free one. */
void pool_init(struct pool *pool, size_t item_bytes, size_t count)
{
    size_t align = sizeof(void *);
    item_bytes = (item_bytes + align - 1) / align * align;
    *pool = (struct pool){.items = mem_array(item_bytes, count), .item_bytes = item_bytes, .count = count};
    for (size_t i = count; i > 0; i--) {
        void *item = (char *)pool->items + (i - 1) * item_bytes;
        memcpy(item, &pool->free_head, sizeof(void *));
        pool->free_head = item;
    }
}

void pool_deinit(struct pool *pool)
{
    mem_free(pool->items);
    *pool = (struct pool){0};
}

void *pool_take(struct pool *pool)
{
    void *item = pool->free_head;
    if (!item)
        return NULL;
    memcpy(&pool->free_head, item, sizeof(void *));
    pool->used_count++;
    return item;
}

void pool_give(struct pool *pool, void *item)
{
    CHECK(pool->used_count > 0);
    memcpy(item, &pool->free_head, sizeof(void *));
    pool->free_head = item;
    pool->used_count--;
}
