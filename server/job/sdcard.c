/* virtual_sdcard: the folder of print files and the commands M20 to M30, SDCARD_PRINT_FILE, SDCARD_RESET_FILE. */
#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"
#include "base/worker.h"
#include "server/config/config.h"
#include "server/job/objects.h"
#include "server/job/print_stats.h"
#include "server/job/sdcard_private.h"
#include "server/job/template.h"
#include "server/machine/printer.h"
#include "server/machine/status.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define DEFAULT_FOLDER "gcodes" /* below the data directory */
#define LIST_COUNT_MAX 10000    /* files that M20 lists */
#define ON_ERROR_TEXT  "\n{% if 'heaters' in printer %}\n   TURN_OFF_HEATERS\n{% endif %}\n"

struct sdcard *sdcard_of(struct printer *printer)
{
    struct printer_object *obj = printer_load_object(printer, "virtual_sdcard", NULL);
    CHECK(obj != NULL);
    return (struct sdcard *)obj;
}

/* --- questions --- */

bool sdcard_is_active(const struct sdcard *sd)
{
    return sd->is_active;
}

bool sdcard_is_paused(const struct sdcard *sd)
{
    return sd->reader && !sd->is_active && !sd->is_stopping && print_stats_state(sd->stats) == PRINT_PAUSED;
}

bool sdcard_is_stopping(const struct sdcard *sd)
{
    return sd->is_stopping;
}

bool sdcard_is_cancelling(const struct sdcard *sd)
{
    return sd->is_cancelling;
}

void sdcard_set_cancelling(struct sdcard *sd, bool is_cancelling)
{
    sd->is_cancelling = is_cancelling;
}

bool sdcard_is_loaded(const struct sdcard *sd)
{
    return sd->reader != NULL;
}

double sdcard_progress(const struct sdcard *sd)
{
    if (sd->size_bytes == 0)
        return 0.0;
    double progress = (double)sd->position / (double)sd->size_bytes;
    return progress < 1.0 ? progress : 1.0;
}

/* --- finding a file --- */

/* Put the entry of `dir` named `name` (len bytes) behind it: as it is written if that exists, else the only one that
 * differs in case alone. */
static bool append_component(struct strbuf *path, const char *name, size_t len)
{
    size_t at = path->len_bytes;
    struct stat st;
    strbuf_addc(path, '/');
    strbuf_add(path, name, len);
    if (stat(path->data, &st) == 0)
        return true;
    path->data[at] = '\0';
    path->len_bytes = at;
    DIR *dir = opendir(path->data);
    if (!dir)
        return false;
    char *found = NULL;
    for (struct dirent *entry; !found && (entry = readdir(dir)) != NULL;) {
        if (strlen(entry->d_name) == len && strncasecmp(entry->d_name, name, len) == 0)
            found = mem_strdup(entry->d_name);
    }
    closedir(dir);
    if (found)
        strbuf_addf(path, "/%s", found);
    mem_free(found);
    return found != NULL;
}

/* The absolute path of `filename`, which must lie below the folder: no "..", no empty or "." parts. NULL if there is
 * none; the caller frees it. */
