/* What the files of this folder share. Not for others. */
#ifndef API_API_PRIVATE_H
#define API_API_PRIVATE_H

#include "base/ring.h"
#include "base/strmap.h"
#include "server/api/api.h"

#include <pthread.h>
#include <stdatomic.h>

struct console_store;
struct file_watch;
struct temperature_store;
struct proc_stats;
struct remote_methods;
struct tokens;
struct worker;

/* Sizes of the stores, as server.config tells them. */
#define API_CONSOLE_LINES_MAX 1000
#define API_TEMPERATURE_SAMPLES 1200

#define API_MOONRAKER_VERSION "v0.11.0-1-lockstep"
#define API_VERSION_TEXT "1.5.0"

struct api {
    struct api_options options; /* texts are our copies */
    struct api_sink sink;
    struct strmap by_rpc;  /* method -> route */
    struct strmap by_path; /* "G/path" -> route, and "*" "/path" -> any route of it */
    atomic_uint in_flight;
    atomic_bool is_stopped;
    struct mpsc machine_queue; /* struct api_call * */
    struct worker *worker;
    struct console_store *console;
    struct temperature_store *temperatures;
    struct proc_stats *proc_stats;
    struct tokens *tokens;
    struct remote_methods *remote_methods;
    struct file_watch *watch;
    double started_s; /* wall clock */
    char *upload_dir, *hostname, *cpu_model, *cpu_info;
    pthread_mutex_t lock; /* guards klippy and klippy_message */
    enum api_klippy klippy;
    char *klippy_message;
};

/* The life-cycle state; copies the message (cut to fit) if `message` is not NULL. Any thread. */
enum api_klippy api_klippy_state(struct api *api, char *message, size_t message_bytes);
const char *api_klippy_name(enum api_klippy state);
/* Reply 503 and return false unless there is a printer (in whatever state). */
bool api_need_printer(struct api_call *call);

/* DATA/uploads, made and swept; the caller frees the name. */
char *api_upload_dir_open(const char *data_dir);

#endif
