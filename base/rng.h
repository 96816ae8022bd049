/* Seeded random numbers (xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64). Same seed, same sequence. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_u64(struct rng *rng);
uint64_t rng_below(struct rng *rng, uint64_t bound); /* [0, bound), bound > 0, without bias */
double rng_unit(struct rng *rng);                    /* [0, 1) */
double rng_range(struct rng *rng, double lo, double hi);
/* Bytes nobody can guess (getrandom), for tokens; not for anything that must repeat. */
void rng_secret(void *data, unsigned len_bytes);
/* A random UUID (RFC 4122, version 4) from the same source, as text. */
#define RNG_UUID_BYTES 37
void rng_uuid(char out[RNG_UUID_BYTES]);

#endif
