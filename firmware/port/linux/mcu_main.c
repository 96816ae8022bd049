#include "firmware/port/linux/mcu_main.h"

#include "base/actor.h"
#include "firmware/plant/plant.h"
#include "firmware/port/linux/builtin_plant.h"
#include "firmware/port/linux/pty_board.h"
#include "firmware/port/linux/wire_record.h"

#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE    2
#define FIFO_PRIORITY 70 /* above a host on the same computer: a real board does not wait for it either */
#define RECORD_BYTES  (64u << 20)

static const char usage[] =
    "Usage: lockstep mcu --pty PATH | --socket PATH [options]\n\n"
    "Be a controller board: our firmware as a process in real time behind a pseudo terminal, with a simulated printer\n"
    "attached. PATH becomes a link to the terminal; give it to a host as `serial:`. Stop it with Ctrl-C.\n\n"
    "  --pty PATH       the link to make\n"
    "  --socket PATH    a Unix socket instead, which passes bytes on with less delay on a busy computer\n"
    "  -c FILE          attach the printer that this printer.cfg describes (without: that of examples/printer.cfg)\n"
    "  --clock HZ       frequency of the board's counter, 1000000 to 700000000 (64000000)\n"
    "  --drift PPM      how much faster than that it really runs (0)\n"
    "  --start TICKS    where the counter starts (half a second before its 32 bits wrap)\n"
    "  -r, --realtime   ask for real-time priority\n"
    "  --record FILE    write what crosses the board's port, with the clock at arrival, to FILE at the end\n"
    "  -h, --help       this text\n";

struct mcu_args {
    const char *pty, *socket, *config, *record;
    struct sim_board_options board;
    bool has_start, is_realtime, wants_help;
};

/* --- command line --- */

static bool parse_number(const char *text, double min, double max, double *out)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end || !(v >= min && v <= max))
        return false;
    *out = v;
    return true;
}

static bool parse_option(struct mcu_args *args, int option)
{
    double v;
    switch (option) {
    case 'p':
        args->pty = optarg;
        return true;
    case 'c':
        args->config = optarg;
        return true;
    case 'u':
        args->socket = optarg;
        return true;
    case 'w':
        args->record = optarg;
        return true;
    case 'r':
        args->is_realtime = true;
        return true;
    case 'h':
        args->wants_help = true;
        return true;
    case 'f':
        if (!parse_number(optarg, 1e6, 7e8, &v))
            break;
        args->board.clock_hz = (uint32_t)v;
        return true;
    case 'd':
        if (!parse_number(optarg, -9e4, 9e4, &v))
            break;
        args->board.drift_ppm = v;
        return true;
    case 's':
        if (!parse_number(optarg, 0, 1e15, &v))
            break;
        args->board.start_clock = (uint64_t)v;
        args->has_start = true;
        return true;
    default:
        return false;
    }
    fprintf(stderr, "lockstep mcu: '%s' is out of range\n", optarg);
    return false;
}

static bool parse_args(struct mcu_args *args, int argc, char **argv, bool has_config)
{
    static const struct option options[] = {
        {"pty", required_argument, NULL, 'p'},   {"config", required_argument, NULL, 'c'},
        {"clock", required_argument, NULL, 'f'}, {"drift", required_argument, NULL, 'd'},
        {"start", required_argument, NULL, 's'}, {"realtime", no_argument, NULL, 'r'},
        {"record", required_argument, NULL, 'w'}, {"socket", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "c:rh", options, NULL)) != -1;) {
        if (!parse_option(args, option))
            return false;
    }
    if (args->wants_help)
        return true;
    if (!args->pty == !args->socket || optind < argc) {
        fprintf(stderr, "lockstep mcu: %s\n",
                optind < argc ? "unexpected argument" : "either --pty PATH or --socket PATH is required");
        return false;
    }
    if (args->config && !has_config) {
        fprintf(stderr, "lockstep mcu: -c is not available here\n");
        return false;
    }
    if (!args->board.clock_hz)
        args->board.clock_hz = 64000000;
    if (!args->has_start)
        args->board.start_clock = (1ULL << 32) - args->board.clock_hz / 2;
    return true;
}

/* --- running --- */

/* Wait for SIGINT or SIGTERM, which are blocked everywhere. */
static void wait_for_signal(const sigset_t *signals)
{
    int number;
    while (sigwait(signals, &number) != 0)
        continue;
}

static int run_board(const struct mcu_args *args, struct plant_desc *desc, const sigset_t *signals)
{
    struct err_info info;
    struct pty_board *pty;
    struct plant *plant = NULL;
    if (args->pty ? pty_board_create(&pty, args->pty, &args->board, &info)
                  : pty_board_create_socket(&pty, args->socket, &args->board, &info)) {
        fprintf(stderr, "lockstep mcu: %s\n", info.text);
        return EXIT_FAILURE;
    }
    struct sim_board *board = pty_board_board(pty);
    desc->boards = &board;
    desc->board_count = 1;
    if (plant_create(&plant, desc, &info)) {
        fprintf(stderr, "lockstep mcu: %s\n", info.text);
        pty_board_destroy(pty);
        return EXIT_FAILURE;
    }
    struct wire_record *record = args->record ? wire_record_begin(board, RECORD_BYTES) : NULL;
    struct runtime *rt = runtime_create_real();
    struct actor_options options = {.fifo_priority = args->is_realtime ? FIFO_PRIORITY : 0,
                                    .is_realtime = args->is_realtime};
    runtime_add(rt, pty_board_actor(pty), &options);
    printf("%s -> %s\n", args->pty ? args->pty : args->socket, pty_board_device(pty));
    fflush(stdout);
    wait_for_signal(signals);
    runtime_remove(rt, pty_board_actor(pty));
    runtime_destroy(rt);
    enum err err = wire_record_end(record, args->record, &info);
    if (err)
        fprintf(stderr, "lockstep mcu: %s\n", info.text);
    plant_destroy(plant);
    pty_board_destroy(pty);
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_with_printer(struct mcu_args *args, const struct mcu_printer_source *source, const sigset_t *signals)
{
    struct plant_desc desc;
    if (!args->config) {
        struct builtin_plant builtin;
        builtin_plant_describe(&builtin, &desc);
        return run_board(args, &desc, signals);
    }
    struct err_info info;
    if (source->load(source->ctx, args->config, &desc, &args->board.pin_names, &args->board.pin_count, &info)) {
        fprintf(stderr, "lockstep mcu: %s\n", info.text);
        return EXIT_FAILURE;
    }
    int status = run_board(args, &desc, signals);
    source->release(source->ctx);
    return status;
}

int mcu_main_with(int argc, char **argv, const struct mcu_printer_source *source)
{
    struct mcu_args args = {0};
    if (!parse_args(&args, argc, argv, source != NULL)) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (args.wants_help) {
        fputs(usage, stdout);
        return EXIT_SUCCESS;
    }
    sigset_t signals, before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
    int status = run_with_printer(&args, source, &signals);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return status;
}

int mcu_main(int argc, char **argv)
{
    return mcu_main_with(argc, argv, NULL);
}
