/* Listings: what server.files.list and server.files.get_directory show. Names that are not UTF-8 cannot be said in JSON
 * and are left out; links that lead out of the root, sockets and the like too. */
#include "server/store/files.h"

#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct entry {
    char *name;
    struct stat st;
};

struct walk {
    struct files *files;
    const char *root;
    json_t *out;
    bool only_gcode;
    /* the folders we are in, to cut loops of links */
    struct {
        dev_t dev;
        ino_t ino;
    } above[FILES_DEPTH_MAX];
};

static int compare_entries(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static bool is_listed(struct files *files, const struct files_path *dir, const struct dirent *de, struct entry *out)
{
    if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
        return false;
    char rel[FILES_PATH_BYTES_MAX + NAME_MAX + 2];
    snprintf(rel, sizeof rel, "%s/%s", dir->rel, de->d_name);
    struct files_path path;
    if (files_resolve_in(files, dir->root, rel, &path, NULL) || stat(path.full, &out->st) != 0)
        return false;
    if (!S_ISREG(out->st.st_mode) && !S_ISDIR(out->st.st_mode))
        return false;
    json_t *name = json_string(de->d_name); /* NULL unless UTF-8 */
    json_decref(name);
    return name != NULL;
}

static enum err read_dir(struct files *files, const struct files_path *dir, struct entry **out, size_t *count,
                         struct err_info *info)
{
    DIR *stream = opendir(dir->full);
    if (!stream)
        return err_set(info, errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_IO,
                       "Directory does not exist (%s/%s)", dir->root, dir->rel);
    struct entry *entries = NULL;
    size_t used = 0, room = 0;
    struct dirent *de;
    while ((de = readdir(stream)) && used < FILES_LIST_MAX) {
        struct entry entry;
        if (!is_listed(files, dir, de, &entry))
            continue;
        if (used == room) {
            room = room ? room * 2 : 64;
            entries = mem_realloc(entries, room * sizeof *entries);
        }
        entry.name = mem_strdup(de->d_name);
        entries[used++] = entry;
    }
    closedir(stream);
    if (used > 0)
        qsort(entries, used, sizeof *entries, compare_entries);
    *out = entries;
    *count = used;
    return OK;
}

static void free_entries(struct entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        mem_free(entries[i].name);
    mem_free(entries);
}

static json_t *describe(const struct entry *entry, const char *name_key, const char *name, bool is_writable)
{
    json_t *item = json_object();
    double modified = (double)entry->st.st_mtim.tv_sec + (double)entry->st.st_mtim.tv_nsec * 1e-9;
    json_object_set_new(item, name_key, json_string(name));
    json_object_set_new(item, "modified", json_real(modified));
    json_object_set_new(item, "size", json_integer((json_int_t)entry->st.st_size));
    json_object_set_new(item, "permissions", json_string(is_writable ? "rw" : "r"));
    return item;
}

static bool enter(struct walk *walk, unsigned depth, const struct stat *st)
{
    if (depth >= FILES_DEPTH_MAX)
        return false;
    for (unsigned i = 0; i < depth; i++)
        if (walk->above[i].dev == st->st_dev && walk->above[i].ino == st->st_ino)
            return false;
    walk->above[depth].dev = st->st_dev;
    walk->above[depth].ino = st->st_ino;
    return true;
}

/* Recursion is bounded by FILES_DEPTH_MAX. */
static enum err list_below(struct walk *walk, const char *rel, unsigned depth, struct err_info *info)
{
    struct files_path *dir = MEM_NEW(struct files_path);
    struct entry *entries = NULL;
    size_t count = 0;
    enum err err = files_resolve_in(walk->files, walk->root, rel, dir, info);
    if (!err)
        err = read_dir(walk->files, dir, &entries, &count, info);
    for (size_t i = 0; i < count && json_array_size(walk->out) < FILES_LIST_MAX; i++) {
        char *path = mem_sprintf("%s%s%s", rel, rel[0] ? "/" : "", entries[i].name);
        if (!S_ISDIR(entries[i].st.st_mode)) {
            if (!walk->only_gcode || files_is_gcode(path))
                json_array_append_new(walk->out, describe(&entries[i], "path", path, dir->is_writable));
        } else if (enter(walk, depth, &entries[i].st)) {
            (void)!list_below(walk, path, depth + 1, NULL); /* a folder that cannot be read is shown as empty */
        }
        mem_free(path);
    }
    free_entries(entries, count);
    mem_free(dir);
    return err;
}

enum err files_list(struct files *files, const char *root, json_t **out, struct err_info *info)
{
    struct walk walk = {.files = files, .root = root, .out = json_array(), .only_gcode = strcmp(root, "gcodes") == 0};
    enum err err = list_below(&walk, "", 0, info);
    if (err) {
        json_decref(walk.out);
        return err;
    }
    *out = walk.out;
    return OK;
}

static json_t *disk_usage(const char *dir)
{
    struct statvfs fs = {.f_frsize = 1};
    (void)statvfs(dir, &fs);
    json_int_t unit = (json_int_t)fs.f_frsize;
    return json_pack("{s:I, s:I, s:I}", "total", (json_int_t)fs.f_blocks * unit, "used",
                     (json_int_t)(fs.f_blocks - fs.f_bfree) * unit, "free", (json_int_t)fs.f_bavail * unit);
}

enum err files_directory(struct files *files, const char *client_path, json_t **out, struct err_info *info)
{
    struct files_path dir;
    struct entry *entries = NULL;
    size_t count = 0;
    enum err err = files_resolve(files, client_path, &dir, info);
    if (!err)
        err = read_dir(files, &dir, &entries, &count, info);
    if (err)
        return err;
    json_t *dirs = json_array(), *plain = json_array();
    for (size_t i = 0; i < count; i++) {
        bool is_dir = S_ISDIR(entries[i].st.st_mode);
        json_array_append_new(is_dir ? dirs : plain, describe(&entries[i], is_dir ? "dirname" : "filename",
                                                              entries[i].name, dir.is_writable));
    }
    free_entries(entries, count);
    *out = json_pack("{s:o, s:o, s:o, s:{s:s, s:s}}", "dirs", dirs, "files", plain, "disk_usage", disk_usage(dir.full),
                     "root_info", "name", dir.root, "permissions", dir.is_writable ? "rw" : "r");
    return OK;
}
