/* A fixed team of threads that runs step generation for many steppers at once, without locks on the work itself: a
 * stepper is worked on by one thread at a time, slice by slice. The records are the same for any number of threads. */
#ifndef MOTION_STEPS_STEPTEAM_H
#define MOTION_STEPS_STEPTEAM_H

#include "motion/steps/stepgen.h"

struct stepteam;

struct stepteam_job {
    struct stepgen *stepper;
    struct stepgen_goal goal;
    enum err result;
};

/* threads  0 or 1: everything runs on the caller's thread */
struct stepteam *stepteam_create(unsigned threads);
void stepteam_destroy(struct stepteam *team);

#define STEPTEAM_JOBS_MAX 64

/* Run all jobs (kept until done; at most STEPTEAM_JOBS_MAX): begin returns at once, the helpers work on; finish takes
 * part and returns when all are done. */
void stepteam_begin(struct stepteam *team, struct stepteam_job *jobs, size_t count);
void stepteam_finish(struct stepteam *team);

#endif
