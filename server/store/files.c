#include "server/store/files.h"

#include "base/mem.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

struct root {
    char name[64];
    char dir[PATH_MAX]; /* real path */
    bool is_writable;
};

struct files {
    struct root roots[FILES_ROOT_MAX];
    size_t root_count;
    pthread_mutex_t lock; /* guards the folders of roots[] */
};

struct files *files_create(void)
{
    struct files *files = MEM_NEW(struct files);
    pthread_mutex_init(&files->lock, NULL);
    return files;
}

void files_destroy(struct files *files)
{
    if (!files)
        return;
    pthread_mutex_destroy(&files->lock);
    mem_free(files);
}

static enum err open_root_dir(const char *dir, char real[PATH_MAX], struct err_info *info)
{
    enum err err = files_make_dirs(dir, info);
    if (err)
        return err;
    if (!realpath(dir, real))
        return err_set(info, ERR_IO, "folder \"%s\": %s", dir, strerror(errno));
    return OK;
}

enum err files_add_root(struct files *files, const char *name, const char *dir, bool is_writable, struct err_info *info)
{
    if (files->root_count == FILES_ROOT_MAX)
        return err_set(info, ERR_LIMIT, "more than %d roots", FILES_ROOT_MAX);
    struct root *root = &files->roots[files->root_count];
    enum err err = open_root_dir(dir, root->dir, info);
    if (err)
        return err;
    snprintf(root->name, sizeof root->name, "%s", name);
    root->is_writable = is_writable;
    files->root_count++;
    return OK;
}

static struct root *find_root(struct files *files, const char *name, size_t len_bytes)
{
    for (size_t i = 0; i < files->root_count; i++)
        if (strlen(files->roots[i].name) == len_bytes && memcmp(files->roots[i].name, name, len_bytes) == 0)
            return &files->roots[i];
    return NULL;
}

enum err files_set_root(struct files *files, const char *name, const char *dir, struct err_info *info)
{
    struct root *root = find_root(files, name, strlen(name));
    if (!root)
        return err_set(info, ERR_NOT_FOUND, "no root \"%s\"", name);
    char real[PATH_MAX];
    enum err err = open_root_dir(dir, real, info);
    if (err)
        return err;
    pthread_mutex_lock(&files->lock);
    memcpy(root->dir, real, sizeof real);
    pthread_mutex_unlock(&files->lock);
    return OK;
}

/* Copy `rel` to `out` without empty and "." components; refuse what could climb or is reserved. */
static enum err normalise(const char *rel, char out[FILES_PATH_BYTES_MAX], struct err_info *info)
{
    size_t used = 0;
    unsigned depth = 0;
    while (*rel) {
        size_t len = strcspn(rel, "/");
        bool is_nothing = len == 0 || (len == 1 && rel[0] == '.');
        if (len == 2 && memcmp(rel, "..", 2) == 0)
            return err_set(info, ERR_DENIED, "\"..\" is not allowed in a path");
        if (len == 4 && memcmp(rel, ".git", 4) == 0)
            return err_set(info, ERR_DENIED, "Access to .git folders is forbidden");
        if (len > NAME_MAX)
            return err_set(info, ERR_LIMIT, "A name in the path is longer than %d bytes", NAME_MAX);
        if (!is_nothing) {
            if (used + len + 2 > FILES_PATH_BYTES_MAX || ++depth > FILES_DEPTH_MAX)
                return err_set(info, ERR_LIMIT, "The path is too long or too deep");
            if (used > 0)
                out[used++] = '/';
            memcpy(out + used, rel, len);
            used += len;
        }
        rel += len;
        if (*rel)
            rel++;
    }
    out[used] = 0;
    return OK;
}

static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    if (len == 1 && dir[0] == '/')
        return path[0] == '/';
    return strncmp(path, dir, len) == 0 && (path[len] == 0 || path[len] == '/');
}

