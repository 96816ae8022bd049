/* server.database.*: the database as a whole. Backups are files of DATA/backup/database. Worker thread. */
#include "server/store/db.h"

#include "base/clock.h"
#include "base/mem.h"
#include "server/api/api_private.h"
#include "server/api/handlers.h"
#include "server/store/files.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NAME_BYTES_MAX 200

static char *folder(const struct api *api)
{
    return mem_sprintf("%s/backup/database", api->options.data_dir[0] ? api->options.data_dir : "/tmp");
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

json_t *database_backups(const struct api *api)
{
    char *dir = folder(api), *names[256];
    size_t count = 0;
    DIR *stream = opendir(dir);
    struct dirent *de;
    while (stream && (de = readdir(stream)) && count < sizeof names / sizeof names[0]) {
        size_t len = strlen(de->d_name);
        if (de->d_name[0] != '.' && !(len > 4 && !strcmp(de->d_name + len - 4, ".new")))
            names[count++] = mem_strdup(de->d_name);
    }
    if (stream)
        closedir(stream);
    if (count)
        qsort(names, count, sizeof *names, compare_names);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_string(names[i]));
        mem_free(names[i]);
    }
    mem_free(dir);
    return list;
}

/* The path of the backup that the call names, made up if it may be; NULL: the error has been sent. */
static char *read_path(struct api_call *call, bool is_required)
{
    char made[64];
    const char *name = NULL;
    if (!api_arg_text(call, "filename", is_required, &name))
        return NULL;
    if (!name) {
        time_t now = (time_t)clock_wall_s();
        struct tm tm;
        (void)gmtime_r(&now, &tm);
        (void)strftime(made, sizeof made, "sqldb-backup-%Y%m%dT%H%M%S.db", &tm);
        name = made;
    }
    if (!name[0] || name[0] == '.' || strchr(name, '/') || strlen(name) > NAME_BYTES_MAX) {
        api_reply_error(call, 400, "Invalid name of a backup: '%.100s'", name);
        return NULL;
    }
    char *dir = folder(call->api), *path = mem_sprintf("%s/%s", dir, name);
    mem_free(dir);
    return path;
}

void handle_database_compact(struct api_call *call)
{
    struct err_info info;
    int64_t before, after;
    enum err err = db_compact(call->api->options.db, &before, &after, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        api_reply_json(call, json_pack("{s:I, s:I}", "previous_size", (json_int_t)before, "new_size", (json_int_t)after));
}

void handle_database_post_backup(struct api_call *call)
{
    struct err_info info;
    char *path = read_path(call, false);
    if (!path)
        return;
    char *dir = folder(call->api);
    enum err err = files_make_dirs(dir, &info);
    if (!err && access(path, F_OK) == 0)
        err = err_set(&info, ERR_INVALID, "Backup file \"%s\" exists already", path);
    if (!err)
        err = db_backup(call->api->options.db, path, &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        api_reply_json(call, json_pack("{s:s}", "backup_path", path));
    mem_free(dir);
    mem_free(path);
}

void handle_database_delete_backup(struct api_call *call)
{
    char *path = read_path(call, true);
    if (!path)
        return;
    if (unlink(path) != 0)
        api_reply_error(call, 404, "Backup file \"%s\" not found", path);
    else
        api_reply_json(call, json_pack("{s:s}", "backup_path", path));
    mem_free(path);
}

/* Clients are asked to connect again afterwards: what they knew may have changed. */
void handle_database_restore(struct api_call *call)
{
    struct err_info info;
    struct api *api = call->api;
    char *path = read_path(call, true);
    if (!path)
        return;
    enum err err = db_restore(api->options.db, path, &info);
    mem_free(path);
    if (err) {
        api_reply_err(call, err, &info);
        return;
    }
    json_t *names = database_public_namespaces(api);
    api_reply_json(call, json_pack("{s:[s], s:o}", "restored_tables", "items", "restored_namespaces", names));
    if (api->sink.disconnect_all)
        api->sink.disconnect_all(api->sink.ctx);
}
