#include "tests/api/fake_printer.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/mem.h"
#include "server/api/api.h"
#include "server/machine/status.h"
#include "server/store/jsontext.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TICK_S 0.1
#define OBJECTS_MAX 200

struct fake_printer {
    struct runtime *runtime;
    struct actor actor;
    struct api *api;
    struct api_backend backend;
    struct status_hub *hub;
    struct fiber_pool *fibers;
    json_t *status; /* {name: {field: value}} */
    struct status_entry *entries[OBJECTS_MAX];
    size_t object_count;
    char *gcode_dir;
    bool is_started, wants_restart, is_shutdown;
    double ticks;
    struct host_ns next_tick;
    const char *mmu_state;
};

static const char BUILT_IN[] =
    "{\"webhooks\":{\"state\":\"ready\",\"state_message\":\"Printer is ready\"},"
    "\"toolhead\":{\"position\":[0.0,0.0,0.0,0.0],\"homed_axes\":\"\",\"max_velocity\":300.0},"
    "\"heaters\":{\"available_heaters\":[\"extruder\"],\"available_sensors\":[\"extruder\"],\"available_monitors\":[]},"
    "\"extruder\":{\"temperature\":25.02,\"target\":0.0,\"power\":0.0},"
    "\"print_stats\":{\"filename\":\"\",\"state\":\"standby\",\"message\":\"\"},"
    "\"virtual_sdcard\":{\"file_path\":null,\"progress\":0.0,\"is_active\":false},"
    "\"display_status\":{\"progress\":0.0,\"message\":null},\"pause_resume\":{\"is_paused\":false}}";

static void set_field(struct fake_printer *fake, const char *object, const char *field, json_t *take_value)
{
    json_object_set_new(json_object_get(fake->status, object), field, take_value);
}

static void show_fields(struct printer_object *object, struct status_writer *writer)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        jsontext_add(status_begin_json(writer, name), value);
        status_end_json(writer);
    }
}

static void publish(struct fake_printer *fake)
{
    size_t i = 0;
    const char *name;
    json_t *fields;
    json_object_foreach(fake->status, name, fields)
        if (i < fake->object_count)
            status_entry_refresh(fake->entries[i++], (struct printer_object *)fields, show_fields);
    status_publish(fake->hub, (double)runtime_now(fake->runtime).ns * 1e-9);
}

static void create_objects(struct fake_printer *fake)
{
    const char *name;
    json_t *fields;
    json_object_foreach(fake->status, name, fields)
        if (fake->object_count < OBJECTS_MAX)
            fake->entries[fake->object_count++] = status_entry_create(fake->hub, name);
}

static void destroy_objects(struct fake_printer *fake)
{
    for (size_t i = 0; i < fake->object_count; i++)
        status_entry_destroy(fake->entries[i]);
    fake->object_count = 0;
}

static void become(struct fake_printer *fake, enum api_klippy state, const char *name, const char *message)
{
    if (json_object_get(fake->status, "webhooks")) {
        set_field(fake, "webhooks", "state", json_string(name));
        set_field(fake, "webhooks", "state_message", json_string(message));
    }
    publish(fake);
    api_event_klippy(fake->api, state, message);
}

static void shut_down(struct fake_printer *fake, const char *message)
{
    fake->is_shutdown = true;
    become(fake, API_KLIPPY_SHUTDOWN, "shutdown", message);
}

/* --- what the API asks --- */

static void wake(void *ctx)
{
    actor_notify(&((struct fake_printer *)ctx)->actor);
}

static struct fiber_pool *fibers(void *ctx)
{
    return ((struct fake_printer *)ctx)->fibers;
}

static bool is_emergency(void *ctx, const char *script)
{
    (void)ctx;
    return strstr(script, "M112") != NULL;
}

static void emergency_stop(void *ctx)
{
    shut_down(ctx, "Shutdown due to webhooks request\nOnce the underlying issue is corrected, use the\n"
                   "\"FIRMWARE_RESTART\" command to reset the firmware, reload the\nconfig, and restart the host software.\n"
                   "Printer is shutdown\n");
}

static enum err restart(void *ctx, bool is_firmware, struct err_info *info)
{
    (void)is_firmware, (void)info;
    struct fake_printer *fake = ctx;
    fake->wants_restart = true;
    actor_notify(&fake->actor);
    return OK;
}

