/* Published status: values and versions, unchanged fields keep theirs, snapshots that are held do not change, and readers on
 * other threads always see whole snapshots. */
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/machine/object.h"
#include "server/machine/status.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fake {
    struct printer_object obj;
    double number;
    const char *text;
    uint64_t revision;
    unsigned built; /* how often the costly field was made */
    bool has_extra;
};

static void write_all(struct printer_object *obj, struct status_writer *w)
{
    struct fake *f = (struct fake *)obj;
    status_float(w, "number", f->number);
    status_float_round(w, "rounded", f->number, 2);
    status_int(w, "count", (int64_t)f->number);
    status_bool(w, "flag", f->number > 1);
    status_string(w, "text", f->text);
    if (f->has_extra)
        status_null(w, "extra");
    if (status_needs(w, "costly", f->revision)) {
        f->built++;
        strbuf_addf(status_begin_json(w, "costly"), "[%u]", (unsigned)f->revision);
        status_end_json(w);
    }
    status_floats(w, "coords", (double[]){f->number, 0}, 2);
}

static const char *json(const struct status_snapshot *s, const char *object, const char *field, uint64_t *version)
{
    const struct status_object *o = status_find(s, object, strlen(object));
    const struct status_field *f = o ? status_find_field(o, field, strlen(field)) : NULL;
    if (f && version)
        *version = f->version;
    return f ? f->json : NULL;
}

static void test_values_and_versions(void **state)
{
    (void)state;
    struct status_hub *hub = status_hub_create();
    const struct status_snapshot *empty = status_acquire(hub);
    assert_int_equal(empty->object_count, 0);
    status_release(hub, empty);

    status_hub_reset(hub);
    struct status_entry *b = status_entry_create(hub, "b x"), *a = status_entry_create(hub, "a");
    struct fake fa = {.number = 1.005, .text = NULL, .revision = 7}, fb = {.number = 2, .text = "q\"", .revision = 1};
    assert_true(status_entry_refresh(a, &fa.obj, write_all));
    assert_true(status_entry_refresh(b, &fb.obj, write_all));
    assert_true(status_publish(hub, 5.5));
    assert_false(status_publish(hub, 5.6));

    const struct status_snapshot *s = status_acquire(hub);
    uint64_t v1, v2;
    assert_int_equal(s->object_count, 2);
    assert_string_equal(s->objects[0]->name, "a");
    assert_true(s->eventtime_s == 5.5);
    assert_string_equal(json(s, "a", "number", &v1), "1.005");
    assert_string_equal(json(s, "b x", "text", NULL), "\"q\\\"\"");
    assert_string_equal(json(s, "a", "text", NULL), "null");
    assert_string_equal(json(s, "a", "rounded", NULL), "1.0");
    assert_string_equal(json(s, "a", "flag", NULL), "true");
    assert_string_equal(json(s, "a", "coords", NULL), "[1.005, 0.0]");
    assert_string_equal(json(s, "a", "costly", NULL), "[7]");
    assert_null(json(s, "a", "nothing", NULL));
    assert_null(json(s, "c", "number", NULL));

    fa.number = 210.128;
    fa.has_extra = true;
    assert_true(status_entry_refresh(a, &fa.obj, write_all));
    assert_false(status_entry_refresh(b, &fb.obj, write_all));
    assert_true(status_publish(hub, 6));
    const struct status_snapshot *t = status_acquire(hub);
    assert_string_equal(json(t, "a", "rounded", &v2), "210.13");
    assert_true(v2 > v1 && v2 == t->version);
    assert_string_equal(json(t, "a", "costly", &v2), "[7]");
    assert_true(v2 == v1);
    assert_int_equal(fa.built, 1);
    assert_string_equal(json(t, "a", "extra", NULL), "null");
    assert_ptr_equal(s->objects[1], t->objects[1]); /* unchanged objects are shared */
    assert_string_equal(json(s, "a", "number", NULL), "1.005"); /* the held one has not moved */
    status_release(hub, s);
    status_release(hub, t);
    status_entry_destroy(a);
    status_entry_destroy(b);
    assert_true(status_publish(hub, 7));
    s = status_acquire(hub);
    assert_int_equal(s->object_count, 0);
    status_release(hub, s);
    status_hub_destroy(hub);
}

static void test_not_a_number(void **state)
{
    (void)state;
    struct status_hub *hub = status_hub_create();
    struct status_entry *e = status_entry_create(hub, "e");
    struct fake f = {.number = 1e300};
    (void)status_entry_refresh(e, &f.obj, write_all);
    f.number = -0.001;
    (void)status_entry_refresh(e, &f.obj, write_all);
    status_publish(hub, 1);
    const struct status_snapshot *s = status_acquire(hub);
    assert_string_equal(json(s, "e", "rounded", NULL), "0.0"); /* no minus zero */
    status_release(hub, s);
    status_entry_destroy(e);
    status_hub_destroy(hub);
}

