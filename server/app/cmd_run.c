/* lockstep run: the daemon. */
#include "server/app/cli.h"
#include "server/app/commands.h"
#include "server/app/host.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/rng.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPEED_MAX     1000.0
#define SEED_DEFAULT  1
#define PORT_DEFAULT  7125

static const struct cli_option options[] = {
    {'c', "config", "FILE", "the printer's configuration (printer.cfg)", true},
    {0, "data", "DIR", "where gcodes/, logs/ and database/ live (default: ~/printer_data)", false},
    {0, "host", "ADDRESS", "address to listen on (default: 127.0.0.1)", false},
    {0, "port", "N", "port to listen on (default: 7125)", false},
    {0, "cors", "ORIGIN", "let web pages of this origin use the API (https://ui.example.org); may be repeated", false},
    {0, "name", "HOSTNAME", "a name this machine is reached by, besides its own; may be repeated", false},
    {0, "www", "DIR", "folder of the web page (default: www beside the program's folders)", false},
    {0, "sim", NULL, "simulate every [mcu] and the machine around it", false},
    {0, "speed", "N|max", "with --sim: how fast printer time passes (default: 1)", false},
    {0, "seed", "N", "with --sim: seed of everything random (default: 1)", false},
    {0, "record", "DIR", "with --sim: write what crosses each board's port to DIR/NAME.wire", false},
};

const struct cli_command run_command = {
    .name = "run",
    .arguments = "",
    .summary = "Run the printer: the daemon with its API and web page.",
    .details =
        "G-code files are kept in the folder that [virtual_sdcard] names, else in DATA/gcodes.\n"
        "--speed max runs as fast as the machine can while a job or command is under way, and at\n"
        "normal speed otherwise. Ctrl-C stops in order: heaters off, queues drained, files synced.\n"
        "Pages that this program serves itself, and pages from private addresses and localhost, need no --cors;\n"
        "a '*' in an ORIGIN stands for any text (*.example.org). One daemon runs on a DATA folder at a time.",
    .options = options,
    .option_count = ARRAY_COUNT(options),
};

/* The running host, for the signal handler alone: a handler gets no context. */
static _Atomic(struct host *) signalled_host;

static void on_signal(int number)
{
    (void)number;
    struct host *host = atomic_load(&signalled_host);
    if (host)
        host_stop(host);
}

static void catch_signals(struct host *host)
{
    atomic_store(&signalled_host, host);
    struct sigaction action = {.sa_handler = host ? on_signal : SIG_DFL};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static enum err parse_speed(const struct cli_values *values, double *speed, struct err_info *info)
{
    const char *text = cli_text(values, "speed", "1");
    if (strcmp(text, "max") == 0) {
        *speed = HOST_SPEED_MAX;
        return OK;
    }
    char *end;
    double number = strtod(text, &end);
    if (end == text || *end || !(number > 0.0 && number <= SPEED_MAX))
        return err_set(info, ERR_INVALID, "--speed %s: a number above 0 and up to %g, or max, is needed", text,
                       SPEED_MAX);
    *speed = number;
    return OK;
}

/* DIR/www for the first of: the folder above the program's (build/release/lockstep), two above, /usr/share/lockstep. */
static char *find_www(void)
{
    char self[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = 0;
    for (int up = 0; up < 4; up++) {
        char *slash = strrchr(self, '/');
        if (!slash)
            break;
        *slash = 0;
        char *www = mem_sprintf("%s/www", self), *index = mem_sprintf("%s/index.html", www);
        bool exists = access(index, R_OK) == 0;
        mem_free(index);
        if (exists)
            return www;
        mem_free(www);
    }
    return access("/usr/share/lockstep/www/index.html", R_OK) == 0 ? mem_strdup("/usr/share/lockstep/www") : NULL;
}

static char *default_data_dir(void)
{
    const char *home = getenv("HOME");
    return mem_sprintf("%s/printer_data", home && home[0] ? home : ".");
}

#define NAME_CHARS_MAX 255

/* The values of --cors or --name, for net_options: NULL-ended. */
static enum err read_names(const struct cli_values *values, const char *option, const char *out[CLI_VALUES_MAX + 1],
                           struct err_info *info)
{
    size_t count;
    const char *const *all = cli_all(values, option, &count);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(all[i]);
        if (!len || len > NAME_CHARS_MAX || strpbrk(all[i], " \t\r\n"))
            return err_set(info, ERR_INVALID, "--%s '%.80s': %s without blanks, of at most %d characters, is needed", option,
                           all[i], strcmp(option, "cors") ? "a name" : "an origin", NAME_CHARS_MAX);
        out[i] = all[i];
    }
    out[count] = NULL;
    return OK;
}

static enum err read_options(const struct cli_values *values, struct host_options *out, struct err_info *info)
{
    long port, seed;
    enum err err = parse_speed(values, &out->speed, info);
    if (err == OK)
        err = cli_int(values, "port", 0, 65535, PORT_DEFAULT, &port, info);
    if (err == OK)
        err = cli_int(values, "seed", 0, LONG_MAX, SEED_DEFAULT, &seed, info);
    if (err != OK)
        return err;
    out->is_simulated = cli_has(values, "sim");
    if (!out->is_simulated && (cli_has(values, "speed") || cli_has(values, "seed") || cli_has(values, "record")))
        return err_set(info, ERR_INVALID, "--speed, --seed and --record need --sim");
    out->record_dir = cli_text(values, "record", NULL);
    out->port = (unsigned)port;
    out->seed = (uint64_t)seed;
    out->config_path = cli_text(values, "config", NULL);
    out->address = cli_text(values, "host", "127.0.0.1");
    return OK;
}

int run_main(const struct cli_values *values)
{
    mem_stay_small();
    struct err_info info = {{0}};
    struct host_options host_options = {0};
    const char *cors[CLI_VALUES_MAX + 1], *names[CLI_VALUES_MAX + 1];
    host_options.cors_domains = cors;
    host_options.host_names = names;
    if (read_options(values, &host_options, &info) != OK || read_names(values, "cors", cors, &info) != OK ||
        read_names(values, "name", names, &info) != OK) {
        fprintf(stderr, "lockstep run: %s\n", info.text);
        return CLI_EXIT_USAGE;
    }
    char *data_dir = mem_strdup(cli_text(values, "data", ""));
    if (!data_dir[0]) {
        mem_free(data_dir);
        data_dir = default_data_dir();
    }
    char *www = cli_has(values, "www") ? mem_strdup(cli_text(values, "www", "")) : find_www();
    host_options.data_dir = data_dir;
    host_options.www_dir = www;
    struct host *host;
    int status = CLI_EXIT_FAILED;
    if (host_create(&host_options, &host, &info) != OK) {
        fprintf(stderr, "lockstep run: %s\n", info.text);
    } else {
        printf("Lockstep listens on http://%s:%u/%s\n", host_options.address, host_port(host),
               host_options.is_simulated ? " (simulated printer)" : "");
        fflush(stdout);
        catch_signals(host);
        host_run(host);
        catch_signals(NULL);
        host_destroy(host);
        puts("Stopped: heaters and motors are off.");
        status = CLI_EXIT_OK;
    }
    mem_free(www);
    mem_free(data_dir);
    return status;
}
