/* Any bytes as a configuration of several files through the whole check: every object's create hook, with whatever values
 * come out. Nothing touches a disk. */
#include "server/machine/printer.h"
#include "tests/fuzz/memory_files.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory_files memory;
    memory_files_init(&memory, (const char *)data, size);
    config_destroy(printer_check_files(&memory.io, "printer.cfg", NULL, 0));
    return 0;
}
