/* Intrusive doubly linked list with a sentinel head: no special case for the ends. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head->prev = head;
}
static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}
static inline void list_insert_before(struct list *pos, struct list *node)
{
    node->prev = pos->prev;
    node->next = pos;
    pos->prev->next = node;
    pos->prev = node;
}
static inline void list_append(struct list *head, struct list *node)
{
    list_insert_before(head, node);
}
static inline void list_prepend(struct list *head, struct list *node)
{
    list_insert_before(head->next, node);
}
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->next = node->prev = node;
}
#define LIST_FOREACH(node, head) for (struct list *node = (head)->next; node != (head); node = node->next)
/* Safe against removal of `node`. */
#define LIST_FOREACH_SAFE(node, tmp, head)                                                                            \
    for (struct list *node = (head)->next, *tmp = node->next; node != (head); node = tmp, tmp = node->next)

#endif
