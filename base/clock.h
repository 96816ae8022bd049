/* The three clocks of a printer. One-field structs, so that mixing them does not compile.
 *   host_ns     the computer's monotonic clock [ns]; virtual in simulation
 *   print_time  the printer's own time [s]: the main board's clock divided by its nominal frequency
 *   mcu_ticks   one board's clock, extended to 64 bits [ticks] */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct host_ns {
    int64_t ns;
};
struct print_time {
    double s;
};
struct mcu_ticks {
    uint64_t t;
};

#define HOST_NS_NEVER ((struct host_ns){INT64_MAX})
#define NS_PER_S 1000000000LL

static inline struct host_ns host_ns_add_s(struct host_ns a, double s)
{
    return (struct host_ns){a.ns + (int64_t)(s * 1e9)};
}
/* a - b [s] */
static inline double host_ns_diff_s(struct host_ns a, struct host_ns b)
{
    return (double)(a.ns - b.ns) * 1e-9;
}
static inline bool host_ns_before(struct host_ns a, struct host_ns b)
{
    return a.ns < b.ns;
}
static inline struct host_ns host_ns_min(struct host_ns a, struct host_ns b)
{
    return a.ns < b.ns ? a : b;
}

/* Is 32-bit tick count `a` before `b`? Right while they are less than 2^31 ticks apart. */
static inline bool ticks32_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* The computer's monotonic clock and wall clock. Only base/ calls these; everyone else is given a `now`. */
struct host_ns clock_monotonic(void);
double clock_wall_s(void); /* seconds since 1970 */

#endif
