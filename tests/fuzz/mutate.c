/* A small fuzzer without a fuzzing library: takes files of a corpus, damages and splices them from a seed, and hands them
 * to the driver. Prints the seed; on a crash the number of the execution repeats it. */
#include "base/mem.h"
#include "base/rng.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (64u << 10)
#define CORPUS_MAX 256
#define PROGRESS_EXECUTIONS 100000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct corpus {
    uint8_t *data[CORPUS_MAX];
    size_t size[CORPUS_MAX];
    size_t count;
};

/* In the order of their names: a seed means the same on every disk. */
static void load(struct corpus *corpus, const char *dir)
{
    struct dirent **entries;
    int count = scandir(dir, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        const char *name = entries[i]->d_name;
        char *path = mem_sprintf("%s/%s", dir, name);
        FILE *f = name[0] == '.' || corpus->count == CORPUS_MAX ? NULL : fopen(path, "rb");
        mem_free(path);
        free(entries[i]);
        if (!f)
            continue;
        uint8_t *data = mem_alloc(INPUT_MAX);
        corpus->size[corpus->count] = fread(data, 1, INPUT_MAX, f);
        corpus->data[corpus->count++] = data;
        (void)fclose(f);
    }
    if (count >= 0)
        free(entries);
}

/* Put `n` bytes at `at`; nothing if there is no room. */
static size_t insert(uint8_t *data, size_t size, size_t at, const void *more, size_t n)
{
    if (n > INPUT_MAX - size)
        return size;
    memmove(data + at + n, data + at, size - at);
    memcpy(data + at, more, n);
    return size + n;
}

static size_t line_begin(const uint8_t *data, size_t at)
{
    while (at && data[at - 1] != '\n')
        at--;
    return at;
}

/* A whole line of another file before the line at `at`: sections and options move to where they do not belong. */
static size_t borrow_line(struct rng *rng, uint8_t *data, size_t size, size_t at, const struct corpus *corpus)
{
    size_t other = rng_below(rng, corpus->count), other_size = corpus->size[other];
    if (!other_size)
        return size;
    const uint8_t *text = corpus->data[other];
    size_t begin = line_begin(text, rng_below(rng, other_size)), end = begin;
    while (end < other_size && text[end++] != '\n')
        ;
    return insert(data, size, line_begin(data, at), text + begin, end - begin);
}

/* The next number behind `at` becomes one that is at or beyond a limit. */
static size_t change_number(struct rng *rng, uint8_t *data, size_t size, size_t at)
{
    static const char *const numbers[] = {"0", "-1", "1", "0.5", "255", "256", "65536", "2147483647", "2147483648", "4294967296",
                                          "1e-300", "1e300", "-1e9", "1e9", "nan", "inf", "", "1_0", "0x10", "99999999999999999999"};
    while (at < size && (data[at] < '0' || data[at] > '9'))
        at++;
    size_t end = at;
    while (end < size && ((data[end] >= '0' && data[end] <= '9') || data[end] == '.'))
        end++;
    memmove(data + at, data + end, size - end);
    const char *number = numbers[rng_below(rng, sizeof numbers / sizeof numbers[0])];
    return insert(data, size - (end - at), at, number, strlen(number));
}

/* One random change of `data`; returns the new size. */
static size_t damage(struct rng *rng, uint8_t *data, size_t size, const struct corpus *corpus)
{
    static const char tokens[] = "[]:=\n\t #;\r{}%\"'\\,()<>!^~*?/\0\xff";
    size_t at = size ? rng_below(rng, size) : 0;
    switch (rng_below(rng, 8)) {
    case 0: /* another byte */
        if (size)
            data[at] = (uint8_t)rng_below(rng, 256);
        return size;
    case 1: /* a byte that means something */
        if (size)
            data[at] = (uint8_t)tokens[rng_below(rng, sizeof tokens)];
        return size;
    case 2: { /* take some out */
        size_t n = size ? rng_below(rng, size - at + 1) % 64 : 0;
        memmove(data + at, data + at + n, size - at - n);
        return size - n;
    }
    case 3: { /* repeat some */
        size_t n = size ? rng_below(rng, size - at) % 256 : 0;
        if (size + n > INPUT_MAX)
            return size;
        memmove(data + at + n, data + at, size - at);
        return size + n;
    }
    case 4: /* cut off, seldom: what is behind is lost for all that follows */
        return rng_below(rng, 4) ? size : at;
    case 5:
        return borrow_line(rng, data, size, at, corpus);
    case 6:
        return change_number(rng, data, size, at);
    default: { /* go on with a piece of another file */
        size_t other = rng_below(rng, corpus->count), from = rng_below(rng, corpus->size[other] + 1);
        size_t n = corpus->size[other] - from;
        if (n > INPUT_MAX - at)
            n = INPUT_MAX - at;
        memcpy(data + at, corpus->data[other] + from, n);
        return at + n;
    }
    }
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s CORPUS_DIR EXECUTIONS SEED\n", argv[0]);
        return 2;
    }
    struct corpus corpus = {.count = 0};
    load(&corpus, argv[1]);
    unsigned long executions = strtoul(argv[2], NULL, 10), seed = strtoul(argv[3], NULL, 10);
    printf("corpus %zu files, %lu executions, seed %lu\n", corpus.count, executions, seed);
    if (!corpus.count)
        return 1;
    uint8_t *data = mem_alloc(INPUT_MAX);
    for (unsigned long i = 0; i < executions; i++) {
        struct rng rng;
        rng_init(&rng, seed * 1000003u + i); /* each execution can be repeated alone */
        size_t pick = rng_below(&rng, corpus.count), size = corpus.size[pick];
        memcpy(data, corpus.data[pick], size);
        for (uint64_t n = rng_below(&rng, 8); n > 0; n--)
            size = damage(&rng, data, size, &corpus);
        (void)LLVMFuzzerTestOneInput(data, size);
        if ((i + 1) % PROGRESS_EXECUTIONS == 0) {
            printf("%lu\n", i + 1);
            (void)fflush(stdout);
        }
    }
    for (size_t i = 0; i < corpus.count; i++)
        mem_free(corpus.data[i]);
    mem_free(data);
    return 0;
}