static char *resolve(const char *folder, const char *filename)
{
    if (!folder || strlen(filename) >= PATH_MAX)
        return NULL;
    struct strbuf path;
    strbuf_init(&path);
    strbuf_adds(&path, folder);
    const char *p = filename;
    while (*p == '/')
        p++;
    bool is_ok = *p != '\0';
    while (is_ok && *p) {
        size_t len = strcspn(p, "/");
        bool is_dots = (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.');
        is_ok = len > 0 && !is_dots && append_component(&path, p, len);
        p += len;
        p += *p == '/';
    }
    if (is_ok)
        return strbuf_take(&path);
    strbuf_deinit(&path);
    return NULL;
}

/* --- loading --- */

/* Finding and opening a file, on the worker. */
struct opening {
    struct worker_job job; /* first */
    char *folder, *filename;
    char *path; /* out, like the reader */
    struct sd_reader *reader;
};

static enum err open_file(struct worker_job *job, struct err_info *info)
{
    struct opening *o = CONTAINER_OF(job, struct opening, job);
    o->path = resolve(o->folder, o->filename);
    return o->path ? sd_reader_open(&o->reader, o->path, info)
                   : err_set(info, ERR_NOT_FOUND, "Unable to open file");
}

static void release_opening(struct worker_job *job)
{
    struct opening *o = CONTAINER_OF(job, struct opening, job);
    sd_reader_close(o->reader);
    mem_free(o->path);
    mem_free(o->filename);
    mem_free(o->folder);
}

void sd_close(struct sdcard *sd)
{
    if (sd->in_line && !sd->old_reader)
        sd->old_reader = sd->reader; /* the text of the line that runs is in there */
    else
        sd_reader_close(sd->reader);
    sd->reader = NULL;
    mem_free(sd->path);
    sd->path = NULL;
}

static void forget(struct sdcard *sd)
{
    sd->is_active = sd->is_stopping = false;
    sd_close(sd);
    sd->position = sd->size_bytes = 0;
    sdcard_drop_tail(sd);
    printer_status_touch(&sd->obj);
}

enum err sdcard_unload(struct sdcard *sd, struct err_info *info)
{
    if (sd->is_active || sd->is_stopping)
        return err_set(info, ERR_STATE, "SD busy");
    forget(sd);
    print_stats_set_file(sd->stats, NULL);
    printer_emit(sd->obj.printer, SDCARD_EVENT_RESET, NULL);
    return OK;
}

enum err sdcard_load(struct sdcard *sd, const char *filename, struct err_info *info)
{
    enum err err = sdcard_unload(sd, info);
    if (err)
        return err;
    while (*filename == '/')
        filename++;
    struct opening *o = MEM_NEW(struct opening);
    o->job.run = open_file;
    o->job.release = release_opening;
    o->folder = sd->folder ? mem_strdup(sd->folder) : NULL;
    o->filename = mem_strdup(filename);
    struct worker_calls *calls = &sd->obj.printer->disk;
    err = worker_call(calls, &o->job, info);
    if (!err && (sd->reader || sd->is_active)) /* somebody else was faster than the disk */
        err = err_set(info, ERR_STATE, "SD busy");
    if (!err) {
        sd->reader = o->reader;
        sd->path = o->path;
        o->reader = NULL;
        o->path = NULL;
        sd_reader_use(sd->reader, calls);
    }
    worker_release(&o->job);
    if (err)
        return err;
    sd->position = sd->next_position = 0;
    sd->size_bytes = sd_reader_size_bytes(sd->reader);
    struct gcode *g = sd->obj.printer->gcode;
    char *line = mem_sprintf("File opened:%s Size:%" PRIu64, filename, sd->size_bytes);
    gcode_respond_raw(g, line);
    mem_free(line);
    gcode_respond_raw(g, "File selected");
    print_stats_set_file(sd->stats, filename);
    printer_emit(sd->obj.printer, SDCARD_EVENT_LOAD, (void *)(uintptr_t)filename);
    printer_status_touch(&sd->obj);
    return OK;
}

/* --- running --- */

enum err sdcard_resume(struct sdcard *sd, struct err_info *info)
{
    if (sd->is_active)
        return err_set(info, ERR_STATE, "SD busy");
    if (!sd->reader)
        return err_set(info, ERR_STATE, "No file is selected");
    return sd_print_start(sd, info);
}

void sdcard_stop(struct sdcard *sd)
{
    sd->is_stopping |= sd->is_active;
    sd->is_active = false;
}

void sdcard_pause(struct sdcard *sd)
{
    bool was_printing = sd->is_active || sd->is_stopping;
    sd->is_active = sd->is_stopping = false;
    if (was_printing)
        print_stats_pause(sd->stats);
    printer_status_touch(&sd->obj);
}

void sdcard_cancel(struct sdcard *sd)
{
    if (!sd->reader)
        return;
    forget(sd);
    print_stats_cancel(sd->stats);
}

/* --- commands --- */

static struct sdcard *sd_of(void *ctx)
{
    return ctx;
}

static bool is_from_file(struct sdcard *sd)
{
    return gcode_source(sd->obj.printer->gcode)->file_offset != GCODE_NO_OFFSET;
}

/* The files of the folder, read on the worker. */
struct listing {
    struct worker_job job; /* first */
    char *folder;
    char **lines;
    size_t count;
};

static int compare_lines(const void *a, const void *b)
{
    return strcasecmp(*(char *const *)a, *(char *const *)b);
}

static enum err read_folder(struct worker_job *job, struct err_info *info)
{
    (void)info;
    struct listing *list = CONTAINER_OF(job, struct listing, job);
    DIR *dir = list->folder ? opendir(list->folder) : NULL;
    if (!dir)
        return OK;
    list->lines = MEM_ARRAY(char *, LIST_COUNT_MAX);
    for (struct dirent *entry; list->count < LIST_COUNT_MAX && (entry = readdir(dir)) != NULL;) {
        char *path = mem_sprintf("%s/%s", list->folder, entry->d_name);
        struct stat st;
        if (entry->d_name[0] != '.' && stat(path, &st) == 0 && S_ISREG(st.st_mode))
            list->lines[list->count++] = mem_sprintf("%s %lld", entry->d_name, (long long)st.st_size);
        mem_free(path);
    }
    closedir(dir);
    if (list->count)
        qsort(list->lines, list->count, sizeof(*list->lines), compare_lines);
    return OK;
}

static void release_listing(struct worker_job *job)
{
    struct listing *list = CONTAINER_OF(job, struct listing, job);
    for (size_t i = 0; i < list->count; i++)
        mem_free(list->lines[i]);
    mem_free(list->lines);
    mem_free(list->folder);
}

static enum err cmd_m20(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct sdcard *sd = sd_of(ctx);
    struct gcode *g = gcode_of(cmd);
    struct listing *list = MEM_NEW(struct listing);
    list->job.run = read_folder;
    list->job.release = release_listing;
    list->folder = sd->folder ? mem_strdup(sd->folder) : NULL;
    enum err err = worker_call(&sd->obj.printer->disk, &list->job, info);
    if (!err) {
        gcode_respond_raw(g, "Begin file list");
        for (size_t i = 0; i < list->count; i++)
            gcode_respond_raw(g, list->lines[i]);
        gcode_respond_raw(g, "End file list");
    }
    worker_release(&list->job);
    return err;
}

static enum err cmd_m21(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)info;
    gcode_respond_raw(gcode_of(cmd), "SD card ok");
    return OK;
}

