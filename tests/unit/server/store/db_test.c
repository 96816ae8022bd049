/* The database against a model: the same random puts and deletes on a JSON tree in memory. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "server/store/db.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 2000

static json_t *random_key(struct rng *rng, char parts[3][4], size_t *count)
{
    *count = 1 + rng_below(rng, 3);
    json_t *list = json_array();
    for (size_t i = 0; i < *count; i++) {
        snprintf(parts[i], 4, "k%u", (unsigned)rng_below(rng, 3));
        json_array_append_new(list, json_string(parts[i]));
    }
    if (rng_below(rng, 2))
        return list;
    char dotted[16] = "";
    for (size_t i = 0; i < *count; i++)
        sprintf(dotted + strlen(dotted), "%s%s", i ? "." : "", parts[i]);
    json_decref(list);
    return json_string(dotted);
}

static void model_put(json_t *model, char parts[3][4], size_t count, json_t *value)
{
    for (size_t i = 0; i + 1 < count; i++) {
        json_t *next = json_object_get(model, parts[i]);
        if (!json_is_object(next)) {
            next = json_object();
            json_object_set_new(model, parts[i], next);
        }
        model = next;
    }
    json_object_set(model, parts[count - 1], value);
}

static bool model_delete(json_t *model, char parts[3][4], size_t count)
{
    for (size_t i = 0; i + 1 < count && model; i++)
        model = json_object_get(model, parts[i]);
    return json_object_del(model, parts[count - 1]) == 0;
}

static void agrees_with_a_tree(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)getpid() * 2654435761u;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    struct db *db;
    rng_init(&rng, seed);
    assert_int_equal(db_open(":memory:", &db, NULL), OK);
    json_t *model = json_object();
    for (int i = 0; i < ROUNDS; i++) {
        char parts[3][4];
        size_t count;
        json_t *key = random_key(&rng, parts, &count), *old = NULL, *all = NULL;
        if (rng_below(&rng, 3)) {
            json_t *value = json_pack("{s:i}", "v", i);
            assert_int_equal(db_put(db, "ns", key, value, NULL), OK);
            model_put(model, parts, count, value);
            json_decref(value);
        } else {
            enum err err = db_delete(db, "ns", key, &old, NULL);
            assert_int_equal(err == OK, model_delete(model, parts, count));
            assert_true(err == OK || err == ERR_NOT_FOUND);
            json_decref(old);
        }
        enum err err = db_get(db, "ns", NULL, &all, NULL);
        assert_int_equal(err, json_object_size(model) > 0 ? OK : ERR_NOT_FOUND);
        assert_true(err || json_equal(all, model));
        json_decref(all);
        json_decref(key);
    }
    json_decref(model);
    db_close(db);
}

static void survives_being_reopened(void **state)
{
    (void)state;
    char path[] = "/tmp/lockstep-db-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    for (int round = 0; round < 2; round++) {
        struct db *db;
        json_t *value = NULL;
        struct err_info info;
        assert_int_equal(db_open(path, &db, &info), OK);
        if (round == 0) {
            value = json_real(0.1);
            assert_int_equal(db_put_flat(db, "flat", "a.b c", value), OK);
        } else {
            assert_int_equal(db_get_flat(db, "flat", "a.b c", &value), OK);
            assert_true(json_real_value(value) == 0.1);
        }
        json_decref(value);
        db_close(db);
    }
    char *name = mem_sprintf("%s-wal", path);
    unlink(name);
    mem_free(name);
    unlink(path);
}

static void refuses_bad_names(void **state)
{
    (void)state;
    struct db *db;
    struct err_info info;
    json_t *one = json_integer(1);
    assert_int_equal(db_open(":memory:", &db, NULL), OK);
    static const char *const BAD[] = {"\"\"", "\"a..b\"", "\".\"", "[]", "[1]", "5", "null", "[\"\"]"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        json_t *key = json_loads(BAD[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(db_put(db, "ns", key, one, &info), ERR_INVALID);
        json_decref(key);
    }
    json_t *deep = json_array();
    for (int i = 0; i <= DB_KEY_DEPTH_MAX; i++)
        json_array_append_new(deep, json_string("x"));
    assert_int_equal(db_put(db, "ns", deep, one, &info), ERR_LIMIT);
    json_decref(deep);
    json_decref(one);
    json_t *names = db_namespaces(db);
    assert_int_equal(json_array_size(names), 0);
    json_decref(names);
    db_close(db);
    assert_int_equal(db_open("/nonexistent/folder/db", &db, &info), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_a_tree),
        cmocka_unit_test(survives_being_reopened),
        cmocka_unit_test(refuses_bad_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
