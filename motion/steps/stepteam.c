#include "motion/steps/stepteam.h"

#include "base/check.h"
#include "base/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HELPERS_MAX 15
#define LEAD_PARTS  4 /* a job may be ahead of a waiting one by this part of what it had left */

enum { JOB_FREE, JOB_BUSY, JOB_DONE };

struct place {
    _Alignas(64) atomic_int state;
    _Atomic double solved_s; /* how far it has come, as of when somebody last let go of it */
};

struct stepteam {
    pthread_t helpers[HELPERS_MAX];
    unsigned helper_count;
    pthread_mutex_t lock; /* guards: round, is_ending, busy, and the conditions */
    pthread_cond_t begun, done;
    unsigned round, busy;
    bool is_ending;
    struct stepteam_job *jobs;
    size_t count;
    struct place places[STEPTEAM_JOBS_MAX];
};

/* The free job that is furthest behind, if it is behind `before_s` (INFINITY: in any case); else -1. */
static int find_behind(const struct stepteam *team, double before_s)
{
    int found = -1;
    for (size_t i = 0; i < team->count; i++) {
        if (atomic_load_explicit(&team->places[i].state, memory_order_relaxed) != JOB_FREE)
            continue;
        const double solved_s = atomic_load_explicit(&team->places[i].solved_s, memory_order_relaxed);
        if (solved_s < before_s || (isinf(before_s) && found < 0)) {
            before_s = solved_s;
            found = (int)i;
        }
    }
    return found;
}

/* Run one job slice by slice, until it is done or another one that nobody works on has fallen far behind: so all come
 * to their end together and no thread waits for long, yet a stepper seldom changes to another processor's cache. */
static void run_job(struct stepteam *team, size_t index)
{
    struct stepteam_job *job = &team->jobs[index];
    struct place *place = &team->places[index];
    const double begin_s = atomic_load_explicit(&place->solved_s, memory_order_relaxed);
    const double lead_s = (job->goal.until_s - begin_s) / LEAD_PARTS;
    bool is_done;
    double solved_s;
    do {
        is_done = stepgen_run_slice(job->stepper, &job->goal, &job->result);
        solved_s = stepgen_solved_s(job->stepper);
    } while (!is_done && find_behind(team, solved_s - lead_s) < 0);
    atomic_store_explicit(&place->solved_s, solved_s, memory_order_relaxed);
    atomic_store_explicit(&place->state, is_done ? JOB_DONE : JOB_FREE, memory_order_release);
}

static void work(struct stepteam *team)
{
    int index;
    while ((index = find_behind(team, INFINITY)) >= 0) {
        int expected = JOB_FREE;
        if (atomic_compare_exchange_strong_explicit(&team->places[index].state, &expected, JOB_BUSY,
                                                    memory_order_acquire, memory_order_relaxed))
            run_job(team, (size_t)index);
    }
}

static void *helper(void *arg)
{
    struct stepteam *team = arg;
    unsigned seen = 0;
    pthread_mutex_lock(&team->lock);
    for (;;) {
        while (team->round == seen && !team->is_ending)
            pthread_cond_wait(&team->begun, &team->lock);
        if (team->is_ending)
            break;
        seen = team->round;
        pthread_mutex_unlock(&team->lock);
        work(team);
        pthread_mutex_lock(&team->lock);
        if (--team->busy == 0)
            pthread_cond_signal(&team->done);
    }
    pthread_mutex_unlock(&team->lock);
    return NULL;
}

struct stepteam *stepteam_create(unsigned threads)
{
    struct stepteam *team = MEM_NEW(struct stepteam);
    pthread_mutex_init(&team->lock, NULL);
    pthread_cond_init(&team->begun, NULL);
    pthread_cond_init(&team->done, NULL);
    for (unsigned i = 0; i + 1 < threads && i < HELPERS_MAX; i++)
        if (pthread_create(&team->helpers[team->helper_count], NULL, helper, team) == 0)
            team->helper_count++;
    return team;
}

void stepteam_destroy(struct stepteam *team)
{
    if (!team)
        return;
    pthread_mutex_lock(&team->lock);
    team->is_ending = true;
    pthread_cond_broadcast(&team->begun);
    pthread_mutex_unlock(&team->lock);
    for (unsigned i = 0; i < team->helper_count; i++)
        pthread_join(team->helpers[i], NULL);
    pthread_cond_destroy(&team->done);
    pthread_cond_destroy(&team->begun);
    pthread_mutex_destroy(&team->lock);
    mem_free(team);
}

void stepteam_begin(struct stepteam *team, struct stepteam_job *jobs, size_t count)
{
    CHECK(count <= STEPTEAM_JOBS_MAX);
    team->jobs = jobs;
    team->count = count;
    for (size_t i = 0; i < count; i++) {
        atomic_store_explicit(&team->places[i].solved_s, stepgen_solved_s(jobs[i].stepper), memory_order_relaxed);
        atomic_store_explicit(&team->places[i].state, JOB_FREE, memory_order_relaxed);
    }
    if (team->helper_count == 0)
        return;
    pthread_mutex_lock(&team->lock);
    team->busy = team->helper_count;
    team->round++;
    pthread_cond_broadcast(&team->begun);
    pthread_mutex_unlock(&team->lock);
}

void stepteam_finish(struct stepteam *team)
{
    work(team);
    if (team->helper_count == 0)
        return;
    pthread_mutex_lock(&team->lock);
    while (team->busy > 0)
        pthread_cond_wait(&team->done, &team->lock);
    pthread_mutex_unlock(&team->lock);
}
