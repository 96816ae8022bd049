#include "motion/steps/stepteam.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define HELPERS_MAX 15

struct stepteam {
    pthread_t helpers[HELPERS_MAX];
    unsigned helper_count;
    pthread_mutex_t lock; /* guards: round, is_ending, busy, and the conditions */
    pthread_cond_t begun, done;
    unsigned round, busy;
    bool is_ending;
    struct stepteam_job *jobs;
    size_t count;
    atomic_size_t next; /* first job nobody has taken */
};

static void work(struct stepteam *team)
{
    for (;;) {
        const size_t i = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed);
        if (i >= team->count)
            return;
        team->jobs[i].result = stepgen_run(team->jobs[i].stepper, &team->jobs[i].goal);
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
    team->jobs = jobs;
    team->count = count;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
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