/* Follow the links of the part of `full` that exists; the rest stays as it is. */
static enum err follow_links(const char *dir, const char *full, char out[2 * FILES_PATH_BYTES_MAX], struct err_info *info)
{
    char head[2 * FILES_PATH_BYTES_MAX], real[PATH_MAX];
    snprintf(head, sizeof head, "%s", full);
    const char *tail = "";
    while (!realpath(head, real)) {
        if (errno != ENOENT && errno != ENOTDIR)
            return err_set(info, ERR_IO, "Invalid file path: %s", strerror(errno));
        char *slash = strrchr(head, '/');
        if (!slash || slash == head)
            return err_set(info, ERR_IO, "Invalid file path");
        *slash = 0;
        tail = full + (slash - head);
    }
    if (!is_below(real, dir))
        return err_set(info, ERR_DENIED, "The path leads out of its folder");
    int len = snprintf(out, 2 * FILES_PATH_BYTES_MAX, "%s%s", real, tail);
    if (len >= 2 * FILES_PATH_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "The path is too long");
    return OK;
}

static enum err resolve(struct files *files, const struct root *root, const char *rel, struct files_path *out,
                        struct err_info *info)
{
    char dir[PATH_MAX], full[2 * FILES_PATH_BYTES_MAX];
    pthread_mutex_lock(&files->lock);
    memcpy(dir, root->dir, sizeof dir);
    pthread_mutex_unlock(&files->lock);
    enum err err = normalise(rel, out->rel, info);
    if (err)
        return err;
    int len = snprintf(full, sizeof full, "%s%s%s", dir, out->rel[0] ? "/" : "", out->rel);
    if (len >= (int)sizeof full)
        return err_set(info, ERR_LIMIT, "The path is too long");
    snprintf(out->root, sizeof out->root, "%s", root->name);
    out->is_writable = root->is_writable;
    return follow_links(dir, full, out->full, info);
}

enum err files_resolve_in(struct files *files, const char *root_name, const char *rel, struct files_path *out,
                          struct err_info *info)
{
    const struct root *root = find_root(files, root_name, strlen(root_name));
    if (!root)
        return err_set(info, ERR_INVALID, "Invalid root path (%s)", root_name);
    return resolve(files, root, rel, out, info);
}

enum err files_resolve(struct files *files, const char *client_path, struct files_path *out, struct err_info *info)
{
    while (*client_path == '/')
        client_path++;
    size_t len = strcspn(client_path, "/");
    const struct root *root = find_root(files, client_path, len);
    if (!root)
        return err_set(info, ERR_INVALID, "Invalid root path (%.64s)", client_path);
    return resolve(files, root, client_path + len, out, info);
}

bool files_is_gcode(const char *name)
{
    static const char *const ENDINGS[] = {".gcode", ".g", ".gco", ".ufp", ".nc"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ENDINGS / sizeof ENDINGS[0]; i++)
        if (strcasecmp(dot, ENDINGS[i]) == 0)
            return true;
    return false;
}

static const char *permissions(bool is_writable)
{
    return is_writable ? "rw" : "r";
}

json_t *files_roots(struct files *files)
{
    json_t *roots = json_array();
    pthread_mutex_lock(&files->lock);
    for (size_t i = 0; i < files->root_count; i++) {
        const struct root *root = &files->roots[i];
        json_array_append_new(roots, json_pack("{s:s, s:s, s:s}", "name", root->name, "path", root->dir, "permissions",
                                               permissions(root->is_writable)));
    }
    pthread_mutex_unlock(&files->lock);
    return roots;
}

void files_add_root_names(struct files *files, struct strbuf *out)
{
    for (size_t i = 0; i < files->root_count; i++)
        strbuf_addf(out, "%s\"%s\"", i > 0 ? "," : "", files->roots[i].name);
}

json_t *files_item(const struct files_path *path)
{
    struct stat st;
    bool exists = stat(path->full, &st) == 0;
    double modified = exists ? (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9 : 0;
    json_t *item = json_object();
    json_object_set_new(item, "path", json_string(path->rel));
    json_object_set_new(item, "root", json_string(path->root));
    json_object_set_new(item, "modified", exists ? json_real(modified) : json_integer(0));
    json_object_set_new(item, "size", json_integer(exists ? (json_int_t)st.st_size : 0));
    json_object_set_new(item, "permissions", json_string(exists ? permissions(path->is_writable) : ""));
    return item;
}
