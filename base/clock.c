#include "base/clock.h"

#include <time.h>

struct host_ns clock_monotonic(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct host_ns){(int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec};
}

double clock_wall_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}