static enum err cmd_m23(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const char *text = gcode_rawparams(cmd);
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        len--;
    char *filename = mem_strndup(text, len);
    enum err err = sdcard_load(sd_of(ctx), filename, info);
    mem_free(filename);
    return err;
}

static enum err cmd_m24(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    return sdcard_resume(sd_of(ctx), info);
}

static enum err cmd_m25(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    (void)info;
    sdcard_pause(sd_of(ctx));
    return OK;
}

static enum err cmd_m26(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    struct sdcard *sd = sd_of(ctx);
    long position = 0;
    if (sd->is_active && !is_from_file(sd))
        return err_set(info, ERR_STATE, "SD busy");
    enum err err = gcode_get_int_in(cmd, "S", GCODE_MIN(0), &position, info);
    if (err)
        return err;
    sd->next_position = (uint64_t)position;
    if (!sd->in_line)
        sd->position = (uint64_t)position;
    return OK;
}

static enum err cmd_m27(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)info;
    struct sdcard *sd = sd_of(ctx);
    if (!sd->reader) {
        gcode_respond_raw(gcode_of(cmd), "Not SD printing.");
        return OK;
    }
    char *line = mem_sprintf("SD printing byte %" PRIu64 "/%" PRIu64, sd->position, sd->size_bytes);
    gcode_respond_raw(gcode_of(cmd), line);
    mem_free(line);
    return OK;
}

static enum err cmd_write(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)ctx;
    (void)cmd;
    return err_set(info, ERR_UNSUPPORTED, "SD write not supported");
}

static enum err cmd_print_file(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    const char *filename;
    enum err err = gcode_get_str(cmd, "FILENAME", &filename, info);
    if (!err)
        err = sdcard_load(sd_of(ctx), filename, info);
    return err ? err : sdcard_resume(sd_of(ctx), info);
}

static enum err cmd_reset_file(void *ctx, struct gcode_command *cmd, struct err_info *info)
{
    (void)cmd;
    if (is_from_file(sd_of(ctx)))
        return err_set(info, ERR_STATE, "SDCARD_RESET_FILE cannot be run from the sdcard");
    return sdcard_unload(sd_of(ctx), info);
}

/* --- the object --- */

/* "~/x" as shells have it; no slash at the end. */
static char *expand_folder(const char *path)
{
    const char *home = getenv("HOME");
    char *text =
        path[0] == '~' && (path[1] == '/' || !path[1]) && home ? mem_sprintf("%s%s", home, path + 1) : mem_strdup(path);
    size_t len = strlen(text);
    while (len > 1 && text[len - 1] == '/')
        text[--len] = '\0';
    return text;
}