static enum err run_line(struct fake_printer *fake, const char *line, struct err_info *info)
{
    double seconds;
    if (fake->is_shutdown)
        return err_set(info, ERR_SHUTDOWN, "Shutdown due to M112");
    if (strncmp(line, "FAIL ", 5) == 0)
        return err_set(info, ERR_INVALID, "%s", line + 5);
    else if (sscanf(line, "SLEEP %lf", &seconds) == 1)
        return fiber_sleep(seconds);
    else if (strncmp(line, "ECHO ", 5) == 0)
        api_event_gcode_response(fake->api, line + 5);
    else {
        char *text = mem_sprintf("// Unknown command:\"%.100s\"", line);
        api_event_gcode_response(fake->api, text);
        mem_free(text);
    }
    return OK;
}

static enum err run_script(void *ctx, const char *script, struct err_info *info)
{
    char *copy = mem_strdup(script), *rest = copy, *line;
    enum err err = OK;
    while (!err && (line = strsep(&rest, "\n")))
        if (*line)
            err = run_line(ctx, line, info);
    mem_free(copy);
    return err;
}

static void gcode_help(void *ctx, struct strbuf *out)
{
    (void)ctx;
    strbuf_adds(out, "{\"RESTART\":\"Reload config file and restart host software\",\"STATUS\":\"Report the printer status\"}");
}

static enum err print_start(void *ctx, const char *filename, struct err_info *info)
{
    struct fake_printer *fake = ctx;
    const char *state = json_string_value(json_object_get(json_object_get(fake->status, "print_stats"), "state"));
    if (strcmp(state, "printing") == 0)
        return err_set(info, ERR_STATE, "SD busy");
    char *full = mem_sprintf("%s/%s", fake->gcode_dir, filename);
    FILE *file = fopen(full, "re");
    if (file) {
        set_field(fake, "print_stats", "state", json_string("printing"));
        set_field(fake, "print_stats", "filename", json_string(filename));
        set_field(fake, "virtual_sdcard", "file_path", json_string(full));
        fclose(file);
        publish(fake);
    }
    mem_free(full);
    return file ? OK : err_set(info, ERR_NOT_FOUND, "Unable to open file");
}

static enum err set_state(struct fake_printer *fake, const char *state)
{
    set_field(fake, "print_stats", "state", json_string(state));
    publish(fake);
    return OK;
}

static enum err print_pause(void *ctx, struct err_info *info)
{
    (void)info;
    return set_state(ctx, "paused");
}

static enum err print_resume(void *ctx, struct err_info *info)
{
    (void)info;
    return set_state(ctx, "printing");
}

static enum err print_cancel(void *ctx, struct err_info *info)
{
    (void)info;
    struct fake_printer *fake = ctx;
    set_field(fake, "virtual_sdcard", "file_path", json_null());
    return set_state(fake, "cancelled");
}

static enum err query_endstops(void *ctx, struct strbuf *out, struct err_info *info)
{
    (void)ctx, (void)info;
    strbuf_adds(out, "{\"x\":\"open\",\"y\":\"TRIGGERED\",\"z\":\"open\"}");
    return OK;
}

static enum err dump_motion(void *ctx, bool is_queue, const char *name, double since_s, struct strbuf *out,
                            struct err_info *info)
{
    (void)ctx, (void)since_s;
    if (strcmp(name, is_queue ? "toolhead" : "stepper_x") != 0)
        return err_set(info, ERR_NOT_FOUND, "Unknown %s '%s'", is_queue ? "motion queue" : "stepper", name);
    strbuf_adds(out, is_queue ? "{\"header\":[\"time\",\"duration\",\"start_velocity\",\"acceleration\",\"start_position\","
                                "\"direction\"],\"data\":[[4.05,1,0,0,[300,0,0],[0,0,0]]]}"
                              : "{\"header\":[\"interval\",\"count\",\"add\"],\"data\":[[29573,2,-8685]],\"first_clock\":1,"
                                "\"last_clock\":2,\"first_step\":0,\"first_time\":1,\"last_time\":2,\"first_position\":0}");
    return OK;
}

static enum err mmu_state(void *ctx, struct strbuf *out, struct err_info *info)
{
    (void)info;
    struct fake_printer *fake = ctx;
    strbuf_addf(out, "{\"state\":\"%s\",\"since\":1.5,\"reason\":\"\",\"resume_to_state\":\"ready\",\"next_step\":\"\",\"history\":[]}",
                fake->mmu_state);
    return OK;
}

static enum err mmu_set(struct fake_printer *fake, const char *state)
{
    fake->mmu_state = state;
    char *json = mem_sprintf("{\"state\":\"%s\",\"since\":1.5,\"reason\":\"\"}", state);
    api_event_mmu_state(fake->api, json);
    mem_free(json);
    return OK;
}

