/* Real time, real threads: link, boards, machine and a thread that streams, each on its own; one board behind a pty.
 * Under ThreadSanitizer this is the proof that they only talk as their headers say. */
#include "tests/unit/motion/board_rig.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define STREAM_COMMANDS 3000

static void sleep_ms(long ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Carries bytes between a pty and the pipes of a simulated board. */
struct bridge {
    int master;
    char slave[64];
    struct bytepipe to_board, from_board;
    atomic_bool stop;
    pthread_t thread;
};

static void *carry(void *arg)
{
    struct bridge *b = arg;
    uint8_t data[512];
    while (!atomic_load(&b->stop)) {
        struct pollfd p = {.fd = b->master, .events = POLLIN};
        poll(&p, 1, 1);
        ssize_t n = p.revents & POLLIN ? read(b->master, data, sizeof(data)) : 0;
        for (ssize_t used = 0; used < n;)
            used += (ssize_t)bytepipe_write(&b->to_board, data + used, (size_t)(n - used));
        size_t back = bytepipe_read(&b->from_board, data, sizeof(data));
        if (back && write(b->master, data, back) != (ssize_t)back)
            break;
    }
    return NULL;
}

static void bridge_init(struct bridge *b)
{
    memset(b, 0, sizeof(*b));
    bytepipe_init(&b->to_board, 4096);
    bytepipe_init(&b->from_board, 4096);
    b->master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(b->master >= 0);
    assert_int_equal(grantpt(b->master), 0);
    assert_int_equal(unlockpt(b->master), 0);
    assert_int_equal(ptsname_r(b->master, b->slave, sizeof(b->slave)), 0);
    assert_int_equal(pthread_create(&b->thread, NULL, carry, b), 0);
}

static void bridge_stop(struct bridge *b)
{
    atomic_store(&b->stop, true);
    pthread_join(b->thread, NULL);
}

struct threads {
    struct rig rig;
    struct bridge bridge;
    struct board_lane *lane;
    const struct board_format *ping;
    atomic_bool is_ready, has_asked, is_over, is_finished;
    atomic_uint pongs;
    unsigned refused;
    bool is_panic;
};

static void on_pong(void *ctx, const struct board_reply *reply)
{
    (void)reply;
    atomic_fetch_add(&((struct threads *)ctx)->pongs, 1);
}

static void script(struct rig *rig)
{
    struct threads *t = rig->data;
    struct err_info info = {{0}};
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_connect(rig->board[i], &info), &info);
    t->ping = board_command(rig->board[0], "debug_ping data=%*s");
    board_on_reply(rig->board[0], NULL, board_response(rig->board[0], "pong data=%*s"), -1, on_pong, t);
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_configure(rig->board[i], true, &info), &info);
    atomic_store(&t->is_ready, true);
    for (int i = 0; i < 40; i++) {
        struct board_reply reply;
        size_t which = (size_t)i % rig->count;
        struct board *b = rig->board[which];
        rig_expect_ok(board_query(b, board_command(b, "get_uptime"), BOARD_NO_ARGS, NULL, 0, (struct board_timing){0},
                                  board_response(b, "uptime high=%u clock=%u"), -1, &reply, &info),
                      &info);
        assert_true(host_ns_diff_s(reply.received, reply.sent) > -0.001);
        assert_int_equal(fiber_sleep(0.005), OK);
    }
    atomic_store(&t->has_asked, true);
    while (!atomic_load(&t->is_over))
        assert_int_equal(fiber_sleep(0.002), OK);
    if (t->is_panic) /* the board now counts from where the link cannot follow: only the board itself knows */
        assert_int_equal(fiber_sleep(0.2), OK);
    for (int i = 0; i < 5000 && rig->event_count < rig->count && !t->is_panic; i++)
        assert_int_equal(fiber_sleep(0.002), OK);
    atomic_store(&t->is_finished, true);
}

