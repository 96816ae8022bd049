/* The table of print-job states: every row, and what must hold for any sequence of events. `--write` puts the drawing
 * into docs/mmu-print-states.md. */
#include "server/mmu/print_state.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define DOC_PATH  TEST_SOURCE_DIR "/docs/mmu-print-states.md"
#define DOC_BEGIN "<!-- made from the table: begin -->\n"
#define DOC_END   "<!-- made from the table: end -->\n"

/* Events that must not change a state: written down here a second time, from the rules, not from the table. */
static bool is_rest(enum mmu_state s)
{
    return s == MMU_STATE_INITIALIZED || s == MMU_STATE_STANDBY || s == MMU_STATE_READY || s == MMU_STATE_COMPLETE ||
           s == MMU_STATE_ERROR || s == MMU_STATE_CANCELLED;
}

static enum mmu_state expected(enum mmu_state s, enum mmu_event e, struct mmu_conditions c, bool was_printing)
{
    bool is_paused = s == MMU_STATE_PAUSE_LOCKED || s == MMU_STATE_PAUSED;
    switch (e) {
    case MMU_EVENT_ACTIVITY:
        return s == MMU_STATE_STANDBY ? MMU_STATE_READY : s;
    case MMU_EVENT_JOB_SEEN:
        return s == MMU_STATE_STARTED || s == MMU_STATE_PRINTING ? s : MMU_STATE_STARTED;
    case MMU_EVENT_PRINT_START:
        return s == MMU_STATE_STARTED ? MMU_STATE_PRINTING : s;
    case MMU_EVENT_PAUSE:
        if (is_paused)
            return s;
        return s == MMU_STATE_PRINTING || c.is_forced ? MMU_STATE_PAUSE_LOCKED : s;
    case MMU_EVENT_UNLOCK:
        return s == MMU_STATE_PAUSE_LOCKED ? MMU_STATE_PAUSED : s;
    case MMU_EVENT_RESUMED:
        if (s != MMU_STATE_PAUSED)
            return s;
        return was_printing ? MMU_STATE_PRINTING : MMU_STATE_READY;
    case MMU_EVENT_END_COMPLETE:
        return is_rest(s) ? s : MMU_STATE_COMPLETE;
    case MMU_EVENT_END_ERROR:
        return is_rest(s) ? s : MMU_STATE_ERROR;
    case MMU_EVENT_END_CANCELLED:
        return is_rest(s) ? s : MMU_STATE_CANCELLED;
    case MMU_EVENT_END_READY:
        return is_rest(s) ? s : MMU_STATE_READY;
    case MMU_EVENT_END_STANDBY:
        return is_rest(s) ? s : MMU_STATE_STANDBY;
    case MMU_EVENT_IDLE:
        if (is_paused)
            return s;
        if (is_rest(s))
            return MMU_STATE_STANDBY;
        return c.has_job ? s : MMU_STATE_STANDBY;
    case MMU_EVENT_COUNT:
        break;
    }
    fail();
    return s;
}

static void every_cell_is_as_the_rules_say(void **unused)
{
    (void)unused;
    for (unsigned s = 0; s < MMU_STATE_COUNT; s++) {
        for (unsigned e = 0; e < MMU_EVENT_COUNT; e++) {
            for (unsigned bits = 0; bits < 8; bits++) {
                struct mmu_job job = {.state = (enum mmu_state)s, .was_printing = bits & 4};
                struct mmu_conditions cond = {.is_forced = bits & 1, .has_job = bits & 2};
                enum mmu_state want = expected(job.state, (enum mmu_event)e, cond, job.was_printing);
                const struct mmu_transition *row = mmu_job_look(&job, (enum mmu_event)e, cond);
                enum mmu_state got = row ? row->next : job.state;
                if (got != want)
                    fail_msg("%s + %s (forced %d, job %d, was printing %d): %s instead of %s",
                             mmu_state_name((enum mmu_state)s), mmu_event_name((enum mmu_event)e), cond.is_forced,
                             cond.has_job, job.was_printing, mmu_state_name(got), mmu_state_name(want));
            }
        }
    }
}

/* No two rows for one state and event can both apply, so their order means nothing. */
static void rows_exclude_each_other(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < mmu_transition_count; i++) {
        for (size_t j = i + 1; j < mmu_transition_count; j++) {
            const struct mmu_transition *a = &mmu_transitions[i], *b = &mmu_transitions[j];
            if (a->state != b->state || a->event != b->event)
                continue;
            assert_true(a->guard == MMU_GUARD_WAS_PRINTING && b->guard == MMU_GUARD_WAS_IDLE);
        }
    }
}