/* --- readers on other threads --- */

struct race {
    struct status_hub *hub;
    atomic_bool is_over;
    atomic_uint torn;
    atomic_ullong reads;
};

static void write_pair(struct printer_object *obj, struct status_writer *w)
{
    struct fake *f = (struct fake *)obj;
    status_float(w, "x", f->number);
    status_float(w, "y", -f->number);
}

static void *read_often(void *arg)
{
    struct race *race = arg;
    uint64_t last = 0;
    while (!atomic_load(&race->is_over)) {
        const struct status_snapshot *s = status_acquire(race->hub);
        if (s->version < last)
            atomic_fetch_add(&race->torn, 1);
        last = s->version;
        for (size_t i = 0; i < s->object_count; i++) {
            const struct status_object *o = s->objects[i];
            if (o->field_count < 2)
                continue; /* not written yet */
            double x = strtod(o->fields[0].json, NULL), y = strtod(o->fields[1].json, NULL);
            if (x != -y || o->version > s->version)
                atomic_fetch_add(&race->torn, 1);
        }
        status_release(race->hub, s);
        atomic_fetch_add(&race->reads, 1);
    }
    return NULL;
}

static void test_readers_see_whole_snapshots(void **state)
{
    (void)state;
    struct race race = {.hub = status_hub_create()};
    struct status_entry *entries[3];
    struct fake fakes[3] = {0};
    for (int i = 0; i < 3; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "o%d", i);
        entries[i] = status_entry_create(race.hub, name);
    }
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, &race), 0);
    for (int n = 1; n < 20000; n++) {
        fakes[n % 3].number = n;
        (void)status_entry_refresh(entries[n % 3], &fakes[n % 3].obj, write_pair);
        (void)status_publish(race.hub, n);
    }
    atomic_store(&race.is_over, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    print_message("%llu reads\n", (unsigned long long)atomic_load(&race.reads));
    assert_int_equal(atomic_load(&race.torn), 0);
    for (int i = 0; i < 3; i++)
        status_entry_destroy(entries[i]);
    status_hub_destroy(race.hub);
}

/* All slots held: the publish waits for the next, and nothing is lost. */
static void test_all_slots_held(void **state)
{
    (void)state;
    struct status_hub *hub = status_hub_create();
    struct status_entry *e = status_entry_create(hub, "e");
    struct fake f = {0};
    const struct status_snapshot *held[STATUS_SNAPSHOTS_MAX];
    for (int i = 0; i < STATUS_SNAPSHOTS_MAX; i++) {
        held[i] = status_acquire(hub);
        f.number = i;
        (void)status_entry_refresh(e, &f.obj, write_pair);
        assert_int_equal(status_publish(hub, i), i < STATUS_SNAPSHOTS_MAX - 1);
    }
    status_release(hub, held[0]);
    assert_true(status_publish(hub, 500));
    const struct status_snapshot *s = status_acquire(hub);
    assert_string_equal(json(s, "e", "x", NULL), "127.0");
    status_release(hub, s);
    for (int i = 1; i < STATUS_SNAPSHOTS_MAX; i++)
        status_release(hub, held[i]);
    status_entry_destroy(e);
    status_hub_destroy(hub);
}

/* Without readers that hold on, two snapshots take turns: old versions are not kept. */
static void test_slots_reused(void **state)
{
    (void)state;
    struct status_hub *hub = status_hub_create();
    struct status_entry *e = status_entry_create(hub, "e");
    struct fake f = {0};
    const struct status_snapshot *seen[2] = {NULL, NULL};
    for (int i = 0; i < 1000; i++) {
        f.number = i;
        (void)status_entry_refresh(e, &f.obj, write_pair);
        assert_true(status_publish(hub, i));
        const struct status_snapshot *s = status_acquire(hub);
        if (!seen[i % 2])
            seen[i % 2] = s;
        assert_ptr_equal(s, seen[i % 2]);
        status_release(hub, s);
    }
    assert_ptr_not_equal(seen[0], seen[1]);
    status_entry_destroy(e);
    status_hub_destroy(hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_versions),
        cmocka_unit_test(test_slots_reused),
        cmocka_unit_test(test_not_a_number),
        cmocka_unit_test(test_readers_see_whole_snapshots),
        cmocka_unit_test(test_all_slots_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
