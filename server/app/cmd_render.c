/* lockstep render: one template, offline: for people who debug macros, and for tests. */
#include "server/app/cli.h"
#include "server/app/commands.h"
#include "server/app/simulate.h"

#include "base/actor.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "server/config/config.h"
#include "server/gcode/template/jinja.h"
#include "server/gcode/template/value.h"
#include "server/job/template.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FILE_BYTES_MAX  (16u << 20)
#define STARTUP_LIMIT_S 60.0
#define POLL_S          0.05

static const struct cli_option options[] = {
    {'c', "config", "FILE", "printer.cfg: `printer` is the simulated printer of this configuration", false},
    {'p', "param", "KEY=VALUE", "a parameter of the macro's call; may be repeated", false},
    {0, "context", "FILE.json", "a JSON object: its members are variables of the template", false},
    {0, "seed", "N", "of the random filter and the simulated printer (default 1)", false},
};

const struct cli_command render_command = {
    .name = "render",
    .arguments = "TEMPLATE_FILE",
    .summary = "Evaluate a macro's template and print the G-code it gives.",
    .details = "The file holds what stands below `gcode:` in a macro; - reads standard input. Nothing is run:\n"
               "the text goes to standard output. Exit status: 0, or 1 with the error on standard error.",
    .options = options,
    .option_count = ARRAY_COUNT(options),
    .argument_min = 1,
    .argument_max = 1,
};

static enum err read_file(const char *path, struct strbuf *out, struct err_info *info)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
    if (!file)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    char block[65536];
    size_t len;
    while (out->len_bytes <= FILE_BYTES_MAX && (len = fread(block, 1, sizeof block, file)) > 0)
        strbuf_add(out, block, len);
    bool has_failed = ferror(file) != 0;
    int why = errno;
    if (file != stdin)
        fclose(file);
    if (has_failed)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(why));
    if (out->len_bytes > FILE_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "%s: larger than %u bytes", path, FILE_BYTES_MAX);
    return OK;
}

/* ------------------------------------------------------------------------------------------- the simulated printer */

/* A printer on simulated boards in virtual time. */
struct bench {
    struct runtime *runtime;
    struct status_hub *status;
    struct simulation *sim;
    struct actor machine;
    struct printer_services services;
    struct printer *printer;
};

static struct host_ns bench_step(struct actor *self, struct host_ns now)
{
    struct bench *bench = CONTAINER_OF(self, struct bench, machine);
    if (!bench->printer)
        bench->printer = printer_create(&bench->services, PRINTER_RESTART_NONE);
    return printer_step(bench->printer, now);
}

static enum err bench_board(void *ctx, struct printer *printer, struct config_section *section,
                            struct board_options *board, struct err_info *info)
{
    return simulation_board_options(((struct bench *)ctx)->sim, printer, section, board, info);
}

/* What a render prints (action_respond_info) is for people, the G-code for pipes. */
static void bench_console(void *ctx, const char *line)
{
    (void)ctx;
    fprintf(stderr, "%s\n", line);
}

static void bench_run(struct bench *bench, double seconds)
{
    runtime_run(bench->runtime, host_ns_add_s(runtime_now(bench->runtime), seconds), false);
}

static void bench_destroy(struct bench *bench)
{
    if (!bench)
        return;
    runtime_remove(bench->runtime, &bench->machine);
    printer_destroy(bench->printer);
    simulation_destroy(bench->sim);
    status_hub_destroy(bench->status);
    runtime_destroy(bench->runtime);
    mem_free(bench);
}

/* Ready, or an error with what the printer says. */
static enum err bench_create(const char *config_path, uint64_t seed, struct bench **out, struct err_info *info)
{
    struct bench *bench = MEM_NEW(struct bench);
    bench->runtime = runtime_create_virtual(seed);
    bench->status = status_hub_create();
    bench->sim = simulation_create(&(struct simulation_options){.runtime = bench->runtime, .seed = seed});
    bench->machine = (struct actor){.name = "machine", .step = bench_step};
    bench->services = (struct printer_services){
        .runtime = bench->runtime,
        .machine = &bench->machine,
        .status = bench->status,
        .config_path = config_path,
        .seed = seed,
        .board_options = bench_board,
        .console = bench_console,
        .ctx = bench,
    };
    runtime_add(bench->runtime, &bench->machine, NULL);
    bench_run(bench, 0.0);
    for (double t = 0.0; t < STARTUP_LIMIT_S && printer_state(bench->printer) == PRINTER_STARTUP; t += POLL_S)
        bench_run(bench, POLL_S);
    if (printer_state(bench->printer) == PRINTER_READY) {
        *out = bench;
        return OK;
    }
    enum err err = err_set(info, ERR_STATE, "the printer is not ready: %s", printer_state_message(bench->printer));
    bench_destroy(bench);
    return err;
}

