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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct corpus {
    uint8_t *data[CORPUS_MAX];
    size_t size[CORPUS_MAX];
    size_t count;
};

static void load(struct corpus *corpus, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *entry;
    while (d && (entry = readdir(d)) && corpus->count < CORPUS_MAX) {
        char *path = mem_sprintf("%s/%s", dir, entry->d_name);
        FILE *f = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        mem_free(path);
        if (!f)
            continue;
        uint8_t *data = mem_alloc(INPUT_MAX);
        corpus->size[corpus->count] = fread(data, 1, INPUT_MAX, f);
        corpus->data[corpus->count++] = data;
        (void)fclose(f);
    }
    if (d)
        (void)closedir(d);
}

/* One random change of `data`; returns the new size. */
static size_t damage(struct rng *rng, uint8_t *data, size_t size, const struct corpus *corpus)
{
    static const char tokens[] = "[]:=\n\t #;\r{}%\"'\\,()<>!^~*?/\0\xff";
    size_t at = size ? rng_below(rng, size) : 0;
    switch (rng_below(rng, 6)) {
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
    case 4: /* cut off */
        return at;
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
    }
    for (size_t i = 0; i < corpus.count; i++)
        mem_free(corpus.data[i]);
    mem_free(data);
    return 0;
}
