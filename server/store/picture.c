/* PNG (ISO/IEC 15948): a signature, chunks of length, name, data and CRC; the pixels are rows with a filter byte each, all
 * rows in one zlib stream cut into IDAT chunks. */
#include "server/store/picture.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#define SIGNATURE "\x89PNG\r\n\x1a\n"
#define SIGNATURE_BYTES 8

enum colour { GREY = 0, RGB = 2, PALETTE = 3, GREY_ALPHA = 4, RGBA = 6 };

/* Sum of the pixels that fall into one of the small picture's, colours weighted by opacity. */
struct cell {
    uint64_t colour[3], alpha, count;
};

struct reader {
    const unsigned char *at, *end;
    unsigned width, height, channels;
    enum colour colour;
    unsigned char palette[256][4];
    bool has_palette;
    /* rows */
    z_stream z;
    unsigned char *row, *above; /* filter byte first */
    size_t row_bytes, filled;
    unsigned y;
    unsigned side;
    struct cell *cells;
};

static uint32_t read_u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* --- rows --- */

static unsigned paeth(int a, int b, int c)
{
    int p = a + b - c, pa = p > a ? p - a : a - p, pb = p > b ? p - b : b - p, pc = p > c ? p - c : c - p;
    return (unsigned)(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

static bool unfilter(struct reader *r)
{
    unsigned char *row = r->row + 1;
    const unsigned char *above = r->above + 1;
    unsigned step = r->channels;
    for (size_t i = 0; i + 1 < r->row_bytes; i++) {
        unsigned a = i >= step ? row[i - step] : 0, b = above[i], c = i >= step ? above[i - step] : 0, add = 0;
        switch (r->row[0]) {
        case 0:
            return true;
        case 1:
            add = a;
            break;
        case 2:
            add = b;
            break;
        case 3:
            add = (a + b) / 2;
            break;
        case 4:
            add = paeth((int)a, (int)b, (int)c);
            break;
        default:
            return false;
        }
        row[i] = (unsigned char)(row[i] + add);
    }
    return true;
}

static void pixel_of(const struct reader *r, const unsigned char *p, unsigned char out[4])
{
    switch (r->colour) {
    case GREY:
    case GREY_ALPHA:
        out[0] = out[1] = out[2] = p[0];
        out[3] = r->colour == GREY ? 255 : p[1];
        break;
    case PALETTE:
        memcpy(out, r->palette[p[0]], 4);
        break;
    case RGB:
    case RGBA:
        memcpy(out, p, 3);
        out[3] = r->colour == RGB ? 255 : p[3];
        break;
    }
}

/* Where pixel `i` of `size` goes; the longer side fills the square. */
static unsigned place(const struct reader *r, unsigned i, unsigned size)
{
    unsigned longest = r->width > r->height ? r->width : r->height;
    return (unsigned)((2ull * i + (longest - size)) * r->side / (2ull * longest));
}

static void add_row(struct reader *r)
{
    struct cell *line = &r->cells[(size_t)place(r, r->y, r->height) * r->side];
    for (unsigned x = 0; x < r->width; x++) {
        unsigned char pixel[4];
        pixel_of(r, r->row + 1 + (size_t)x * r->channels, pixel);
        struct cell *cell = &line[place(r, x, r->width)];
        for (int i = 0; i < 3; i++)
            cell->colour[i] += (uint64_t)pixel[i] * pixel[3];
        cell->alpha += pixel[3];
        cell->count++;
    }
}

/* Inflate one IDAT chunk, row by row. */
static enum err read_rows(struct reader *r, const unsigned char *data, size_t len_bytes)
{
    r->z.next_in = (unsigned char *)data;
    r->z.avail_in = (uInt)len_bytes;
    while (r->y < r->height) {
        r->z.next_out = r->row + r->filled;
        r->z.avail_out = (uInt)(r->row_bytes - r->filled);
        int rc = inflate(&r->z, Z_NO_FLUSH);
        r->filled = r->row_bytes - r->z.avail_out;
        if (r->filled < r->row_bytes)
            return rc == Z_OK || rc == Z_BUF_ERROR ? OK : ERR_INVALID; /* the next chunk goes on */
        if (!unfilter(r))
            return ERR_INVALID;
        add_row(r);
        unsigned char *row = r->row;
        r->row = r->above;
        r->above = row;
        r->filled = 0;
        r->y++;
    }
    return OK;
}

/* --- chunks --- */

static enum err read_header(struct reader *r, const unsigned char *data, size_t len_bytes)
{
    static const unsigned char channels[] = {[GREY] = 1, [RGB] = 3, [PALETTE] = 1, [GREY_ALPHA] = 2, [RGBA] = 4};
    if (len_bytes != 13 || r->row)
        return ERR_INVALID;
    r->width = read_u32(data);
    r->height = read_u32(data + 4);
    if (data[8] != 8 || data[9] >= sizeof channels || !channels[data[9]] || data[12] != 0)
        return ERR_UNSUPPORTED;
    r->colour = (enum colour)data[9];
    r->channels = channels[data[9]];
    unsigned longest = r->width > r->height ? r->width : r->height;
    if (r->width == 0 || r->height == 0)
        return ERR_INVALID;
    if (longest > PICTURE_SIZE_MAX || longest < r->side)
        return ERR_LIMIT;
    r->row_bytes = 1 + (size_t)r->width * r->channels;
    r->row = mem_alloc(r->row_bytes);
    r->above = mem_alloc(r->row_bytes);
    memset(r->above, 0, r->row_bytes);
    return OK;
}

static enum err read_chunk(struct reader *r, const char *name, const unsigned char *data, size_t len_bytes)
{
    if (!memcmp(name, "IHDR", 4))
        return read_header(r, data, len_bytes);
    if (!r->row)
        return ERR_INVALID; /* it has to come first */
    if (!memcmp(name, "PLTE", 4)) {
        for (size_t i = 0; i < len_bytes / 3 && i < 256; i++) {
            memcpy(r->palette[i], data + 3 * i, 3);
            r->palette[i][3] = 255;
        }
        r->has_palette = true;
    } else if (!memcmp(name, "tRNS", 4) && r->colour == PALETTE) {
        for (size_t i = 0; i < len_bytes && i < 256; i++)
            r->palette[i][3] = data[i];
    } else if (!memcmp(name, "IDAT", 4)) {
        return r->colour == PALETTE && !r->has_palette ? ERR_INVALID : read_rows(r, data, len_bytes);
    }
    return OK;
}

static enum err read_png(struct reader *r)
{
    if (r->end - r->at < SIGNATURE_BYTES || memcmp(r->at, SIGNATURE, SIGNATURE_BYTES) != 0)
        return ERR_INVALID;
    r->at += SIGNATURE_BYTES;
    while (r->end - r->at >= 12) {
        size_t len = read_u32(r->at);
        const char *name = (const char *)r->at + 4;
        if (len > (size_t)(r->end - r->at) - 12)
            return ERR_INVALID;
        enum err err = read_chunk(r, name, r->at + 8, len);
        if (err)
            return err;
        if (!memcmp(name, "IEND", 4))
            break;
        r->at += 12 + len;
    }
    return r->row && r->y == r->height ? OK : ERR_INVALID;
}

/* --- writing --- */

static unsigned char *put_u32(unsigned char *p, uint32_t v)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        *p++ = (unsigned char)(v >> shift);
    return p;
}

static unsigned char *put_chunk(unsigned char *p, const char *name, const unsigned char *data, size_t len_bytes)
{
    p = put_u32(p, (uint32_t)len_bytes);
    unsigned char *begin = p;
    memcpy(p, name, 4);
    if (len_bytes)
        memcpy(p + 4, data, len_bytes);
    p += 4 + len_bytes;
    return put_u32(p, (uint32_t)crc32(0, begin, (uInt)(4 + len_bytes)));
}

static unsigned char rounded_mean(uint64_t sum, uint64_t count)
{
    return (unsigned char)(count ? (sum + count / 2) / count : 0);
}

static void write_png(const struct reader *r, unsigned char **out, size_t *out_bytes)
{
    unsigned side = r->side;
    unsigned char raw[PICTURE_SIDE_MAX * (1 + 4 * PICTURE_SIDE_MAX)], *p = raw;
    for (unsigned y = 0; y < side; y++) {
        *p++ = 0; /* no filter */
        for (unsigned x = 0; x < side; x++) {
            const struct cell *c = &r->cells[y * side + x];
            for (int i = 0; i < 3; i++)
                *p++ = rounded_mean(c->colour[i], c->alpha);
            *p++ = rounded_mean(c->alpha, c->count);
        }
    }
    uLong raw_bytes = (uLong)(p - raw), packed_bytes = compressBound(raw_bytes);
    unsigned char *packed = mem_alloc(packed_bytes), header[13] = {0};
    int rc = compress2(packed, &packed_bytes, raw, raw_bytes, Z_BEST_COMPRESSION);
    CHECK(rc == Z_OK);
    (void)put_u32(put_u32(header, side), side);
    header[8] = 8;
    header[9] = RGBA;
    unsigned char *png = mem_alloc(SIGNATURE_BYTES + 3 * 12 + sizeof header + packed_bytes);
    memcpy(png, SIGNATURE, SIGNATURE_BYTES);
    p = put_chunk(png + SIGNATURE_BYTES, "IHDR", header, sizeof header);
    p = put_chunk(p, "IDAT", packed, packed_bytes);
    p = put_chunk(p, "IEND", NULL, 0);
    mem_free(packed);
    *out = png;
    *out_bytes = (size_t)(p - png);
}

enum err picture_shrink(const void *png, size_t len_bytes, unsigned side, unsigned char **out, size_t *out_bytes)
{
    CHECK(side > 0 && side <= PICTURE_SIDE_MAX);
    struct reader r = {.at = png, .end = (const unsigned char *)png + len_bytes, .side = side};
    if (inflateInit(&r.z) != Z_OK)
        return ERR_LIMIT;
    r.cells = MEM_ARRAY(struct cell, (size_t)side * side);
    enum err err = read_png(&r);
    if (!err)
        write_png(&r, out, out_bytes);
    (void)inflateEnd(&r.z);
    mem_free(r.row);
    mem_free(r.above);
    mem_free(r.cells);
    return err;
}
