/* Files of a configuration that are in memory: one input that a fuzzer can change holds all of them. */
#ifndef TESTS_FUZZ_MEMORY_FILES_H
#define TESTS_FUZZ_MEMORY_FILES_H

#include "server/config/config.h"

#include <stddef.h>

#define MEMORY_FILES_MAX 16
#define MEMORY_FILE_MARK "#@file " /* a line of this and a name begins the next file; what is before is printer.cfg */

struct memory_files {
    struct memory_file {
        char name[64];
        const char *text;
        size_t len_bytes;
    } files[MEMORY_FILES_MAX];
    size_t count;
    struct config_files io;
};

/* `data` is kept. The first file is "printer.cfg". */
void memory_files_init(struct memory_files *memory, const char *data, size_t len_bytes);

#endif