static void read_on_error(struct sdcard *sd, struct config_section *section)
{
    if (strcmp(section_string(section, "on_error_gcode"), ON_ERROR_TEXT) != 0)
        sd->on_error = template_read(section, "on_error_gcode"); /* what the default says is done without a template */
}

static enum err create(struct printer_object *obj, struct config_section *section, struct err_info *info)
{
    (void)info;
    struct sdcard *sd = sd_of(obj);
    sd->stats = print_stats_of(obj->printer);
    const struct printer_services *services = obj->printer->services;
    const char *data_dir = services ? services->data_dir : NULL;
    char *default_folder = data_dir ? mem_sprintf("%s/%s", data_dir, DEFAULT_FOLDER) : NULL;
    read_on_error(sd, section);
    if (default_folder || section_has(section, "path"))
        sd->folder = expand_folder(section_string_or(section, "path", default_folder ? default_folder : ""));
    mem_free(default_folder);
    return OK;
}

static void shutdown(struct printer_object *obj)
{
    struct sdcard *sd = sd_of(obj);
    sdcard_pause(sd);
    sd->tail.is_held = false; /* the engine has forgotten it */
}

static void destroy(struct printer_object *obj)
{
    struct sdcard *sd = sd_of(obj);
    sd_close(sd);
    sd_reader_close(sd->old_reader);
    template_destroy(sd->on_error);
    mem_free(sd->folder);
}

static void status(struct printer_object *obj, struct status_writer *writer)
{
    struct sdcard *sd = sd_of(obj);
    status_string(writer, "file_path", sd->path);
    status_float(writer, "progress", sdcard_progress(sd));
    status_bool(writer, "is_active", sd->is_active || sd->is_stopping);
    status_int(writer, "file_position", (int64_t)sd->position);
    status_int(writer, "file_size", (int64_t)sd->size_bytes);
}

static const struct option_desc options[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .default_text = "the folder gcodes of the data directory",
     .help = "Folder of the print files."},
    {.name = "on_error_gcode",
     .type = OPTION_TEMPLATE,
     .default_text = ON_ERROR_TEXT,
     .help = "What to run when a line of the file fails."},
};

static const struct command_param m23_params[] = {{"<filename>", "raw", "required", NULL}, {NULL, NULL, NULL, NULL}};
static const struct command_param m26_params[] = {{"S", "int", "required", ">=0"}, {NULL, NULL, NULL, NULL}};
static const struct command_param file_params[] = {{"FILENAME", "str", "required", NULL}, {NULL, NULL, NULL, NULL}};

static const struct command_desc commands[] = {
    {.name = "M20", .handler = cmd_m20},
    {.name = "M21", .handler = cmd_m21},
    {.name = "M23", .flags = COMMAND_TAKES_TEXT, .params = m23_params, .handler = cmd_m23},
    {.name = "M24", .handler = cmd_m24},
    {.name = "M25", .handler = cmd_m25},
    {.name = "M26", .params = m26_params, .handler = cmd_m26},
    {.name = "M27", .handler = cmd_m27},
    {.name = "M28", .handler = cmd_write},
    {.name = "M29", .handler = cmd_write},
    {.name = "M30", .handler = cmd_write},
    {.name = "SDCARD_PRINT_FILE", .params = file_params, .help = "Load a file and print it", .handler = cmd_print_file},
    {.name = "SDCARD_RESET_FILE", .help = "Let go of the loaded file", .handler = cmd_reset_file},
};

static const struct status_field_desc fields[] = {
    {"file_path", "str/null", "absolute path of the loaded file"},
    {"progress", "float", "0 to 1, by bytes"},
    {"is_active", "bool", "a file is being printed, not paused"},
    {"file_position", "int", "byte offset of the line being run"},
    {"file_size", "int", "bytes"},
};

static const struct event_desc events[] = {
    {SDCARD_EVENT_LOAD, "a file was loaded; data: its name"},
    {SDCARD_EVENT_RESET, "no file is loaded any more"},
};

const struct object_desc virtual_sdcard_desc = {
    .section = "virtual_sdcard",
    .flags = OBJECT_ALWAYS | OBJECT_EXACT,
    .help = "The folder of print files.",
    .size_bytes = sizeof(struct sdcard),
    OBJECT_OPTIONS(options),
    OBJECT_COMMANDS(commands),
    OBJECT_FIELDS(fields),
    OBJECT_EVENTS(events),
    .create = create,
    .shutdown = shutdown,
    .destroy = destroy,
    .status = status,
};
