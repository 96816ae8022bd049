#include "server/api/remote_methods.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "base/strmap.h"

#include <pthread.h>

struct remote_methods {
    pthread_mutex_t lock;  /* guards `methods` */
    struct strmap methods; /* name -> struct method, owned */
};

struct method {
    uint64_t connection_id;
};

struct remote_methods *remote_methods_create(void)
{
    struct remote_methods *r = MEM_NEW(struct remote_methods);
    pthread_mutex_init(&r->lock, NULL);
    strmap_init(&r->methods);
    return r;
}

void remote_methods_destroy(struct remote_methods *r)
{
    if (!r)
        return;
    for (const struct strmap_entry *e = strmap_first(&r->methods); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(&r->methods);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

/* The name of any method of this connection; NULL: it has none. */
static const char *any_of(const struct remote_methods *r, uint64_t connection_id)
{
    for (const struct strmap_entry *e = strmap_first(&r->methods); e; e = strmap_next(e))
        if (((const struct method *)strmap_value(e))->connection_id == connection_id)
            return strmap_key(e);
    return NULL;
}

enum err remote_methods_add(struct remote_methods *r, const char *name, uint64_t connection_id, struct err_info *info)
{
    enum err err = OK;
    pthread_mutex_lock(&r->lock);
    const struct method *known = strmap_get(&r->methods, name);
    if (known && known->connection_id != connection_id) {
        err = err_set(info, ERR_STATE, "Remote method '%s' is registered by another connection", name);
    } else if (!known && strmap_count(&r->methods) >= REMOTE_METHODS_MAX) {
        err = err_set(info, ERR_LIMIT, "Too many remote methods (allowed: %d)", REMOTE_METHODS_MAX);
    } else if (!known) {
        struct method *method = MEM_NEW(struct method);
        method->connection_id = connection_id;
        (void)strmap_set(&r->methods, name, method);
    }
    pthread_mutex_unlock(&r->lock);
    return err;
}

void remote_methods_forget(struct remote_methods *r, uint64_t connection_id)
{
    const char *name;
    pthread_mutex_lock(&r->lock);
    while ((name = any_of(r, connection_id)) != NULL)
        mem_free(strmap_remove(&r->methods, name));
    pthread_mutex_unlock(&r->lock);
}

uint64_t remote_methods_find(struct remote_methods *r, const char *name)
{
    pthread_mutex_lock(&r->lock);
    const struct method *method = strmap_get(&r->methods, name);
    uint64_t id = method ? method->connection_id : 0;
    pthread_mutex_unlock(&r->lock);
    return id;
}
