#include "base/rng.h"

#include "base/check.h"

#include <sys/random.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void rng_init(struct rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rng->s[i] = splitmix64(&seed);
}

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    CHECK(bound > 0);
    uint64_t reject_below = (0 - bound) % bound; /* 2^64 mod bound */
    uint64_t x;
    do
        x = rng_u64(rng);
    while (x < reject_below);
    return x % bound;
}

double rng_unit(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

double rng_range(struct rng *rng, double lo, double hi)
{
    return lo + (hi - lo) * rng_unit(rng);
}

void rng_secret(void *data, unsigned len_bytes)
{
    unsigned char *p = data;
    while (len_bytes > 0) {
        ssize_t n = getrandom(p, len_bytes, 0);
        CHECK(n > 0);
        p += n;
        len_bytes -= (unsigned)n;
    }
}

void rng_uuid(char out[RNG_UUID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char b[16];
    rng_secret(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    for (unsigned i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[b[i] >> 4];
        *out++ = digits[b[i] & 15];
    }
    *out = 0;
}
