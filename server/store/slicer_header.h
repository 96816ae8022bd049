/* What a slicer writes into its G-code file as comments: who sliced it, for how long it prints, with what. */
#ifndef STORE_SLICER_HEADER_H
#define STORE_SLICER_HEADER_H

#include "base/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* The first and last bytes of a file that are looked at, as clients' other servers do. */
#define SLICER_HEADER_BYTES (1u << 20)

/* Called with each picture: its comment lines joined to base64 text (not ended by zero) and "PNG", "JPG" or "QOI". */
typedef void slicer_picture_fn(void *ctx, const char *format, unsigned width, unsigned height, const char *base64,
                               size_t len_bytes);

/* Read comments of the file `full` and return its metadata as an object with only the members that were found.
 * `picture` NULL: pictures are skipped. Worker thread; takes a few ms. */
enum err slicer_header_read(const char *full, slicer_picture_fn *picture, void *ctx, json_t **out, struct err_info *info)
    ERR_NODISCARD;

/* The same for text in memory. `head` and `tail` may overlap (a short file); tail_offset is where `tail` begins in the
 * file. Pure. */
json_t *slicer_header_parse(const char *head, size_t head_bytes, const char *tail, size_t tail_bytes,
                            uint64_t tail_offset, slicer_picture_fn *picture, void *ctx);

/* "1d 2h 3m 4s" in seconds, up to a semicolon; 0 if it holds none of these. Pure. */
double slicer_duration_s(const char *text);

#endif
