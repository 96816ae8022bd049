#include "server/store/metadata.h"

#include "base/mem.h"
#include "base/rng.h"
#include "server/store/picture.h"
#include "server/store/slicer_header.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PICTURE_BYTES_MAX (1u << 20)
#define SMALL_SIDE 32 /* lists of files show pictures of this size */
#define PICTURE_COUNT_MAX 16

struct pictures {
    struct files *files;
    const char *rel;
    json_t *list; /* [{width, height, size, relative_path}] */
    unsigned char *largest; /* the PNG with the most pixels */
    size_t largest_bytes;
    uint64_t largest_pixels;
    bool has_small; /* one of SMALL_SIDE is there already */
};

static const char *base_name(const char *rel)
{
    const char *slash = strrchr(rel, '/');
    return slash ? slash + 1 : rel;
}

/* "a/b/" of "a/b/name.gcode". */
static int folder_len(const char *rel)
{
    return (int)(base_name(rel) - rel);
}

static int stem_len(const char *rel)
{
    const char *name = base_name(rel);
    const char *dot = strrchr(name, '.');
    return (int)(dot && dot != name ? (size_t)(dot - name) : strlen(name));
}

/* Does the data begin as its format says? QOI would have to be converted for browsers and is left out. */
static const char *ending_of(const char *format, const unsigned char *data, size_t len_bytes)
{
    if (strcmp(format, "PNG") == 0 && len_bytes > 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return "png";
    if (strcmp(format, "JPG") == 0 && len_bytes > 3 && memcmp(data, "\xff\xd8\xff", 3) == 0)
        return "jpg";
    return NULL;
}

/* Write it beside the file and take it into the list, `is_first` in front. */
static void store_file(struct pictures *pictures, const unsigned char *data, size_t size, unsigned width, unsigned height,
                       const char *ending, bool is_first)
{
    char *below = mem_sprintf(".thumbs/%.*s-%ux%u.%s", stem_len(pictures->rel), base_name(pictures->rel), width, height,
                              ending);
    char *rel = mem_sprintf("%.*s%s", folder_len(pictures->rel), pictures->rel, below);
    struct files_path path;
    enum err err = files_resolve_in(pictures->files, "gcodes", rel, &path, NULL);
    char *folder = mem_strdup(err ? "" : path.full);
    char *slash = strrchr(folder, '/');
    if (slash)
        *slash = 0;
    if (!err && files_make_dirs(folder, NULL) == OK && files_write_whole(path.full, data, size, NULL) == OK)
        json_array_insert_new(pictures->list, is_first ? 0 : json_array_size(pictures->list),
                              json_pack("{s:i, s:i, s:i, s:s}", "width", (int)width, "height", (int)height, "size", (int)size,
                                        "relative_path", below));
    mem_free(folder);
    mem_free(below);
    mem_free(rel);
}

/* The small picture for lists, from the largest, unless the slicer has made one. */
static void add_small(struct pictures *pictures)
{
    unsigned char *small;
    size_t small_bytes;
    if (pictures->has_small || !pictures->largest ||
        picture_shrink(pictures->largest, pictures->largest_bytes, SMALL_SIDE, &small, &small_bytes) != OK)
        return;
    store_file(pictures, small, small_bytes, SMALL_SIDE, SMALL_SIDE, "png", true);
    mem_free(small);
}

static void store_picture(void *ctx, const char *format, unsigned width, unsigned height, const char *base64,
                          size_t len_bytes)
{
    struct pictures *pictures = ctx;
    if (!base64 || len_bytes > 2 * PICTURE_BYTES_MAX || width == 0 || height == 0 || width > PICTURE_SIZE_MAX ||
        height > PICTURE_SIZE_MAX || json_array_size(pictures->list) >= PICTURE_COUNT_MAX)
        return;
    size_t size = 0;
    unsigned char *data = mem_alloc(len_bytes);
    const char *ending = NULL;
    if (sodium_base642bin(data, len_bytes, base64, len_bytes, " ", &size, NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
        ending = ending_of(format, data, size);
    if (ending)
        store_file(pictures, data, size, width, height, ending, false);
    pictures->has_small |= ending && width == SMALL_SIDE && height == SMALL_SIDE;
    if (ending && strcmp(ending, "png") == 0 && (uint64_t)width * height > pictures->largest_pixels) {
        mem_free(pictures->largest);
        pictures->largest = data;
        pictures->largest_bytes = size;
        pictures->largest_pixels = (uint64_t)width * height;
        return;
    }
    mem_free(data);
}

static double modified_s(const struct stat *st)
{
    return (double)st->st_mtim.tv_sec + (double)st->st_mtim.tv_nsec * 1e-9;
}

static enum err scan(struct files *files, const struct files_path *path, const struct stat *st, json_t **out,
                     struct err_info *info)
{
    struct pictures pictures = {.files = files, .rel = path->rel, .list = json_array()};
    json_t *found = NULL;
    enum err err = slicer_header_read(path->full, store_picture, &pictures, &found, info);
    add_small(&pictures);
    mem_free(pictures.largest);
    if (err) {
        json_decref(pictures.list);
        return err;
    }
    json_t *all = json_object();
    json_object_set_new(all, "size", json_integer((json_int_t)st->st_size));
    json_object_set_new(all, "modified", json_real(modified_s(st)));
    char uuid[RNG_UUID_BYTES];
    rng_uuid(uuid);
    json_object_set_new(all, "uuid", json_string(uuid));
    json_object_set_new(all, "file_processors", json_array());
    json_object_update(all, found);
    if (json_array_size(pictures.list) > 0)
        json_object_set(all, "thumbnails", pictures.list);
    json_object_set_new(all, "print_start_time", json_null());
    json_object_set_new(all, "job_id", json_null());
    json_decref(found);
    json_decref(pictures.list);
    *out = all;
    return OK;
}

static bool is_current(const json_t *stored, const struct stat *st)
{
    return json_integer_value(json_object_get(stored, "size")) == (json_int_t)st->st_size &&
           fabs(json_number_value(json_object_get(stored, "modified")) - modified_s(st)) < 1e-3;
}

enum err metadata_get(struct db *db, struct files *files, const char *rel, bool must_scan, json_t **out,
                      struct err_info *info)
{
    struct files_path path;
    struct stat st;
    enum err err = files_resolve_in(files, "gcodes", rel, &path, info);
    if (err)
        return err;
    if (!files_is_gcode(path.rel) || stat(path.full, &st) != 0 || !S_ISREG(st.st_mode))
        return err_set(info, ERR_NOT_FOUND, "Metadata not available for <%s>", rel);
    json_t *found = NULL;
    bool is_known = !must_scan && db_get_flat(db, DB_METADATA_NAMESPACE, path.rel, &found) == OK;
    if (!is_known || !is_current(found, &st)) {
        json_decref(found);
        found = NULL;
        err = scan(files, &path, &st, &found, info);
        if (err)
            return err;
        (void)!db_put_flat(db, DB_METADATA_NAMESPACE, path.rel, found); /* else it is read again next time */
    }
    json_object_set_new(found, "filename", json_string(path.rel));
    *out = found;
    return OK;
}

json_t *metadata_picture_paths(const char *rel, const json_t *metadata)
{
    json_t *paths = json_array();
    const json_t *list = json_object_get(metadata, "thumbnails");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *below = json_string_value(json_object_get(json_array_get(list, i), "relative_path"));
        if (below)
            json_array_append_new(paths, json_sprintf("%.*s%s", folder_len(rel), rel, below));
    }
    return paths;
}

void metadata_drop(struct db *db, struct files *files, const char *rel)
{
    json_t *stored = NULL;
    if (db_get_flat(db, DB_METADATA_NAMESPACE, rel, &stored) != OK)
        return;
    json_t *paths = metadata_picture_paths(rel, stored);
    for (size_t i = 0; i < json_array_size(paths); i++) {
        struct files_path path;
        const char *picture = json_string_value(json_array_get(paths, i));
        if (files_resolve_in(files, "gcodes", picture, &path, NULL) != OK)
            continue;
        (void)!remove(path.full);
        char *slash = strrchr(path.full, '/');
        *slash = 0;
        (void)!rmdir(path.full); /* the last picture takes .thumbs with it */
    }
    json_decref(paths);
    json_decref(stored);
    (void)!db_delete_flat(db, DB_METADATA_NAMESPACE, rel);
}
