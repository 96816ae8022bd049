#include "tests/fuzz/memory_files.h"

#include "base/mem.h"

#include <fnmatch.h>
#include <string.h>

static const struct memory_file *find(const struct memory_files *memory, const char *name)
{
    for (size_t i = 0; i < memory->count; i++)
        if (!strcmp(memory->files[i].name, name))
            return &memory->files[i];
    return NULL;
}

static char *read_memory(void *ctx, const char *path, size_t *len_bytes, struct err_info *info)
{
    const struct memory_file *file = find(ctx, path);
    if (!file) {
        (void)err_set(info, ERR_IO, "Unable to open config file %s: there is none", path);
        return NULL;
    }
    char *text = mem_alloc(file->len_bytes + 1);
    memcpy(text, file->text, file->len_bytes);
    *len_bytes = file->len_bytes;
    return text;
}

static void find_memory(void *ctx, const char *pattern, void (*found)(void *arg, const char *path), void *arg)
{
    const struct memory_files *memory = ctx;
    for (size_t i = 0; i < memory->count; i++)
        if (fnmatch(pattern, memory->files[i].name, FNM_PATHNAME | FNM_PERIOD | FNM_NOESCAPE) == 0)
            found(arg, memory->files[i].name);
}

static char *resolve_memory(void *ctx, const char *path)
{
    return find(ctx, path) ? mem_strdup(path) : NULL;
}

/* The mark's name, up to the end of its line. */
static const char *take_name(const char *p, const char *end, char name[64])
{
    size_t len = 0;
    for (; p < end && *p != '\n'; p++)
        if (len < 63 && *p)
            name[len++] = *p;
    name[len] = 0;
    return p < end ? p + 1 : end;
}

void memory_files_init(struct memory_files *memory, const char *data, size_t len_bytes)
{
    static const char mark[] = "\n" MEMORY_FILE_MARK;
    memset(memory, 0, sizeof *memory);
    memory->io = (struct config_files){memory, read_memory, find_memory, resolve_memory};
    const char *p = data, *end = data + len_bytes;
    strcpy(memory->files[0].name, "printer.cfg");
    for (;;) {
        struct memory_file *file = &memory->files[memory->count++];
        const char *next = p < end ? memmem(p, (size_t)(end - p), mark, sizeof mark - 1) : NULL;
        file->text = p;
        file->len_bytes = (size_t)((next ? next + 1 : end) - p);
        if (!next || memory->count == MEMORY_FILES_MAX)
            return;
        p = take_name(next + sizeof mark - 1, end, memory->files[memory->count].name);
    }
}
