/* Integers on the wire: big-endian groups of 7 bits, bit 7 = more follow; the first byte carries the sign. Encoders work
 * on the int32 view of a 32-bit value; decoders accept both views (same low 32 bits). Freestanding, pure. */
#ifndef FIRMWARE_PROTO_VLQ_H
#define FIRMWARE_PROTO_VLQ_H

#include <stdint.h>

#define VLQ_MAX_BYTES 5

/* Append `value`; returns the end. At most VLQ_MAX_BYTES. */
uint8_t *vlq_encode(uint8_t *out, uint32_t value);
unsigned vlq_size(uint32_t value);
/* Read one integer from [p, end); returns the byte after it, or NULL if the input ends inside it or it is longer than
 * VLQ_MAX_BYTES. */
const uint8_t *vlq_decode(const uint8_t *p, const uint8_t *end, uint32_t *value);

#endif
