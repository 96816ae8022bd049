#include "firmware/proto/frame.h"

uint16_t frame_crc16(const uint8_t *data, size_t len_bytes)
{
    uint16_t crc = 0xffff;
    for (size_t i = 0; i < len_bytes; i++) {
        uint8_t d = (uint8_t)(data[i] ^ (crc & 0xff));
        d = (uint8_t)(d ^ (d << 4));
        crc = (uint16_t)((((uint16_t)d << 8) | (crc >> 8)) ^ (d >> 4) ^ ((uint16_t)d << 3));
    }
    return crc;
}

size_t frame_build(uint8_t out[FRAME_MAX_BYTES], unsigned seq, const uint8_t *payload, size_t len_bytes)
{
    size_t total = len_bytes + FRAME_MIN_BYTES;
    out[0] = (uint8_t)total;
    out[1] = (uint8_t)(FRAME_SEQ_FLAG | (seq & FRAME_SEQ_MASK));
    for (size_t i = 0; i < len_bytes; i++)
        out[FRAME_HEADER_BYTES + i] = payload[i];
    uint16_t crc = frame_crc16(out, total - FRAME_TRAILER_BYTES);
    out[total - 3] = (uint8_t)(crc >> 8);
    out[total - 2] = (uint8_t)(crc & 0xff);
    out[total - 1] = FRAME_SYNC;
    return total;
}

enum frame_result frame_check(const uint8_t *data, size_t avail_bytes, size_t *len_bytes)
{
    if (avail_bytes < FRAME_MIN_BYTES)
        return FRAME_NEED_MORE;
    size_t len = data[0];
    if (len < FRAME_MIN_BYTES || len > FRAME_MAX_BYTES || (data[1] & ~FRAME_SEQ_MASK) != FRAME_SEQ_FLAG)
        return FRAME_BAD;
    if (avail_bytes < len)
        return FRAME_NEED_MORE;
    if (data[len - 1] != FRAME_SYNC)
        return FRAME_BAD;
    uint16_t crc = (uint16_t)((data[len - 3] << 8) | data[len - 2]);
    if (crc != frame_crc16(data, len - FRAME_TRAILER_BYTES))
        return FRAME_BAD;
    *len_bytes = len;
    return FRAME_GOOD;
}
