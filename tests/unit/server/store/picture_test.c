/* Pictures shrunk for lists: every kind of PNG that slicers write, by every row filter, in proportion; damaged ones. */
#include "server/store/picture.h"

#include "base/mem.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define SIDE 32

/* --- a writer of its own: one IDAT chunk for each `cut` bytes --- */

struct image {
    unsigned width, height, colour, channels;
    unsigned char *pixels; /* rows without filter bytes */
};

static unsigned char *put_chunk(unsigned char *p, const char *name, const void *data, size_t len)
{
    unsigned char *begin = p + 4;
    for (int i = 0; i < 4; i++)
        *p++ = (unsigned char)(len >> (24 - 8 * i));
    memcpy(p, name, 4);
    memcpy(p + 4, data, len);
    p += 4 + len;
    uint32_t crc = (uint32_t)crc32(0, begin, (uInt)(4 + len));
    for (int i = 0; i < 4; i++)
        *p++ = (unsigned char)(crc >> (24 - 8 * i));
    return p;
}

static int predict(int filter, int a, int b, int c)
{
    int p = a + b - c, pa = abs(p - a), pb = abs(p - b), pc = abs(p - c);
    int best = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    return filter == 1 ? a : filter == 2 ? b : filter == 3 ? (a + b) / 2 : filter == 4 ? best : 0;
}

static unsigned char *encode(const struct image *im, int filter, size_t cut, size_t *len)
{
    size_t row = (size_t)im->width * im->channels, raw_bytes = im->height * (row + 1);
    unsigned char *raw = mem_alloc(raw_bytes), *q = raw;
    for (unsigned y = 0; y < im->height; y++) {
        int kind = filter < 0 ? (int)(y % 5) : filter;
        *q++ = (unsigned char)kind;
        for (size_t i = 0; i < row; i++) {
            const unsigned char *at = im->pixels + y * row + i;
            int a = i >= im->channels ? at[-(int)im->channels] : 0, b = y ? *(at - row) : 0;
            int c = y && i >= im->channels ? *(at - row - im->channels) : 0;
            *q++ = (unsigned char)(*at - predict(kind, a, b, c));
        }
    }
    uLong packed_bytes = compressBound((uLong)raw_bytes);
    unsigned char *packed = mem_alloc(packed_bytes);
    assert_int_equal(compress(packed, &packed_bytes, raw, (uLong)raw_bytes), Z_OK);
    unsigned char *png = mem_alloc(packed_bytes * 14 + 2048), *p = png + 8;
    memcpy(png, "\x89PNG\r\n\x1a\n", 8);
    unsigned char header[13] = {0, 0, (unsigned char)(im->width >> 8), (unsigned char)im->width, 0, 0,
                                (unsigned char)(im->height >> 8), (unsigned char)im->height, 8, (unsigned char)im->colour};
    p = put_chunk(p, "IHDR", header, sizeof header);
    if (im->colour == 3) {
        unsigned char palette[768], clear[1] = {0}; /* index i: colour (i, 255 - i, 7); index 0 transparent */
        for (int i = 0; i < 256; i++) {
            palette[3 * i] = (unsigned char)i;
            palette[3 * i + 1] = (unsigned char)(255 - i);
            palette[3 * i + 2] = 7;
        }
        p = put_chunk(p, "PLTE", palette, sizeof palette);
        p = put_chunk(p, "tRNS", clear, sizeof clear);
    }
    for (size_t at = 0; at < packed_bytes; at += cut)
        p = put_chunk(p, "IDAT", packed + at, packed_bytes - at < cut ? packed_bytes - at : cut);
    p = put_chunk(p, "IEND", "", 0);
    *len = (size_t)(p - png);
    mem_free(raw);
    mem_free(packed);
    return png;
}

/* The pixels of what picture_shrink has made: unfiltered RGBA in one IDAT chunk behind the 33 bytes of the header. */
static void decode_small(const unsigned char *png, size_t len, unsigned char out[SIDE][SIDE][4])
{
    static unsigned char raw[SIDE * (1 + 4 * SIDE)];
    uLong raw_bytes = sizeof raw;
    assert_true(len > 60 && !memcmp(png + 12, "IHDR\0\0\0\x20\0\0\0\x20\x08\x06", 14) && !memcmp(png + 37, "IDAT", 4));
    assert_int_equal(uncompress(raw, &raw_bytes, png + 41, (uLong)(len - 41)), Z_OK);
    assert_int_equal(raw_bytes, sizeof raw);
    for (int y = 0; y < SIDE; y++)
        memcpy(out[y], raw + y * (1 + 4 * SIDE) + 1, 4 * SIDE);
}

static struct image make(unsigned width, unsigned height, unsigned colour)
{
    static const unsigned channels[] = {1, 0, 3, 1, 2, 0, 4};
    struct image im = {.width = width, .height = height, .colour = colour, .channels = channels[colour]};
    im.pixels = mem_alloc((size_t)width * height * im.channels);
    return im;
}

static void shrink(const struct image *im, int filter, size_t cut, unsigned char out[SIDE][SIDE][4])
{
    size_t len, small_len;
    unsigned char *png = encode(im, filter, cut, &len), *small = NULL;
    assert_int_equal(picture_shrink(png, len, SIDE, &small, &small_len), OK);
    decode_small(small, small_len, out);
    mem_free(png);
    mem_free(small);
}

