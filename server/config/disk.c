/* The files of a configuration on a disk. */
#include "server/config/private.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *config_read_file(const char *path, size_t *len_bytes, struct err_info *info)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0 || S_ISDIR(st.st_mode)) {
        (void)err_set(info, ERR_IO, "Unable to open config file %s: %s", path, f ? "it is a folder" : strerror(errno));
        if (f)
            (void)fclose(f);
        return NULL;
    }
    size_t cap = 1u << 14, used = 0;
    char *text = mem_alloc(cap);
    for (;;) {
        size_t n = fread(text + used, 1, cap - used, f);
        used += n;
        if (!n || used > CONFIG_FILE_BYTES_MAX)
            break;
        if (used == cap)
            text = mem_realloc(text, cap *= 2);
    }
    bool is_bad = ferror(f) != 0;
    (void)fclose(f);
    *len_bytes = used;
    if (!is_bad && used <= CONFIG_FILE_BYTES_MAX)
        return text;
    if (is_bad)
        (void)err_set(info, ERR_IO, "Unable to read config file %s", path);
    else
        (void)err_set(info, ERR_LIMIT, "Config file %s is too large (allowed: %u bytes)", path, CONFIG_FILE_BYTES_MAX);
    mem_free(text);
    return NULL;
}

static char *read_disk(void *ctx, const char *path, size_t *len_bytes, struct err_info *info)
{
    (void)ctx;
    return config_read_file(path, len_bytes, info);
}

static void find_disk(void *ctx, const char *pattern, void (*found)(void *arg, const char *path), void *arg)
{
    (void)ctx;
    glob_t paths;
    memset(&paths, 0, sizeof paths);
    if (glob(pattern, GLOB_NOESCAPE, NULL, &paths) == 0) /* glob sorts */
        for (size_t i = 0; i < paths.gl_pathc; i++)
            found(arg, paths.gl_pathv[i]);
    globfree(&paths);
}

static char *resolve_disk(void *ctx, const char *path)
{
    (void)ctx;
    char *real = realpath(path, NULL), *copy = real ? mem_strdup(real) : NULL;
    free(real);
    return copy;
}

const struct config_files config_files_disk = {.read = read_disk, .find = find_disk, .resolve = resolve_disk};
