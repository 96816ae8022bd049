/* plan_test LOCKSTEP CASE_DIR DICT [THREADS...]: `lockstep plan` of the case's G-code through configuration, G-code,
 * engine, link and file; the bytes decoded by the tests' own decoder and compared with the recorded stream. The bytes
 * must be the same for every number of threads. */
#include "server/compare/compare.h"
#include "rig/rig_config.h"
#include "tests/sim/wire.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define OIDS_MAX 256

struct stepper {
    struct step_list *steps; /* NULL: not of interest */
    uint64_t clock;
    int dir;
};
static struct stepper by_oid[OIDS_MAX];
static struct step_list lists[COMPARE_STEPPERS_MAX];
static struct oracle oracle;

static char *read_file(const char *path, size_t *len_bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *len_bytes = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*len_bytes + 1);
    if (fread(data, 1, *len_bytes, f) != *len_bytes)
        abort();
    data[*len_bytes] = 0;
    fclose(f);
    return data;
}

/* Number of the pin in the option, whatever its modifiers. */
static long pin_of(const struct wire_dict *dict, const char *text)
{
    return text ? wire_enum_value(dict, "pin", text + strspn(text, "!^~ ")) : -1;
}

static void take_config(const struct wire_dict *dict, const struct rig_config *config, const struct wire_msg *msg)
{
    for (unsigned i = 0; i < oracle.stepper_count; i++) {
        const char *pin = rig_config_text(config, oracle.stepper[i].name, "step_pin", NULL);
        char section[COMPARE_NAME_MAX + 32];
        snprintf(section, sizeof section, "extruder_stepper %s", oracle.stepper[i].name);
        if (!pin)
            pin = rig_config_text(config, section, "step_pin", NULL);
        if (pin_of(dict, pin) == wire_get(msg, "step_pin", -2))
            by_oid[wire_get(msg, "oid", 0) & (OIDS_MAX - 1)].steps = &lists[i];
    }
}

static void take(const struct wire_dict *dict, const struct rig_config *config, const struct wire_msg *msg)
{
    struct stepper *s = &by_oid[wire_get(msg, "oid", 0) & (OIDS_MAX - 1)];
    if (strcmp(msg->name, "config_stepper") == 0)
        take_config(dict, config, msg);
    if (!s->steps)
        return;
    if (strcmp(msg->name, "set_next_step_dir") == 0)
        s->dir = wire_get(msg, "dir", 0) ? 1 : -1;
    if (strcmp(msg->name, "reset_step_clock") == 0)
        s->clock = (uint64_t)wire_get(msg, "clock", 0);
    if (strcmp(msg->name, "queue_step") != 0)
        return;
    const uint32_t interval = (uint32_t)wire_get(msg, "interval", 0);
    const uint16_t count = (uint16_t)wire_get(msg, "count", 0);
    const int16_t add = (int16_t)wire_get(msg, "add", 0);
    step_list_add_queue(s->steps, s->clock, interval, count, add, s->dir);
    s->clock = s->steps->clocks[s->steps->count - 1];
}

static bool decode(const struct wire_dict *dict, const struct rig_config *config, const char *data, size_t len_bytes)
{
    static struct wire_stream stream;
    memset(&stream, 0, sizeof stream);
    memset(by_oid, 0, sizeof by_oid);
    for (size_t at = 0; at < len_bytes; at += 1024) {
        wire_stream_add(&stream, (const uint8_t *)data + at, len_bytes - at < 1024 ? len_bytes - at : 1024);
        uint8_t block[WIRE_BLOCK_MAX];
        size_t n;
        while ((n = wire_stream_next(&stream, block)) > 0) {
            struct wire_msg msg;
            for (size_t p = 2; p < n - 3;) {
                const size_t used = wire_decode(dict, block + p, n - 3 - p, &msg);
                if (used == 0)
                    return false;
                take(dict, config, &msg);
                p += used;
            }
        }
    }
    return stream.bad_count == 0;
}

static char *plan(const char *lockstep, const char *config, const char *dict, const char *threads, size_t *len_bytes)
{
    char out[] = "/tmp/lockstep-plan-XXXXXX", command[4096];
    const int fd = mkstemp(out);
    if (fd < 0)
        return NULL;
    close(fd);
    snprintf(command, sizeof command, "'%s' plan -c '%s' -d '%s' -o '%s' --threads %s '%s' >/dev/null 2>&1", lockstep,
             config, dict, out, threads, oracle.gcode);
    char *data = system(command) == 0 ? read_file(out, len_bytes) : NULL;
    unlink(out);
    return data;
}

static bool compare(struct compare_result *results, size_t len_bytes)
{
    const struct step_list *ours[COMPARE_STEPPERS_MAX];
    for (unsigned i = 0; i < oracle.stepper_count; i++)
        ours[i] = &lists[i];
    compare_all(&oracle, ours, oracle.frequency_hz, results);
    return compare_print(stdout, &oracle, ours, results, len_bytes);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fprintf(stderr, "usage: %s LOCKSTEP CASE_DIR DICT THREADS...\n", argv[0]);
        return 2;
    }
    struct err_info info = {""};
    char path[1024];
    snprintf(path, sizeof path, "%s/printer.cfg", argv[2]);
    struct rig_config config;
    if (oracle_load(&oracle, argv[2], &info) != OK || rig_config_load(&config, path, &info) != OK) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    for (unsigned i = 0; i < oracle.stepper_count; i++)
        step_list_init(&lists[i]);
    size_t dict_bytes, len_bytes, other_bytes;
    char *json = read_file(argv[3], &dict_bytes);
    struct wire_dict *dict = json ? wire_dict_create(json, dict_bytes) : NULL;
    char *data = dict ? plan(argv[1], path, argv[3], argv[4], &len_bytes) : NULL;
    if (!data || !decode(dict, &config, data, len_bytes)) {
        fprintf(stderr, "no plan, or one that cannot be decoded\n");
        return 1;
    }
    static struct compare_result results[COMPARE_STEPPERS_MAX];
    bool passes = compare(results, len_bytes);
    for (int i = 5; i < argc; i++) {
        char *other = plan(argv[1], path, argv[3], argv[i], &other_bytes);
        if (!other || other_bytes != len_bytes || memcmp(data, other, len_bytes) != 0) {
            printf("the bytes differ with %s threads\n", argv[i]);
            passes = false;
        }
        free(other);
    }
    free(data);
    free(json);
    wire_dict_destroy(dict);
    rig_config_unload(&config);
    for (unsigned i = 0; i < oracle.stepper_count; i++)
        step_list_deinit(&lists[i]);
    oracle_unload(&oracle);
    return passes ? 0 : 1;
}
