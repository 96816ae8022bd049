/* Blocks on the wire, the same in both directions (docs/protocol.md):
 *   length (5..64, all of it) | sequence 0x10..0x1f | payload | CRC-16 high, low | 0x7e
 * Freestanding: used by the firmware on a chip and by the host. Pure; any thread. */
#ifndef FIRMWARE_PROTO_FRAME_H
#define FIRMWARE_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_BYTES  2
#define FRAME_TRAILER_BYTES 3
#define FRAME_MIN_BYTES     5
#define FRAME_MAX_BYTES     64
#define FRAME_PAYLOAD_MAX   (FRAME_MAX_BYTES - FRAME_MIN_BYTES)
#define FRAME_SYNC          0x7e
#define FRAME_SEQ_FLAG      0x10 /* the high nibble of every sequence byte */
#define FRAME_SEQ_MASK      0x0f

uint16_t frame_crc16(const uint8_t *data, size_t len_bytes);

/* Build a block around `payload` (0..FRAME_PAYLOAD_MAX bytes; may be NULL when empty) with the low nibble of `seq`.
 * Returns its length. */
size_t frame_build(uint8_t out[FRAME_MAX_BYTES], unsigned seq, const uint8_t *payload, size_t len_bytes);

enum frame_result {
    FRAME_NEED_MORE, /* the bytes so far may be the start of a block */
    FRAME_GOOD,      /* *len_bytes is the length of the block at `data` */
    FRAME_BAD        /* skip through the next FRAME_SYNC and try there */
};

/* Look at `avail_bytes` of input. Nothing is examined before FRAME_MIN_BYTES are there (rule 1 of the protocol). */
enum frame_result frame_check(const uint8_t *data, size_t avail_bytes, size_t *len_bytes);

#endif
