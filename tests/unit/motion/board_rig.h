/* A printer's boards without a printer: simulated boards in virtual time, a machine actor with fibers, and a script
 * that runs in one of them. */
#ifndef TESTS_UNIT_MOTION_BOARD_RIG_H
#define TESTS_UNIT_MOTION_BOARD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/actor.h"
#include "base/bytepipe.h"
#include "base/check.h"
#include "base/fiber.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "firmware/port/sim/sim_board.h"
#include "motion/board.h"
#include "motion/board_homing.h"

#define RIG_BOARDS_MAX 4

struct rig {
    struct runtime *rt;
    struct actor machine;
    struct fiber_pool *fibers;
    struct boards *boards;
    struct board *board[RIG_BOARDS_MAX];
    struct sim_board *sim[RIG_BOARDS_MAX];
    struct bytepipe to_board[RIG_BOARDS_MAX], from_board[RIG_BOARDS_MAX];
    size_t count;
    void (*script)(struct rig *rig);
    bool is_done;
    struct board_event event; /* the latest */
    unsigned event_count;
    void *data;
};

static inline struct host_ns rig_step(struct actor *self, struct host_ns now)
{
    struct rig *rig = CONTAINER_OF(self, struct rig, machine);
    boards_poll(rig->boards, now);
    struct host_ns next = fiber_pool_run(rig->fibers, now);
    if (rig->is_done)
        runtime_stop(rig->rt);
    return next;
}

static inline void rig_fiber(void *arg)
{
    struct rig *rig = arg;
    rig->script(rig);
    rig->is_done = true;
}

static inline void rig_on_event(void *ctx, const struct board_event *event)
{
    struct rig *rig = ctx;
    rig->event = *event;
    rig->event_count++;
}

static inline void rig_init(struct rig *rig, uint64_t seed)
{
    memset(rig, 0, sizeof(*rig));
    rig->rt = runtime_create_virtual(seed);
    rig->machine = (struct actor){.name = "machine", .step = rig_step};
    rig->fibers = fiber_pool_create(8);
    struct boards_options options = {.runtime = rig->rt, .machine = &rig->machine};
    rig->boards = boards_create(&options);
    board_on_event(rig->boards, NULL, rig_on_event, rig);
}

/* Add a simulated board. */
static inline struct board *rig_add(struct rig *rig, const char *name, const struct sim_board_options *sim,
                                    const struct board_faults *faults)
{
    size_t i = rig->count++;
    bytepipe_init(&rig->to_board[i], 4096);
    bytepipe_init(&rig->from_board[i], 4096);
    rig->sim[i] = sim_board_create(sim, &rig->to_board[i], &rig->from_board[i]);
    runtime_add(rig->rt, sim_board_actor(rig->sim[i]), NULL);
    struct board_options options = {.name = name,
                                    .transport = BOARD_PIPES,
                                    .tx = &rig->to_board[i],
                                    .rx = &rig->from_board[i],
                                    .faults = faults,
                                    .connect_timeout_s = 20.};
    struct err_info info;
    assert_int_equal(board_add(rig->boards, &options, &rig->board[i], &info), OK);
    return rig->board[i];
}

/* Run `script` in a fiber until it returns; fails after `limit_s` of virtual time. */
static inline void rig_run(struct rig *rig, void (*script)(struct rig *rig), double limit_s)
{
    rig->script = script;
    rig->is_done = false;
    assert_non_null(fiber_spawn(rig->fibers, "script", rig_fiber, rig));
    runtime_add(rig->rt, &rig->machine, NULL);
    runtime_run(rig->rt, host_ns_add_s(runtime_now(rig->rt), limit_s), false);
    runtime_remove(rig->rt, &rig->machine);
    assert_true(rig->is_done);
}

static inline void rig_deinit(struct rig *rig)
{
    for (size_t i = 0; i < rig->count; i++)
        runtime_remove(rig->rt, sim_board_actor(rig->sim[i]));
    boards_destroy(rig->boards);
    for (size_t i = 0; i < rig->count; i++) {
        sim_board_destroy(rig->sim[i]);
        bytepipe_deinit(&rig->to_board[i]);
        bytepipe_deinit(&rig->from_board[i]);
    }
    fiber_pool_destroy(rig->fibers);
    runtime_destroy(rig->rt);
}

static inline void rig_expect_ok(enum err err, const struct err_info *info)
{
    if (err != OK)
        fail_msg("%s: %s", err_name(err), info->text);
}

/* How much later than now the board's counter shows what the host believes it to show now [s]. */
static inline double rig_clock_error_s(struct rig *rig, size_t i)
{
    struct mcu_ticks est = board_ticks_now(rig->board[i], fiber_now());
    return host_ns_diff_s(sim_board_host_time(rig->sim[i], est), fiber_now());
}

/* Connect and configure every board. */
static inline void rig_start(struct rig *rig)
{
    struct err_info info = {{0}};
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_connect(rig->board[i], &info), &info);
    for (size_t i = 0; i < rig->count; i++)
        rig_expect_ok(board_configure(rig->board[i], true, &info), &info);
}

#endif