/* What the motion thread does: push, read times, calibrate; and at last somebody stops everything. */
static void *stream(void *arg)
{
    struct threads *t = arg;
    while (!atomic_load(&t->is_ready))
        sleep_ms(1);
    struct board_msg msg;
    double before = 0.;
    for (int i = 0; i < STREAM_COMMANDS;) {
        CHECK(board_encode(t->ping, BOARD_NO_ARGS, "ping", 4, &msg) == OK);
        struct host_ns now = runtime_now(t->rig.rt);
        double est = boards_est_print_time(t->rig.boards, now).s;
        CHECK(est >= before);
        before = est;
        boards_calibrate(t->rig.boards, now, (struct print_time){est + .2});
        struct board_timing timing = {.req_clock = board_ticks_at(t->rig.board[0], (struct print_time){est + .05}).t};
        if (board_lane_push(t->lane, &msg, timing) == OK) {
            i++;
        } else {
            t->refused++;
            sleep_ms(1);
        }
        (void)board_stats(t->rig.board[0]);
        if (i % 50 == 0) {
            boards_wake(t->rig.boards);
            sleep_ms(1);
        }
    }
    boards_wake(t->rig.boards);
    for (int i = 0; i < 10000 && (atomic_load(&t->pongs) < STREAM_COMMANDS || !atomic_load(&t->has_asked)); i++)
        sleep_ms(1);
    if (t->is_panic)
        boards_panic(t->rig.boards); /* reaches what has a descriptor: the pty */
    else
        boards_emergency_stop(t->rig.boards, "end of the test");
    atomic_store(&t->is_over, true);
    return NULL;
}

static void *watch(void *arg)
{
    struct threads *t = arg;
    for (int i = 0; i < 6000 && !atomic_load(&t->is_finished); i++)
        sleep_ms(5);
    runtime_stop(t->rig.rt);
    return NULL;
}

static void run(bool is_panic)
{
    struct threads *t = MEM_NEW(struct threads);
    struct rig *rig = &t->rig;
    t->is_panic = is_panic;
    rig->rt = runtime_create_real();
    rig->machine = (struct actor){.name = "machine", .step = rig_step};
    rig->fibers = fiber_pool_create(4);
    struct boards_options options = {.runtime = rig->rt, .machine = &rig->machine};
    rig->boards = boards_create(&options);
    board_on_event(rig->boards, NULL, rig_on_event, rig);
    rig->data = t;
    rig_add(rig, "mcu", NULL, NULL);
    bridge_init(&t->bridge);
    rig->sim[1] = sim_board_create(NULL, &t->bridge.to_board, &t->bridge.from_board);
    runtime_add(rig->rt, sim_board_actor(rig->sim[1]), NULL);
    struct board_options pty = {.name = "pty", .transport = BOARD_PTY, .path = t->bridge.slave};
    struct err_info info;
    assert_int_equal(board_add(rig->boards, &pty, &rig->board[1], &info), OK);
    rig->count = 2;
    t->lane = board_lane_create(rig->board[0], NULL, 4096);
    rig->script = script;
    assert_non_null(fiber_spawn(rig->fibers, "script", rig_fiber, rig));
    pthread_t streamer, watcher;
    assert_int_equal(pthread_create(&streamer, NULL, stream, t), 0);
    assert_int_equal(pthread_create(&watcher, NULL, watch, t), 0);
    runtime_add(rig->rt, &rig->machine, NULL);
    runtime_run(rig->rt, HOST_NS_NEVER, false);
    pthread_join(streamer, NULL);
    runtime_remove(rig->rt, &rig->machine);
    pthread_join(watcher, NULL);
    struct board_stats stats = board_stats(rig->board[1]);
    print_message("%u of %d pongs, %u pushes refused; pty: srtt %.6f s, %llu bytes again\n", atomic_load(&t->pongs),
                  STREAM_COMMANDS, t->refused, stats.srtt_s, (unsigned long long)stats.bytes_retransmit);
    assert_true(rig->is_done);
    assert_int_equal(atomic_load(&t->pongs), STREAM_COMMANDS);
    if (!is_panic) {
        assert_int_equal(rig->event_count, 2); /* stopped, and nothing else happened */
        assert_int_equal(rig->event.kind, BOARD_EVENT_SHUTDOWN);
    }
    runtime_remove(rig->rt, sim_board_actor(rig->sim[0])); /* before the reader of its pipe goes */
    runtime_remove(rig->rt, sim_board_actor(rig->sim[1]));
    struct sim_board_stats sim;
    sim_board_get_stats(rig->sim[1], &sim);
    assert_true(sim.is_shut_down);
    assert_string_equal(sim.shutdown_reason, "Command request");
    boards_destroy(rig->boards);
    bridge_stop(&t->bridge);
    for (size_t i = 0; i < 2; i++)
        sim_board_destroy(rig->sim[i]);
    close(t->bridge.master);
    bytepipe_deinit(&t->bridge.to_board);
    bytepipe_deinit(&t->bridge.from_board);
    bytepipe_deinit(&rig->to_board[0]);
    bytepipe_deinit(&rig->from_board[0]);
    fiber_pool_destroy(rig->fibers);
    runtime_destroy(rig->rt);
    mem_free(t);
}

static void test_threads(void **state)
{
    (void)state;
    run(false);
}

static void test_panic(void **state)
{
    (void)state;
    run(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads), cmocka_unit_test(test_panic)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
