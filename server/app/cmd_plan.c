/* lockstep plan: a G-code file to board commands, offline. */
#include "server/app/cli.h"
#include "server/app/commands.h"
#include "server/app/plan_compare.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "motion/board.h"
#include "motion/engine.h"
#include "server/config/config.h"
#include "server/gcode/gcode.h"
#include "server/job/sd_reader.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX        64
#define YIELD_BYTES        4096 /* Klipper's reader gives way after each block of this size */
#define DICT_BYTES_MAX     (4u << 20)
#define PROGRESS_PERIOD_NS (100 * 1000000LL)
#define PROGRESS_WIDTH     40

static const struct cli_option options[] = {
    {'c', "config", "FILE", "the printer's configuration (printer.cfg)", false},
    {'d', "dict", "[NAME=]FILE", "data dictionary of [mcu], or of [mcu NAME]; one for each board", false},
    {'o', "output", "OUT", "where the bytes for [mcu] go; OUT.NAME for [mcu NAME]", false},
    {0, "compare", "DIR", "plan the recorded case in DIR and compare the steps with it", false},
    {0, "threads", "N", "step-solving threads (default: one for each processor)", false},
};

const struct cli_command plan_command = {
    .name = "plan",
    .arguments = "FILE.GCODE",
    .summary = "Turn a G-code file into board commands, offline, and say what they amount to.",
    .details =
        "The bytes are what the boards would receive: configuration, motion and timed outputs, framed.\n"
        "Waits return at once, cold extrusion is allowed, endstops trigger at the end of the homing\n"
        "move, a probe goes all the way down and finds a flat bed. -o /dev/null plans without writing.\n"
        "-c, -d and -o are needed, unless --compare DIR names a recorded case: a folder with printer.cfg,\n"
        "meta.json (which names the G-code) and NAME.steps.gz; its dictionary is DIR/../../dicts/stm32f446.dict\n"
        "without -d. The exit status is 1 when a stepper is outside the tolerance.",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .argument_min = 0,
    .argument_max = 1,
};

struct plan {
    const struct cli_values *values;
    const char *gcode_path;
    struct plan_case *recorded; /* NULL: nothing to compare with */
    bool passes;                /* the comparison */
    struct runtime *runtime;
    struct actor machine;
    struct printer *printer;
    struct printer_services services;
    char *dict_json[BOARDS_MAX]; /* kept until the printer is gone */
    char *output_path[BOARDS_MAX];
    size_t dict_bytes[BOARDS_MAX];
    size_t board_count;
    bool is_started, is_done;
    struct err_info error; /* "" if all went well */
    struct host_ns begin, last_progress;
    struct print_time end;
};

/* ------------------------------------------------------------------------------------------------- boards as files */

static enum err read_file(const char *path, char **out, size_t *len_bytes, struct err_info *info)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    char *data = mem_alloc(DICT_BYTES_MAX + 1);
    size_t len = fread(data, 1, DICT_BYTES_MAX + 1, file);
    bool failed = ferror(file) != 0;
    fclose(file);
    if (!failed && len <= DICT_BYTES_MAX) {
        *out = data;
        *len_bytes = len;
        return OK;
    }
    mem_free(data);
    return failed ? err_set(info, ERR_IO, "%s: cannot be read", path)
                  : err_set(info, ERR_LIMIT, "%s: larger than %u bytes, no data dictionary", path, DICT_BYTES_MAX);
}

/* The path given for board `name` ("mcu": the one without NAME=, or mcu=). */
static const char *dict_path(const struct plan *plan, const char *name)
{
    const struct cli_values *values = plan->values;
    size_t count, len = strlen(name);
    const char *const *dicts = cli_all(values, "dict", &count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(dicts[i], '=');
        if (equals && (size_t)(equals - dicts[i]) == len && memcmp(dicts[i], name, len) == 0)
            return equals + 1;
        if (!equals && strcmp(name, "mcu") == 0)
            return dicts[i];
    }
    return plan->recorded ? plan->recorded->dict_path : NULL;
}