/* ------------------------------------------------------------------------------------------------------- variables */

static enum err set_params(struct jinja_run *run, const struct cli_values *values, struct err_info *info)
{
    size_t count;
    const char *const *texts = cli_all(values, "param", &count);
    struct value params = value_dict(run);
    struct strbuf raw;
    strbuf_init(&raw);
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(texts[i], '=');
        if (!equals || equals == texts[i]) {
            strbuf_deinit(&raw);
            return err_set(info, ERR_INVALID, "--param needs KEY=VALUE, not '%s'", texts[i]);
        }
        char *key = mem_strndup(texts[i], (size_t)(equals - texts[i]));
        for (char *p = key; *p; p++)
            *p = (char)toupper((unsigned char)*p);
        (void)value_set_text(run, params, key, value_cstr(run, equals + 1));
        mem_free(key);
        strbuf_addf(&raw, "%s%s", i ? " " : "", texts[i]);
    }
    jinja_set(run, "params", params);
    jinja_set(run, "rawparams", value_cstr(run, raw.data));
    strbuf_deinit(&raw);
    return OK;
}

static enum err set_context(struct jinja_run *run, const char *path, struct err_info *info)
{
    struct strbuf json;
    struct value context, items;
    struct err_info words;
    strbuf_init(&json);
    enum err err = read_file(path, &json, info);
    if (!err && value_from_json(run, json.data, json.len_bytes, &context, &words) != OK)
        err = err_set(info, ERR_INVALID, "%s: %s", path, words.text);
    if (!err && (context.kind != VALUE_DICT || value_items(run, context, &items) != OK))
        err = err_set(info, ERR_INVALID, "%s: a JSON object is needed", path);
    for (size_t i = 0; !err && i < items.seq->count; i++) {
        const struct value *pair = items.seq->items[i].seq->items;
        jinja_set(run, pair[0].str->data, pair[1]);
    }
    strbuf_deinit(&json);
    return err;
}

static enum err render(const struct cli_values *values, struct bench *bench, const struct jinja *code, uint64_t seed,
                       struct strbuf *out, struct err_info *info)
{
    struct jinja_limits limits = {.seed = seed};
    struct jinja_run *run = jinja_begin(code, &limits);
    if (bench)
        template_set_printer(run, bench->printer);
    const char *context = cli_text(values, "context", NULL);
    enum err err = set_params(run, values, info);
    if (!err && context)
        err = set_context(run, context, info);
    if (!err)
        err = jinja_execute(run, out, info);
    jinja_end(run);
    return err;
}

int render_main(const struct cli_values *values)
{
    struct err_info info;
    struct strbuf source, text;
    struct jinja *code = NULL;
    struct bench *bench = NULL;
    const char *path = values->arguments[0], *config = cli_text(values, "config", NULL);
    long seed;
    if (cli_int(values, "seed", 0, 1000000000, 1, &seed, &info) != OK) {
        fprintf(stderr, "lockstep render: %s\n", info.text);
        return CLI_EXIT_USAGE;
    }
    strbuf_init(&source);
    strbuf_init(&text);
    enum err err = read_file(path, &source, &info);
    if (!err)
        err = jinja_compile(source.data, source.len_bytes, &(struct jinja_options){.name = path}, &code, &info);
    if (!err && config)
        err = bench_create(config, (uint64_t)seed, &bench, &info);
    if (!err)
        err = render(values, bench, code, (uint64_t)seed, &text, &info);
    if (err)
        fprintf(stderr, "%s\n", info.text);
    else
        (void)fwrite(text.data, 1, text.len_bytes, stdout);
    if (!err && text.len_bytes && text.data[text.len_bytes - 1] != '\n')
        putchar('\n');
    bench_destroy(bench);
    jinja_destroy(code);
    strbuf_deinit(&source);
    strbuf_deinit(&text);
    return err ? CLI_EXIT_FAILED : CLI_EXIT_OK;
}