/* A model of what the actions do to the remembered position, driven by random events. */
static void random_events_keep_the_invariants(void **unused)
{
    (void)unused;
    const uint64_t seed = 20261121;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    struct mmu_job job = {0};
    bool has_position = false, seen[MMU_STATE_COUNT] = {false}, was_printing = false;
    bool taken[128] = {false};
    assert_true(mmu_transition_count <= 128);
    for (int i = 0; i < 200000; i++) {
        if (i % 100 == 0) { /* a new printer */
            job = (struct mmu_job){0};
            has_position = false;
        }
        enum mmu_event event = (enum mmu_event)rng_below(&rng, MMU_EVENT_COUNT);
        struct mmu_conditions cond = {.is_forced = rng_below(&rng, 4) == 0, .has_job = rng_below(&rng, 2) == 0};
        enum mmu_state before = job.state;
        const struct mmu_transition *row = mmu_job_look(&job, event, cond);
        if (!row) {
            assert_int_equal(job.state, before);
            continue;
        }
        taken[row - mmu_transitions] = true;
        if (row->action == MMU_ACTION_LOCK) {
            was_printing = before == MMU_STATE_PRINTING;
            has_position = true;
        } else if (row->action == MMU_ACTION_CONTINUE || row->action == MMU_ACTION_END_JOB ||
                   row->action == MMU_ACTION_BEGIN_JOB) {
            has_position = false;
        }
        mmu_job_take(&job, row);
        seen[job.state] = true;
        /* paused (locked or not) exactly while a position is remembered; idle never takes it away */
        assert_int_equal(has_position, mmu_state_is_paused(job.state));
        if (event == MMU_EVENT_IDLE && mmu_state_is_paused(before))
            assert_int_equal(job.state, before);
        if (event == MMU_EVENT_RESUMED)
            assert_int_equal(job.state, was_printing ? MMU_STATE_PRINTING : MMU_STATE_READY);
        if (job.state == MMU_STATE_PAUSE_LOCKED && before != job.state)
            assert_true(event == MMU_EVENT_PAUSE && (before == MMU_STATE_PRINTING || cond.is_forced));
        if (job.state == MMU_STATE_PAUSED && before != job.state)
            assert_int_equal(event, MMU_EVENT_UNLOCK);
        assert_int_equal(mmu_state_is_end(job.state), is_rest(job.state));
    }
    for (size_t i = 0; i < mmu_transition_count; i++) {
        if (!taken[i])
            fail_msg("row %zu never taken: %s + %s", i, mmu_state_name(mmu_transitions[i].state),
                     mmu_event_name(mmu_transitions[i].event));
    }
    for (int s = 1; s < MMU_STATE_COUNT; s++)
        assert_true(seen[s]);
}

static void names_are_unique_and_ends_are_known(void **unused)
{
    (void)unused;
    for (unsigned a = 0; a < MMU_STATE_COUNT; a++) {
        for (unsigned b = a + 1; b < MMU_STATE_COUNT; b++)
            assert_string_not_equal(mmu_state_name((enum mmu_state)a), mmu_state_name((enum mmu_state)b));
        assert_non_null(mmu_state_next_step((enum mmu_state)a));
    }
    enum mmu_event event = MMU_EVENT_COUNT;
    assert_false(mmu_end_event("paused", &event));
    assert_false(mmu_end_event("", &event));
    assert_int_equal(event, MMU_EVENT_COUNT);
    assert_true(mmu_end_event("cancelled", &event));
    assert_int_equal(event, MMU_EVENT_END_CANCELLED);
}

static char *read_doc(void)
{
    FILE *f = fopen(DOC_PATH, "rb");
    assert_non_null(f);
    struct strbuf text;
    strbuf_init(&text);
    char buf[4096];
    size_t got;
    while ((got = fread(buf, 1, sizeof(buf), f)) > 0)
        strbuf_add(&text, buf, got);
    fclose(f);
    return strbuf_take(&text);
}

static char *render_doc(const char *present)
{
    const char *begin = strstr(present, DOC_BEGIN), *end = strstr(present, DOC_END);
    assert_non_null(begin);
    assert_non_null(end);
    struct strbuf text;
    strbuf_init(&text);
    strbuf_add(&text, present, (size_t)(begin - present) + strlen(DOC_BEGIN));
    mmu_table_render(&text);
    strbuf_adds(&text, end);
    return strbuf_take(&text);
}

static void the_documented_table_is_the_one_in_force(void **unused)
{
    (void)unused;
    char *present = read_doc();
    char *want = render_doc(present);
    if (strcmp(present, want) != 0)
        fail_msg("docs/mmu-print-states.md differs from the table: run test_server_mmu_print_state --write");
    mem_free(present);
    mem_free(want);
}

static int write_doc(void)
{
    char *present = read_doc();
    char *text = render_doc(present);
    FILE *f = fopen(DOC_PATH, "wb");
    int failed = !f || fputs(text, f) < 0 || fclose(f) != 0;
    mem_free(present);
    mem_free(text);
    return failed;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--write") == 0)
        return write_doc();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cell_is_as_the_rules_say),
        cmocka_unit_test(rows_exclude_each_other),
        cmocka_unit_test(random_events_keep_the_invariants),
        cmocka_unit_test(names_are_unique_and_ends_are_known),
        cmocka_unit_test(the_documented_table_is_the_one_in_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