static enum err board_as_file(void *ctx, struct printer *printer, struct config_section *section,
                              struct board_options *board, struct err_info *info)
{
    struct plan *plan = ctx;
    (void)printer;
    const char *full = section_name(section), *space = strchr(full, ' ');
    const char *name = space ? space + 1 : "mcu";
    const char *path = dict_path(plan, name);
    if (!path)
        return err_set(info, ERR_NOT_FOUND, "[%s] needs a data dictionary: -d %s%sFILE", full, space ? name : "",
                       space ? "=" : "");
    CHECK(plan->board_count < BOARDS_MAX);
    size_t index = plan->board_count, len = 0;
    enum err err = read_file(path, &plan->dict_json[index], &len, info);
    if (err != OK)
        return err;
    const char *output = plan->recorded ? plan->recorded->output_path : cli_text(plan->values, "output", NULL);
    bool is_plain = !space || strcmp(output, "/dev/null") == 0;
    plan->output_path[index] = is_plain ? mem_strdup(output) : mem_sprintf("%s.%s", output, name);
    plan->dict_bytes[index] = len;
    plan->board_count++;
    board->transport = BOARD_FILE;
    board->path = plan->output_path[index];
    board->dictionary_json = plan->dict_json[index];
    board->dictionary_bytes = len;
    return OK;
}

/* -------------------------------------------------------------------------------------------------------- the file */

static void show_progress(struct plan *plan, uint64_t at, uint64_t size)
{
    if (!isatty(STDERR_FILENO))
        return;
    struct host_ns now = clock_monotonic();
    if (now.ns - plan->last_progress.ns < PROGRESS_PERIOD_NS && at < size)
        return;
    plan->last_progress = now;
    int filled = size ? (int)(at * PROGRESS_WIDTH / size) : PROGRESS_WIDTH;
    fprintf(stderr, "\r[%-*.*s] %3d %%%s", PROGRESS_WIDTH, filled, "########################################",
            size ? (int)(at * 100 / size) : 100, at < size ? "" : "\n");
}

static enum err run_lines(struct plan *plan, struct sd_reader *reader)
{
    struct gcode *gcode = plan->printer->gcode;
    struct engine *engine = plan->printer->engine;
    uint64_t size = sd_reader_size_bytes(reader), next_yield = YIELD_BYTES;
    unsigned long number = 0;
    struct sd_line line;
    enum err err;
    while ((err = sd_reader_next(reader, &line, &plan->error)) != ERR_CLOSED) {
        if (err == ERR_AGAIN) {
            sd_reader_fill(reader);
            continue;
        }
        struct err_info info = {{0}};
        number++;
        if (err == OK) {
            struct gcode_source source = {line.offset_bytes, line.end_bytes};
            err = gcode_run_line(gcode, line.text, line.len_bytes, &source, &info);
        } else {
            info = plan->error;
        }
        if (printer_is_shutdown(plan->printer)) { /* M112, or a fault that the line caused */
            err = ERR_STATE;
            (void)err_set(&info, err, "%s", printer_state_message(plan->printer));
        }
        if (err != OK)
            return err_set(&plan->error, err, "%s:%lu: %s", plan->gcode_path, number, info.text);
        if (line.end_bytes >= next_yield) {
            engine_batch_yield(engine);
            next_yield = line.end_bytes / YIELD_BYTES * YIELD_BYTES + YIELD_BYTES;
            show_progress(plan, line.end_bytes, size);
        }
    }
    engine_batch_yield(engine);
    show_progress(plan, size, size);
    return engine_finish(engine, &plan->end, &plan->error);
}

static void plan_fiber(void *arg)
{
    struct plan *plan = arg;
    struct sd_reader *reader;
    struct err_info info;
    if (sd_reader_open(&reader, plan->gcode_path, &info) != OK) {
        (void)err_set(&plan->error, ERR_IO, "%s: %s", plan->gcode_path, info.text);
    } else {
        enum err err = run_lines(plan, reader);
        sd_reader_close(reader);
        if (err == OK) {
            plan->error.text[0] = 0;
            if (boards_drain(plan->printer->boards, 0.0) != OK)
                (void)err_set(&plan->error, ERR_IO, "'%s' could not be written completely: is there room for it?",
                              plan->output_path[0]);
        }
    }
    plan->is_done = true;
    runtime_stop(plan->runtime);
}