static enum err mmu_pause(void *ctx, const char *message, bool is_forced, struct err_info *info)
{
    (void)message, (void)is_forced, (void)info;
    return mmu_set(ctx, "pause_locked");
}

static enum err mmu_unlock(void *ctx, struct err_info *info)
{
    (void)info;
    return mmu_set(ctx, "paused");
}

static enum err mmu_resume(void *ctx, struct err_info *info)
{
    (void)info;
    return mmu_set(ctx, "printing");
}

/* --- the actor --- */

static void begin(struct fake_printer *fake)
{
    fake->is_started = true;
    fake->is_shutdown = false;
    create_objects(fake);
    become(fake, API_KLIPPY_STARTUP, "startup", "Printer is not ready");
    become(fake, API_KLIPPY_READY, "ready", "Printer is ready");
}

/* Every sleep is over at the end of time. */
static void end_fibers(struct fake_printer *fake)
{
    while (fiber_pool_alive(fake->fibers) > 0)
        fiber_pool_run(fake->fibers, (struct host_ns){INT64_MAX - 1});
}

static void replace(struct fake_printer *fake)
{
    fake->wants_restart = false;
    end_fibers(fake);
    api_event_klippy(fake->api, API_KLIPPY_DISCONNECTED, "");
    destroy_objects(fake);
    status_hub_reset(fake->hub);
    status_publish(fake->hub, (double)runtime_now(fake->runtime).ns * 1e-9);
    begin(fake);
}

/* Something changes all the time: a temperature, a position. */
static void tick(struct fake_printer *fake)
{
    fake->ticks += 1;
    set_field(fake, "extruder", "temperature", json_real(25 + (double)((long)fake->ticks % 100) / 100));
    if (json_object_get(fake->status, "toolhead"))
        set_field(fake, "toolhead", "print_time", json_real(fake->ticks * TICK_S));
    publish(fake);
}

static struct host_ns step(struct actor *self, struct host_ns now)
{
    struct fake_printer *fake = CONTAINER_OF(self, struct fake_printer, actor);
    if (!fake->is_started)
        begin(fake);
    if (fake->wants_restart)
        replace(fake);
    api_machine_run(fake->api);
    struct host_ns next = fiber_pool_run(fake->fibers, now);
    if (!host_ns_before(now, fake->next_tick)) {
        tick(fake);
        fake->next_tick = host_ns_add_s(now, TICK_S);
    }
    return host_ns_min(next, fake->next_tick);
}

struct fake_printer *fake_printer_create(const char *status_file)
{
    struct fake_printer *fake = MEM_NEW(struct fake_printer);
    fake->runtime = runtime_create_real();
    fake->actor = (struct actor){.name = "machine", .step = step};
    fake->hub = status_hub_create();
    fake->fibers = fiber_pool_create(FIBER_COUNT_MAX);
    fake->mmu_state = "standby";
    fake->status = status_file ? json_load_file(status_file, 0, NULL) : json_loads(BUILT_IN, 0, NULL);
    CHECK(json_is_object(fake->status));
    fake->backend = (struct api_backend){
        .ctx = fake,
        .wake = wake,
        .fibers = fibers,
        .is_emergency = is_emergency,
        .emergency_stop = emergency_stop,
        .restart = restart,
        .run_script = run_script,
        .gcode_help = gcode_help,
        .print_start = print_start,
        .print_pause = print_pause,
        .print_resume = print_resume,
        .print_cancel = print_cancel,
        .query_endstops = query_endstops,
        .dump_motion = dump_motion,
        .mmu_state = mmu_state,
        .mmu_pause = mmu_pause,
        .mmu_unlock = mmu_unlock,
        .mmu_resume = mmu_resume,
    };
    return fake;
}

const struct api_backend *fake_printer_backend(struct fake_printer *fake)
{
    return &fake->backend;
}

struct status_hub *fake_printer_status(struct fake_printer *fake)
{
    return fake->hub;
}

void fake_printer_start(struct fake_printer *fake, struct api *api, const char *gcode_dir)
{
    fake->api = api;
    fake->gcode_dir = mem_strdup(gcode_dir);
    runtime_add(fake->runtime, &fake->actor, NULL);
}

void fake_printer_stop(struct fake_printer *fake)
{
    runtime_remove(fake->runtime, &fake->actor);
    end_fibers(fake);
}

void fake_printer_destroy(struct fake_printer *fake)
{
    destroy_objects(fake);
    fiber_pool_destroy(fake->fibers);
    status_hub_destroy(fake->hub);
    runtime_destroy(fake->runtime);
    json_decref(fake->status);
    mem_free(fake->gcode_dir);
    mem_free(fake);
}
