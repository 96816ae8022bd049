/* Any bytes as printer.cfg through the whole check: every object's create hook, with whatever values come out. */
#include "server/config/config.h"
#include "server/machine/printer.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("printer.cfg", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    config_destroy(printer_check_config(path, NULL, 0));
    (void)close(fd);
    return 0;
}