/* Every -d must be for a board of the configuration, and each board has one. */
static enum err check_dicts(const struct plan *plan, struct err_info *info)
{
    size_t count;
    const char *const *dicts = cli_all(plan->values, "dict", &count);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(dicts[i], '=');
        size_t len = equals ? (size_t)(equals - dicts[i]) : 3;
        const char *name = equals ? dicts[i] : "mcu";
        bool is_main = len == 3 && memcmp(name, "mcu", 3) == 0;
        char *section = mem_sprintf("mcu%s%.*s", is_main ? "" : " ", is_main ? 0 : (int)len, name);
        bool exists = config_find(plan->printer->config, section) != NULL;
        enum err err = exists ? OK : err_set(info, ERR_NOT_FOUND, "-d %s: the configuration has no [%s]", dicts[i], section);
        if (err == OK && dict_path(plan, is_main ? "mcu" : section + 4) != (equals ? equals + 1 : dicts[i]))
            err = err_set(info, ERR_INVALID, "-d %s: a second data dictionary for one board", dicts[i]);
        mem_free(section);
        if (err != OK)
            return err;
    }
    return OK;
}

static struct host_ns machine_step(struct actor *self, struct host_ns now)
{
    struct plan *plan = CONTAINER_OF(self, struct plan, machine);
    if (!plan->printer) {
        plan->printer = printer_create(&plan->services, PRINTER_RESTART_NONE);
        plan->is_done = printer_state(plan->printer) != PRINTER_ERROR && check_dicts(plan, &plan->error) != OK;
        if (plan->is_done)
            runtime_stop(plan->runtime);
    }
    struct host_ns next = printer_step(plan->printer, now);
    enum printer_state state = printer_state(plan->printer);
    if (plan->is_done || state == PRINTER_STARTUP)
        return next;
    if (state != PRINTER_READY) {
        if (!plan->error.text[0])
            (void)err_set(&plan->error, ERR_STATE, "%s", printer_state_message(plan->printer));
        plan->is_done = true;
        runtime_stop(plan->runtime);
    } else if (!plan->is_started) {
        plan->is_started = true;
        CHECK(fiber_spawn(plan->printer->fibers, "plan", plan_fiber, plan) != NULL);
        return now;
    }
    return next;
}

/* ----------------------------------------------------------------------------------------------------- the summary */

static void print_summary(struct plan *plan, double wall_s)
{
    struct engine *engine = plan->printer->engine;
    struct engine_status status;
    engine_get_status(engine, runtime_now(plan->runtime), &status);
    printf("print time %.3f s, %llu moves, planned in %.3f s\n\n", plan->end.s, (unsigned long long)status.moves,
           wall_s);
    printf("%-20s %12s %12s %12s %16s %12s\n", "stepper", "steps", "commands", "bytes", "last clock", "end position");
    uint64_t steps = 0;
    for (unsigned i = 0; i < engine_stepper_count(engine); i++) {
        struct engine_counters c;
        engine_stepper_counters(engine, i, &c);
        steps += c.steps;
        printf("%-20s %12llu %12llu %12llu %16llu %12lld\n", c.name, (unsigned long long)c.steps,
               (unsigned long long)c.commands, (unsigned long long)c.bytes, (unsigned long long)c.last_clock,
               (long long)c.end_steps);
    }
    printf("\n%-20s %12s\n", "board", "bytes");
    for (size_t i = 0; i < boards_count(plan->printer->boards); i++) {
        const struct board *board = boards_at(plan->printer->boards, i);
        struct board_stats stats = board_stats(board);
        printf("%-20s %12llu\n", board_name(board), (unsigned long long)stats.bytes_write);
    }
    if (wall_s > 0.0 && steps > 0)
        printf("\n%llu steps, %.1f million a second\n", (unsigned long long)steps, (double)steps / wall_s * 1e-6);
}

