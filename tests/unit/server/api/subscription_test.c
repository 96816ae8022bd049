/* The first full status with all later deltas laid over it is the full status of now. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/strbuf.h"
#include "server/api/subscription.h"
#include "server/machine/status.h"

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#define OBJECTS 6
#define FIELDS 4

struct shown {
    int64_t values[FIELDS];
};

static void show(struct printer_object *object, struct status_writer *writer)
{
    static const char *const NAMES[FIELDS] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < FIELDS; i++)
        status_int(writer, NAMES[i], ((struct shown *)object)->values[i]);
}

static json_t *write_all(const char *wanted, struct status_hub *hub)
{
    struct subscription *sub;
    json_t *objects = json_loads(wanted, 0, NULL);
    assert_int_equal(subscription_create(objects, &sub, NULL), OK);
    const struct status_snapshot *snapshot = status_acquire(hub);
    struct strbuf text = {.data = NULL};
    subscription_write_all(sub, snapshot, &text);
    status_release(hub, snapshot);
    json_t *all = json_loads(text.data, 0, NULL);
    assert_non_null(all);
    strbuf_deinit(&text);
    subscription_destroy(sub);
    json_decref(objects);
    return all;
}

static void lay_over(json_t *full, const json_t *delta)
{
    const char *name;
    json_t *fields;
    json_object_foreach((json_t *)delta, name, fields)
    {
        assert_true(json_object_size(fields) > 0);
        json_object_update(json_object_get(full, name), fields);
    }
}

static void deltas_add_up(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)getpid() * 31u;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    static const char WANTED[] = "{\"o0\":null,\"o1\":[\"a\",\"c\"],\"o2\":[],\"o3\":[\"b\",\"nope\"],\"o9\":null,\"o4\":null}";
    struct status_hub *hub = status_hub_create();
    struct shown shown[OBJECTS] = {0};
    struct status_entry *entries[OBJECTS];
    for (int i = 0; i < OBJECTS; i++) {
        char name[24];
        snprintf(name, sizeof name, "o%d", i);
        entries[i] = status_entry_create(hub, name);
        status_entry_refresh(entries[i], (struct printer_object *)&shown[i], show);
    }
    status_publish(hub, 1);
    json_t *objects = json_loads(WANTED, 0, NULL), *full = write_all(WANTED, hub);
    struct subscription *sub;
    assert_int_equal(subscription_create(objects, &sub, NULL), OK);
    struct strbuf text = {.data = NULL};
    const struct status_snapshot *snapshot = status_acquire(hub);
    subscription_write_all(sub, snapshot, &text);
    status_release(hub, snapshot);
    unsigned sent = 0;
    for (int round = 0; round < 3000; round++) {
        for (unsigned k = 0; k < rng_below(&rng, 4); k++) {
            unsigned i = (unsigned)rng_below(&rng, OBJECTS);
            shown[i].values[rng_below(&rng, FIELDS)] = (int64_t)rng_below(&rng, 3);
            status_entry_refresh(entries[i], (struct printer_object *)&shown[i], show);
        }
        status_publish(hub, 2 + round);
        if (rng_below(&rng, 3) == 0) /* a slow client: several publishes become one delta */
            continue;
        strbuf_clear(&text);
        snapshot = status_acquire(hub);
        if (subscription_write_changes(sub, snapshot, &text)) {
            json_t *delta = json_loads(text.data, 0, NULL);
            assert_non_null(delta);
            assert_true(json_object_size(delta) > 0);
            lay_over(full, delta);
            json_decref(delta);
            sent++;
        } else {
            assert_int_equal(text.len_bytes, 0);
        }
        status_release(hub, snapshot);
        json_t *now = write_all(WANTED, hub);
        assert_true(json_equal(full, now));
        json_decref(now);
    }
    assert_true(sent > 500);
    strbuf_deinit(&text);
    subscription_destroy(sub);
    json_decref(objects);
    json_decref(full);
    for (int i = 0; i < OBJECTS; i++)
        status_entry_destroy(entries[i]);
    status_hub_destroy(hub);
}

static void refuses_bad_selections(void **state)
{
    (void)state;
    static const char *const BAD[] = {"[]", "{\"a\":5}", "{\"a\":\"b\"}", "{\"a\":[1]}", "{\"a\":{}}", "{\"a\":[[\"b\"]]}"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct subscription *sub;
        json_t *objects = json_loads(BAD[i], 0, NULL);
        assert_int_equal(subscription_create(objects, &sub, NULL), ERR_INVALID);
        json_decref(objects);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(deltas_add_up), cmocka_unit_test(refuses_bad_selections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
