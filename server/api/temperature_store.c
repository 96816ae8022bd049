#include "server/api/temperature_store.h"

#include "base/mem.h"
#include "base/strmap.h"
#include "server/machine/status.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SENSOR_COUNT_MAX 128

enum series_kind { SERIES_TEMPERATURE, SERIES_TARGET, SERIES_POWER, SERIES_SPEED, SERIES_COUNT };

static const char *const FIELDS[SERIES_COUNT] = {"temperature", "target", "power", "speed"};
static const char *const KEYS[SERIES_COUNT] = {"temperatures", "targets", "powers", "speeds"};

struct sensor {
    float *series[SERIES_COUNT]; /* rings; NULL: the object has no such field. NaN: no data then */
    size_t first, count;
    bool is_monitor, is_seen;
};

struct temperature_store {
    pthread_mutex_t lock; /* guards all below */
    struct strmap sensors; /* name -> struct sensor */
    size_t room;
};

struct temperature_store *temperature_store_create(size_t sample_count)
{
    struct temperature_store *store = MEM_NEW(struct temperature_store);
    pthread_mutex_init(&store->lock, NULL);
    strmap_init(&store->sensors);
    store->room = sample_count;
    return store;
}

static void sensor_free(struct sensor *sensor)
{
    if (!sensor)
        return;
    for (size_t i = 0; i < SERIES_COUNT; i++)
        mem_free(sensor->series[i]);
    mem_free(sensor);
}

void temperature_store_destroy(struct temperature_store *store)
{
    if (!store)
        return;
    for (const struct strmap_entry *e = strmap_first(&store->sensors); e; e = strmap_next(e))
        sensor_free(strmap_value(e));
    strmap_deinit(&store->sensors);
    pthread_mutex_destroy(&store->lock);
    mem_free(store);
}

/* The value of a numeric field; NaN if it is null or not there. */
static float read_field(const struct status_object *object, const char *name, bool *exists)
{
    const struct status_field *field = object ? status_find_field(object, name, strlen(name)) : NULL;
    *exists = field != NULL;
    if (!field)
        return NAN;
    char text[64];
    if (field->json_len == 0 || field->json_len >= sizeof text)
        return NAN;
    memcpy(text, field->json, field->json_len);
    text[field->json_len] = 0;
    char *end;
    float value = strtof(text, &end);
    return end == text ? NAN : value;
}

static void push(struct temperature_store *store, struct sensor *sensor, const struct status_object *object)
{
    size_t at = (sensor->first + sensor->count) % store->room;
    for (size_t i = 0; i < SERIES_COUNT; i++) {
        bool exists;
        float value = read_field(object, FIELDS[i], &exists);
        if (exists && !sensor->series[i]) {
            sensor->series[i] = MEM_ARRAY(float, store->room);
            for (size_t k = 0; k < store->room; k++)
                sensor->series[i][k] = NAN;
        }
        if (sensor->series[i])
            sensor->series[i][at] = value;
    }
    if (sensor->count < store->room)
        sensor->count++;
    else
        sensor->first = (sensor->first + 1) % store->room;
}

/* Sample every object that the JSON list in heaters.<field> names. */
static void sample_list(struct temperature_store *store, const struct status_snapshot *snapshot, const char *field_name,
                        bool is_monitor)
{
    const struct status_object *heaters = status_find(snapshot, "heaters", 7);
    const struct status_field *field = heaters ? status_find_field(heaters, field_name, strlen(field_name)) : NULL;
    json_t *names = field ? json_loadb(field->json, field->json_len, 0, NULL) : NULL;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        if (!name)
            continue;
        struct sensor *sensor = strmap_get(&store->sensors, name);
        if (!sensor) {
            if (strmap_count(&store->sensors) == SENSOR_COUNT_MAX)
                break;
            sensor = MEM_NEW(struct sensor);
            sensor->is_monitor = is_monitor;
            strmap_set(&store->sensors, name, sensor);
        }
        if (!sensor->is_seen)
            push(store, sensor, status_find(snapshot, name, strlen(name)));
        sensor->is_seen = true;
    }
    json_decref(names);
}

/* Sensors that the present printer does not have are forgotten. */
static void drop_unseen(struct temperature_store *store)
{
    for (const struct strmap_entry *e = strmap_first(&store->sensors); e;) {
        struct sensor *sensor = strmap_value(e);
        const char *name = strmap_key(e);
        e = strmap_next(e);
        if (!sensor->is_seen)
            sensor_free(strmap_remove(&store->sensors, name));
        else
            sensor->is_seen = false;
    }
}

void temperature_store_sample(struct temperature_store *store, struct status_hub *hub)
{
    const struct status_snapshot *snapshot = status_acquire(hub);
    pthread_mutex_lock(&store->lock);
    if (status_find(snapshot, "heaters", 7)) { /* none between two printers: keep what we have */
        sample_list(store, snapshot, "available_sensors", false);
        sample_list(store, snapshot, "available_monitors", true);
        drop_unseen(store);
    }
    pthread_mutex_unlock(&store->lock);
    status_release(hub, snapshot);
}

static void write_series(const struct temperature_store *store, const struct sensor *sensor, size_t kind, struct strbuf *out)
{
    strbuf_addf(out, "\"%s\":[", KEYS[kind]);
    for (size_t i = 0; i < sensor->count; i++) {
        if (i > 0)
            strbuf_addc(out, ',');
        double value = (double)sensor->series[kind][(sensor->first + i) % store->room];
        strbuf_add_json_double(out, round(value * 100) / 100); /* two decimals, as the objects report them */
    }
    strbuf_addc(out, ']');
}

void temperature_store_write(struct temperature_store *store, bool with_monitors, struct strbuf *out)
{
    const char *separator = "";
    strbuf_addc(out, '{');
    pthread_mutex_lock(&store->lock);
    for (const struct strmap_entry *e = strmap_first(&store->sensors); e; e = strmap_next(e)) {
        const struct sensor *sensor = strmap_value(e);
        if (sensor->is_monitor && !with_monitors)
            continue;
        strbuf_adds(out, separator);
        strbuf_add_json_string(out, strmap_key(e), strlen(strmap_key(e)));
        strbuf_adds(out, ":{");
        const char *comma = "";
        for (size_t i = 0; i < SERIES_COUNT; i++) {
            if (!sensor->series[i])
                continue;
            strbuf_adds(out, comma);
            write_series(store, sensor, i, out);
            comma = ",";
        }
        strbuf_addc(out, '}');
        separator = ",";
    }
    pthread_mutex_unlock(&store->lock);
    strbuf_addc(out, '}');
}