static void on_console(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

/* ------------------------------------------------------------------------------------------------ the recorded case */

static bool is_complete(const struct cli_values *values)
{
    return values->argument_count == 1 && cli_has(values, "config") && cli_has(values, "dict") &&
           cli_has(values, "output");
}

static void close_case(struct plan_case *recorded)
{
    if (recorded)
        plan_case_close(recorded);
    mem_free(recorded);
}

/* [mcu] is the first board: recorded cases have no other. */
static void compare(struct plan *plan, double wall_s)
{
    printf("print time %.3f s, planned in %.3f s\n\n", plan->end.s, wall_s);
    if (plan_case_compare(plan->recorded, plan->printer, plan->dict_json[0], plan->dict_bytes[0], stdout, &plan->passes,
                          &plan->error) != OK)
        fprintf(stderr, "lockstep plan: %s\n", plan->error.text);
}

int plan_main(const struct cli_values *values)
{
    struct err_info info;
    long threads, processors = sysconf(_SC_NPROCESSORS_ONLN);
    if (processors < 1 || processors > THREADS_MAX)
        processors = 1;
    if (cli_int(values, "threads", 1, THREADS_MAX, processors, &threads, &info) != OK) {
        fprintf(stderr, "lockstep plan: %s\n", info.text);
        return CLI_EXIT_USAGE;
    }
    struct plan_case *recorded = NULL;
    if (cli_has(values, "compare")) {
        recorded = MEM_NEW(struct plan_case);
        if (plan_case_open(recorded, cli_text(values, "compare", NULL), &info) != OK) {
            fprintf(stderr, "lockstep plan: %s\n", info.text);
            close_case(recorded);
            return CLI_EXIT_FAILED;
        }
    } else if (!is_complete(values)) {
        fprintf(stderr, "lockstep plan: FILE.GCODE, --config, --dict and --output are needed without --compare\n");
        return CLI_EXIT_USAGE;
    }
    const char *config_path = cli_text(values, "config", recorded ? recorded->config_path : NULL);
    if (access(config_path, R_OK) != 0) {
        fprintf(stderr, "lockstep plan: %s: %s\n", config_path, strerror(errno));
        close_case(recorded);
        return CLI_EXIT_FAILED;
    }
    struct plan plan = {
        .values = values,
        .gcode_path = values->argument_count ? values->arguments[0] : recorded->oracle.gcode,
        .recorded = recorded,
        .passes = true,
        .machine = {.name = "machine", .step = machine_step},
        .runtime = runtime_create_virtual(1),
        .begin = clock_monotonic(),
    };
    plan.services = (struct printer_services){
        .runtime = plan.runtime,
        .machine = &plan.machine,
        .status = status_hub_create(), /* what macros ask for */
        .config_path = config_path,
        .is_batch = true,
        .checks_all_steps = recorded != NULL,
        .batch_threads = (unsigned)threads,
        .board_options = board_as_file,
        .console = on_console,
        .ctx = &plan,
    };
    runtime_add(plan.runtime, &plan.machine, NULL);
    runtime_run(plan.runtime, HOST_NS_NEVER, false);
    runtime_remove(plan.runtime, &plan.machine);
    double wall_s = host_ns_diff_s(clock_monotonic(), plan.begin);
    char *hint = strstr(plan.error.text, "\nCorrect the cause, then use "); /* for a printer that runs */
    if (hint)
        *hint = 0;
    if (plan.error.text[0])
        fprintf(stderr, "lockstep plan: %s\n", plan.error.text);
    else if (recorded)
        compare(&plan, wall_s);
    else
        print_summary(&plan, wall_s);
    printer_destroy(plan.printer);
    status_hub_destroy(plan.services.status);
    runtime_destroy(plan.runtime);
    for (size_t i = 0; i < plan.board_count; i++) {
        mem_free(plan.dict_json[i]);
        mem_free(plan.output_path[i]);
    }
    close_case(recorded);
    return plan.error.text[0] || !plan.passes ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