/* Each kind and filter: the mean of each 4x4 block, computed here from the pixels. */
static void every_kind_and_filter_gives_the_mean(void **state)
{
    (void)state;
    static const unsigned colours[] = {0, 2, 3, 4, 6};
    unsigned char out[SIDE][SIDE][4];
    struct rng rng;
    rng_init(&rng, 20261121);
    for (size_t k = 0; k < sizeof colours / sizeof colours[0]; k++) {
        struct image im = make(128, 128, colours[k]);
        for (size_t i = 0; i < (size_t)128 * 128 * im.channels; i++)
            im.pixels[i] = (unsigned char)rng_below(&rng, 256);
        for (int filter = -1; filter < 5; filter++) {
            shrink(&im, filter, filter == 2 ? 77 : 100000, out);
            for (int n = 0; n < 50; n++) {
                unsigned x = (unsigned)rng_below(&rng, SIDE), y = (unsigned)rng_below(&rng, SIDE);
                double sum[4] = {0};
                for (unsigned i = 0; i < 16; i++) {
                    const unsigned char *p = im.pixels + ((size_t)(4 * y + i / 4) * 128 + 4 * x + i % 4) * im.channels;
                    double c[3] = {p[0], p[0], p[0]}, alpha = im.colour == 6 ? p[3] : im.colour == 4 ? p[1] : 255;
                    if (im.channels >= 3)
                        c[1] = p[1], c[2] = p[2];
                    if (im.colour == 3)
                        c[1] = 255 - p[0], c[2] = 7, alpha = p[0] ? 255 : 0;
                    for (int j = 0; j < 3; j++)
                        sum[j] += c[j] * alpha;
                    sum[3] += alpha;
                }
                for (int j = 0; j < 3; j++)
                    assert_true(out[y][x][j] >= sum[j] / sum[3] - 0.51 && out[y][x][j] <= sum[j] / sum[3] + 0.51);
                assert_true(out[y][x][3] >= sum[3] / 16 - 0.51 && out[y][x][3] <= sum[3] / 16 + 0.51);
            }
        }
        mem_free(im.pixels);
    }
}

/* 300 x 150: the square is filled across, and a quarter above and below stays clear. */
static void proportions_are_kept(void **state)
{
    (void)state;
    unsigned char out[SIDE][SIDE][4];
    for (int is_tall = 0; is_tall < 2; is_tall++) {
        struct image im = is_tall ? make(150, 300, 2) : make(300, 150, 2);
        memset(im.pixels, 200, (size_t)300 * 150 * 3);
        shrink(&im, 4, 100000, out);
        for (int along = 0; along < SIDE; along++)
            for (int across = 0; across < SIDE; across++) {
                const unsigned char *p = is_tall ? out[along][across] : out[across][along];
                bool is_inside = across >= 8 && across < 24;
                assert_int_equal(p[3], is_inside ? 255 : 0);
                assert_int_equal(p[0], is_inside ? 200 : 0);
            }
        mem_free(im.pixels);
    }
}

static void what_cannot_be_read_is_refused(void **state)
{
    (void)state;
    struct image im = make(64, 64, 6);
    memset(im.pixels, 9, (size_t)64 * 64 * 4);
    size_t len, small_len;
    unsigned char *png = encode(&im, 0, 500, &len), *small = NULL;
    assert_int_equal(picture_shrink(png, len, 65 - 1, &small, &small_len), OK); /* its own size */
    mem_free(small);
    small = NULL;
    assert_int_equal(picture_shrink(png, 20, SIDE, &small, &small_len), ERR_INVALID);
    assert_int_equal(picture_shrink(png, len - 40, SIDE, &small, &small_len), ERR_INVALID);
    assert_int_equal(picture_shrink("no picture at all, but long enough", 34, SIDE, &small, &small_len), ERR_INVALID);
    png[8 + 8 + 8] = 16; /* bits a channel */
    assert_int_equal(picture_shrink(png, len, SIDE, &small, &small_len), ERR_UNSUPPORTED);
    png[8 + 8 + 8] = 8;
    png[8 + 8 + 12] = 1; /* interlaced */
    assert_int_equal(picture_shrink(png, len, SIDE, &small, &small_len), ERR_UNSUPPORTED);
    png[8 + 8 + 12] = 0;
    png[8 + 8 + 2] = 0x7f; /* 32,576 wide */
    assert_int_equal(picture_shrink(png, len, SIDE, &small, &small_len), ERR_LIMIT);
    assert_null(small);
    mem_free(png);
    struct image tiny = make(16, 16, 0);
    memset(tiny.pixels, 1, 256);
    png = encode(&tiny, 0, 500, &len);
    assert_int_equal(picture_shrink(png, len, SIDE, &small, &small_len), ERR_LIMIT);
    mem_free(png);
    mem_free(im.pixels);
    mem_free(tiny.pixels);
}

/* Bytes changed at random: refused or shrunk, never more. */
static void damage_does_no_harm(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 5);
    struct image im = make(100, 80, 3);
    for (size_t i = 0; i < (size_t)100 * 80; i++)
        im.pixels[i] = (unsigned char)(i * 7);
    size_t len, small_len, shrunk = 0;
    unsigned char *png = encode(&im, -1, 300, &len), *copy = mem_alloc(len);
    for (int n = 0; n < 5000; n++) {
        memcpy(copy, png, len);
        for (uint64_t i = rng_below(&rng, 4) + 1; i > 0; i--)
            copy[rng_below(&rng, len)] = (unsigned char)rng_below(&rng, 256);
        unsigned char *small = NULL;
        if (picture_shrink(copy, len - rng_below(&rng, 2) * rng_below(&rng, len), SIDE, &small, &small_len) == OK)
            shrunk++;
        mem_free(small);
    }
    print_message("%zu of 5000 damaged pictures could be read\n", shrunk);
    mem_free(png);
    mem_free(copy);
    mem_free(im.pixels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_and_filter_gives_the_mean),
        cmocka_unit_test(proportions_are_kept),
        cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(damage_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
