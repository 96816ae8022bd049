/* Files of a configuration: reading, checking their bytes, and including others. */
#include "server/config/private.h"

#include <string.h>

struct load {
    struct config *config;
    const char *root;                            /* folder of the first file, with its '/' (or "") */
    const char *stack[CONFIG_INCLUDE_DEPTH_MAX]; /* real paths of the files being read */
    size_t depth;
    size_t files_read;
};

static void load_file(struct load *load, const char *path, unsigned from_file, int from_line);

/* Position of the first byte that is not well-formed UTF-8, or `len`. */
static size_t find_bad_utf8(const unsigned char *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        unsigned char c = p[i];
        size_t n = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
        if (!n || i + n > len)
            return i;
        for (size_t k = 1; k < n; k++)
            if ((p[i + k] & 0xc0) != 0x80)
                return i;
        if ((c == 0xe0 && p[i + 1] < 0xa0) || (c == 0xed && p[i + 1] > 0x9f) || (c == 0xf0 && p[i + 1] < 0x90) ||
            (c == 0xf4 && p[i + 1] > 0x8f))
            return i;
        i += n;
    }
    return len;
}

static int line_of(const char *text, size_t pos)
{
    int line = 1;
    for (size_t i = 0; i < pos; i++)
        line += text[i] == '\n';
    return line;
}

void config_check_bytes(struct config *config, unsigned file, char *text, size_t len)
{
    size_t nul_count = 0;
    for (size_t i = 0; i < len; i++)
        if (!text[i]) {
            if (!nul_count++)
                config_error_file(config, file, line_of(text, i), "NUL byte in the file (expected: text in UTF-8)");
            text[i] = '?';
        }
    size_t pos = 0, bad;
    bool is_reported = false;
    while ((bad = pos + find_bad_utf8((unsigned char *)text + pos, len - pos)) < len) {
        if (!is_reported)
            config_error_file(config, file, line_of(text, bad), "Byte 0x%02x is not valid UTF-8 (expected: text in UTF-8)",
                              (unsigned char)text[bad]);
        is_reported = true;
        text[bad] = '?';
        pos = bad + 1;
    }
}

/* The whole file, or NULL with an error at the place that asked for it. */
static char *read_whole(struct load *load, const char *path, unsigned from_file, int from_line, size_t *len)
{
    struct err_info info;
    const struct config_files *from = load->config->from;
    char *text = from->read(from->ctx, path, len, &info);
    if (!text)
        config_error_file(load->config, from_file, from_line, "%s", info.text);
    return text;
}

struct include {
    struct load *load;
    unsigned file;
    int line;
    size_t count; /* files found */
};

static void include_file(void *arg, const char *path)
{
    struct include *include = arg;
    include->count++;
    load_file(include->load, path, include->file, include->line);
}

static void include_glob(struct load *load, const char *dir, const char *pattern, unsigned file, int line)
{
    const struct config_files *from = load->config->from;
    char *full = pattern[0] == '/' ? mem_strdup(pattern) : mem_sprintf("%s%s", dir, pattern);
    struct include include = {.load = load, .file = file, .line = line};
    if (*pattern)
        from->find(from->ctx, full, include_file, &include);
    if (!include.count && !strpbrk(pattern, "*?["))
        config_error_file(load->config, file, line, "Include file '%s' does not exist", full);
    mem_free(full);
}

static void parse_text(struct load *load, const char *dir, unsigned file, const char *text, size_t len, bool is_main)
{
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    struct parse_cursor cursor = {.config = load->config,
                                  .file_index = file,
                                  .text = text,
                                  .next = text,
                                  .end = text + len,
                                  .is_main = is_main};
    const char *include;
    do {
        config_parse_unit(&cursor, &include);
        if (include)
            include_glob(load, dir, include, file, cursor.line);
    } while (include);
}

/* The folder part of `path` with its '/', or "". Caller frees. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup("");
}

/* Parse what has been read from `path`, whose real path is `real` (NULL: unknown). */
static void take_text(struct load *load, const char *path, const char *real, char *text, size_t len)
{
    size_t root_len = strlen(load->root);
    unsigned file = config_add_file(load->config, strncmp(path, load->root, root_len) ? path : path + root_len);
    config_check_bytes(load->config, file, text, len);
    char *dir = folder_of(path);
    load->files_read++;
    load->stack[load->depth++] = real ? real : "";
    parse_text(load, dir, file, text, len, load->depth == 1);
    load->depth--;
    mem_free(dir);
}

static void load_file(struct load *load, const char *path, unsigned from_file, int from_line)
{
    struct config *config = load->config;
    char *real = config->from->resolve(config->from->ctx, path);
    for (size_t i = 0; real && i < load->depth; i++)
        if (!strcmp(load->stack[i], real)) {
            config_error_file(config, from_file, from_line, "Recursive include of config file '%s'", path);
            mem_free(real);
            return;
        }
    if (load->depth >= CONFIG_INCLUDE_DEPTH_MAX || load->files_read >= CONFIG_FILES_MAX) {
        if (load->depth >= CONFIG_INCLUDE_DEPTH_MAX)
            config_error_file(config, from_file, from_line, "Includes nested too deep (allowed: %d)",
                              CONFIG_INCLUDE_DEPTH_MAX);
        else if (load->files_read++ == CONFIG_FILES_MAX)
            config_error_file(config, from_file, from_line, "Too many config files (allowed: %d)", CONFIG_FILES_MAX);
        mem_free(real);
        return;
    }
    size_t len = 0;
    char *text = read_whole(load, path, from_file, from_line, &len);
    if (text)
        take_text(load, path, real, text, len);
    mem_free(text);
    mem_free(real);
}

struct config *config_load(const char *path)
{
    return config_load_from(&config_files_disk, path);
}

struct config *config_load_from(const struct config_files *files, const char *path)
{
    struct config *config = config_create();
    config->from = files;
    char *root = folder_of(path);
    struct load load = {.config = config, .root = root};
    config->path = arena_strdup(&config->arena, path);
    load_file(&load, path, UINT32_MAX, 0);
    mem_free(root);
    return config;
}

struct config *config_load_text(const struct config_files *from, const char *path, const char *text, size_t len_bytes)
{
    struct config *config = config_create();
    config->from = from;
    char *root = folder_of(path), *real = from->resolve(from->ctx, path), *copy = mem_alloc(len_bytes + 1);
    if (len_bytes)
        memcpy(copy, text, len_bytes);
    struct load load = {.config = config, .root = root};
    take_text(&load, path, real, copy, len_bytes);
    mem_free(copy);
    mem_free(real);
    mem_free(root);
    return config;
}

struct config *config_parse(const char *name, const char *text, size_t len_bytes)
{
    struct config *config = config_create();
    struct load load = {.config = config, .root = ""};
    unsigned file = config_add_file(config, name);
    if (len_bytes > CONFIG_FILE_BYTES_MAX) {
        config_error_file(config, file, 0, "Config file is too large (allowed: %u bytes)", CONFIG_FILE_BYTES_MAX);
        return config;
    }
    char *copy = mem_alloc(len_bytes + 1);
    if (len_bytes)
        memcpy(copy, text, len_bytes);
    config_check_bytes(config, file, copy, len_bytes);
    load.stack[load.depth++] = "";
    parse_text(&load, "", file, copy, len_bytes, true);
    mem_free(copy);
    return config;
}
