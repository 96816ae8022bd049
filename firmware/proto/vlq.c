#include "firmware/proto/vlq.h"

#include <stddef.h>

/* A value needs n bytes unless it lies in [-2^(7n-2), 3*2^(7n-2)): two bits of the first byte tell the sign. */
unsigned vlq_size(uint32_t value)
{
    int32_t v = (int32_t)value;
    if (v >= -(1L << 5) && v < (3L << 5))
        return 1;
    if (v >= -(1L << 12) && v < (3L << 12))
        return 2;
    if (v >= -(1L << 19) && v < (3L << 19))
        return 3;
    if (v >= -(1L << 26) && v < (3L << 26))
        return 4;
    return 5;
}

uint8_t *vlq_encode(uint8_t *out, uint32_t value)
{
    const int32_t v = (int32_t)value;
    if (v < -(1L << 5) || v >= (3L << 5)) {
        if (v < -(1L << 12) || v >= (3L << 12)) {
            if (v < -(1L << 19) || v >= (3L << 19)) {
                if (v < -(1L << 26) || v >= (3L << 26))
                    *out++ = (uint8_t)(value >> 28 | 0x80);
                *out++ = (uint8_t)((value >> 21 & 0x7f) | 0x80);
            }
            *out++ = (uint8_t)((value >> 14 & 0x7f) | 0x80);
        }
        *out++ = (uint8_t)((value >> 7 & 0x7f) | 0x80);
    }
    *out++ = (uint8_t)(value & 0x7f);
    return out;
}

const uint8_t *vlq_decode(const uint8_t *p, const uint8_t *end, uint32_t *value)
{
    if (p >= end)
        return NULL;
    uint8_t byte = *p++;
    uint32_t v = byte & 0x7f;
    if ((byte & 0x60) == 0x60)
        v |= ~(uint32_t)0x1f;
    for (unsigned n = 1; byte & 0x80; n++) {
        if (p >= end || n >= VLQ_MAX_BYTES)
            return NULL;
        byte = *p++;
        v = (v << 7) | (byte & 0x7f);
    }
    *value = v;
    return p;
}
