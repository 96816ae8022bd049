/* Small pictures out of larger ones: the thumbnails that slicers put into G-code files, for lists of files. Pure. */
#ifndef STORE_PICTURE_H
#define STORE_PICTURE_H

#include "base/err.h"

#include <stddef.h>

#define PICTURE_SIZE_MAX 4096 /* width or height of what is read [pixels] */
#define PICTURE_SIDE_MAX 64   /* of what is made */

/* Shrink a PNG to a square of `side` pixels (1..PICTURE_SIDE_MAX): mean colours, in proportion, centred on transparent
 * ground. *out is a PNG the caller frees with mem_free. Reads 8 bits a channel, not interlaced, as slicers write them, in
 * two rows' memory. ERR_INVALID: no PNG, damaged or cut short; ERR_UNSUPPORTED: another kind of PNG; ERR_LIMIT: smaller than
 * `side` or larger than PICTURE_SIZE_MAX. */
enum err picture_shrink(const void *png, size_t len_bytes, unsigned side, unsigned char **out,
                        size_t *out_bytes) ERR_NODISCARD;

#endif
