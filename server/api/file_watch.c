/* One snapshot of all watched folders, compared after each burst of events: cheaper to get right than to follow events one
 * by one (folders renamed while their contents change, lost events, hidden temporary names of editors and rsync). */
#include "server/api/file_watch.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/strmap.h"
#include "server/api/file_common.h"
#include "server/store/metadata.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define QUIET_MS   250  /* a burst of events is over */
#define BURST_MS   2000 /* or has lasted long enough */
#define YOUNG_NS   100000000LL /* less than QUIET_MS: what was closed before the quiet is older */
#define EVENTS     (IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK)
#define STACK_BYTES (128 * 1024)

static const char *const roots[] = {"gcodes", "config"};
#define ROOT_COUNT (sizeof roots / sizeof roots[0])

struct known {
    bool is_dir, is_seen; /* in this pass */
    uint64_t size;
    int64_t modified_ns;
};

struct file_watch {
    struct api *api;
    int inotify, wake; /* -1: nothing is watched */
    pthread_t thread;
    bool is_running;
    atomic_bool is_stopping, is_asked; /* a comparison waits in the worker's queue */
    /* worker */
    struct strmap known; /* "root/rel" -> struct known */
    char *dirs[ROOT_COUNT]; /* where each root was; NULL: not looked at yet */
    bool is_too_large[ROOT_COUNT]; /* a root of that many files is somebody's home, not a printer's folder: left alone */
    int last_watch;         /* the highest number the kernel gave */
    size_t count;
};

/* --- the snapshot (worker) --- */

struct pass {
    struct file_watch *watch;
    const char *root;
    bool is_silent;
    size_t visited; /* entries so far */
};

/* Metadata first, so that it is there when clients ask. `is_quiet`: what follows from another change, which is told. */
static void tell(const struct pass *pass, const char *action, const char *rel, bool is_dir, bool is_quiet)
{
    struct api *api = pass->watch->api;
    struct files_path path;
    if (pass->is_silent || files_resolve_in(api->options.files, pass->root, rel, &path, NULL) != OK)
        return;
    bool is_gcode = !is_dir && strcmp(pass->root, "gcodes") == 0 && files_is_gcode(rel);
    json_t *metadata = NULL;
    if (is_gcode && !strncmp(action, "delete", strlen("delete")))
        metadata_drop(api->options.db, api->options.files, rel);
    else if (is_gcode && metadata_get(api->options.db, api->options.files, rel, true, &metadata, NULL) != OK)
        metadata = NULL;
    if (!is_quiet)
        file_tell(api, action, &path, NULL);
    if (metadata)
        file_notify_pictures(api, rel, metadata);
    json_decref(metadata);
}

/* Have the thread ask for another look. */
static void nudge(struct file_watch *w)
{
    const uint64_t one = 1;
    (void)!write(w->wake, &one, sizeof one);
}

/* Somebody may still be writing this file: it is left for the next look. (Its end is an event, but not one that is sure to
 * be heard of: its folder may be so new that nobody listened yet.) */
static bool is_unfinished(const struct pass *pass, int64_t modified_ns)
{
    int64_t age_ns = (int64_t)(clock_wall_s() * 1e9) - modified_ns;
    return !pass->is_silent && age_ns >= 0 && age_ns < YOUNG_NS;
}

/* One entry as it is now. */
static void look_at(const struct pass *pass, const char *rel, const struct stat *st)
{
    struct file_watch *w = pass->watch;
    bool is_dir = S_ISDIR(st->st_mode);
    struct known now = {.is_dir = is_dir,
                        .is_seen = true,
                        .size = is_dir ? 0 : (uint64_t)st->st_size,
                        .modified_ns = is_dir ? 0 : st->st_mtim.tv_sec * 1000000000LL + st->st_mtim.tv_nsec};
    char *key = mem_sprintf("%s/%s", pass->root, rel);
    struct known *before = strmap_get(&w->known, key);
    if (!is_dir && is_unfinished(pass, now.modified_ns)) {
        if (before)
            before->is_seen = true;
        nudge(w);
    } else if (!before && w->count < FILES_LIST_MAX) {
        before = MEM_NEW(struct known);
        *before = now;
        strmap_set(&w->known, key, before);
        w->count++;
        tell(pass, is_dir ? "create_dir" : "create_file", rel, is_dir, false);
    } else if (before) {
        bool is_changed = before->size != now.size || before->modified_ns != now.modified_ns || before->is_dir != is_dir;
        *before = now;
        if (is_changed && !is_dir)
            tell(pass, "modify_file", rel, false, false);
    }
    mem_free(key);
}

/* Links are left out: they may lead anywhere, or round in circles. */
static void walk(struct pass *pass, const char *full, const char *rel, unsigned depth)
{
    struct file_watch *w = pass->watch;
    int number = w->inotify >= 0 ? inotify_add_watch(w->inotify, full, EVENTS) : -1;
    if (number < 0 && errno == ENOSPC && depth == 0)
        log_warn(w->api->options.log, "files", "the kernel watches no more folders", "dir=%s", full);
    w->last_watch = number > w->last_watch ? number : w->last_watch;
    DIR *stream = opendir(full);
    struct dirent *de;
    while (stream && pass->visited < FILES_LIST_MAX && (de = readdir(stream))) {
        struct stat st;
        pass->visited++;
        if (de->d_name[0] == '.' || fstatat(dirfd(stream), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) || strlen(rel) + strlen(de->d_name) + 2 > FILES_PATH_BYTES_MAX)
            continue;
        char *below = mem_sprintf("%s%s%s", rel, rel[0] ? "/" : "", de->d_name);
        look_at(pass, below, &st);
        if (S_ISDIR(st.st_mode) && depth + 1 < FILES_DEPTH_MAX) {
            char *dir = mem_sprintf("%s/%s", full, de->d_name);
            walk(pass, dir, below, depth + 1);
            mem_free(dir);
        }
        mem_free(below);
    }
    if (stream)
        closedir(stream);
}

static bool is_below(const char *key, const char *prefix)
{
    size_t len = strlen(prefix);
    return !strncmp(key, prefix, len) && (key[len] == 0 || key[len] == '/' || prefix[len - 1] == '/');
}

/* Has the folder that an entry was in gone too? */
static bool is_parent_gone(const struct file_watch *w, const char *key)
{
    size_t len = (size_t)(strrchr(key, '/') - key);
    const struct known *parent = memchr(key, '/', len) ? strmap_getn(&w->known, key, len) : NULL;
    return memchr(key, '/', len) && (!parent || !parent->is_seen);
}

/* Forget what is below `prefix` ("gcodes/", "config/a"), all of it or what this pass has not seen, and tell. */
static void forget(const struct pass *pass, const char *prefix, bool only_unseen)
{
    struct file_watch *w = pass->watch;
    const struct strmap_entry *next;
    for (const struct strmap_entry *e = strmap_first(&w->known); e; e = next) {
        next = strmap_next(e);
        struct known *known = strmap_value(e);
        if (!is_below(strmap_key(e), prefix) || (only_unseen && known->is_seen))
            continue;
        char *key = mem_strdup(strmap_key(e));
        (void)strmap_remove(&w->known, key);
        w->count--;
        tell(pass, known->is_dir ? "delete_dir" : "delete_file", key + strlen(pass->root) + 1, known->is_dir,
             is_parent_gone(w, key));
        mem_free(known);
        mem_free(key);
    }
}

/* Stop watching a root that is too large; the folders of the others are watched again when they are looked at next. */
static void give_up(struct file_watch *w, struct pass *pass, const char *all, size_t index)
{
    w->is_too_large[index] = true;
    log_warn(w->api->options.log, "files", "too many files to notice what others change", "root=%s dir=%s allowed=%d",
             pass->root, w->dirs[index], FILES_LIST_MAX);
    for (int number = 1; w->inotify >= 0 && number <= w->last_watch; number++)
        (void)inotify_rm_watch(w->inotify, number);
    pass->is_silent = true;
    forget(pass, all, false);
    file_watch_look(w);
}

static void compare_root(struct file_watch *w, size_t index)
{
    struct files_path path;
    struct pass pass = {.watch = w, .root = roots[index]};
    if (files_resolve_in(w->api->options.files, pass.root, "", &path, NULL) != OK)
        return;
    char *all = mem_sprintf("%s/", pass.root);
    if (!w->dirs[index] || strcmp(w->dirs[index], path.full) != 0) { /* another folder: take it as it is */
        mem_free(w->dirs[index]);
        w->dirs[index] = mem_strdup(path.full);
        w->is_too_large[index] = false;
        pass.is_silent = true;
        forget(&pass, all, false);
    }
    if (w->is_too_large[index]) {
        mem_free(all);
        return;
    }
    for (const struct strmap_entry *e = strmap_first(&w->known); e; e = strmap_next(e))
        if (is_below(strmap_key(e), all))
            ((struct known *)strmap_value(e))->is_seen = false;
    walk(&pass, path.full, "", 0);
    if (pass.visited < FILES_LIST_MAX)
        forget(&pass, all, true);
    else
        give_up(w, &pass, all, index);
    mem_free(all);
}

static void compare(void *arg)
{
    struct file_watch *w = arg;
    atomic_store(&w->is_asked, false); /* events from here on ask again */
    for (size_t i = 0; i < ROOT_COUNT; i++)
        compare_root(w, i);
}

void file_watch_note(struct file_watch *w, const struct files_path *path)
{
    struct pass pass = {.watch = w, .root = path->root, .is_silent = true};
    struct stat st;
    bool is_watched = false;
    for (size_t i = 0; i < ROOT_COUNT; i++)
        is_watched |= !strcmp(roots[i], path->root) && !w->is_too_large[i];
    if (!is_watched || !path->rel[0] || path->rel[0] == '.' || strstr(path->rel, "/."))
        return;
    char *key = mem_sprintf("%s/%s", path->root, path->rel);
    forget(&pass, key, false);
    mem_free(key);
    if (lstat(path->full, &st) != 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return;
    look_at(&pass, path->rel, &st);
    if (S_ISDIR(st.st_mode))
        walk(&pass, path->full, path->rel, 1);
}

/* --- the thread --- */

void file_watch_look(struct file_watch *w)
{
    if (!atomic_exchange(&w->is_asked, true) && !api_defer(w->api, compare, w))
        atomic_store(&w->is_asked, false);
}

/* Take what the kernel has to say; is any of it worth a look? A file that has only been made is not: it is still empty,
 * and closing it will be another event. */
static bool take_events(struct file_watch *w)
{
    _Alignas(struct inotify_event) char buffer[4096];
    bool is_news = false;
    ssize_t len;
    while ((len = read(w->inotify, buffer, sizeof buffer)) > 0)
        for (char *at = buffer; at < buffer + len;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            bool is_hidden = event->len > 0 && event->name[0] == '.';
            bool is_new_file = (event->mask & IN_CREATE) && !(event->mask & IN_ISDIR);
            is_news |= (event->mask & IN_Q_OVERFLOW) || (!is_hidden && !is_new_file && !(event->mask & IN_IGNORED));
            at += sizeof *event + event->len;
        }
    return is_news;
}

static void *thread_main(void *arg)
{
    struct file_watch *w = arg;
    struct pollfd fds[] = {{.fd = w->inotify, .events = POLLIN}, {.fd = w->wake, .events = POLLIN}};
    pthread_setname_np(pthread_self(), "files");
    int due_ms = -1, spent_ms = 0; /* until a look, -1: none is due; since the first event of a burst, about */
    while (!atomic_load(&w->is_stopping)) {
        uint64_t asked;
        int n = poll(fds, 2, due_ms);
        if (n < 0 && errno != EINTR)
            break;
        if (n == 0) {
            file_watch_look(w);
            due_ms = -1;
            spent_ms = 0;
            continue;
        }
        bool is_asked = n > 0 && (fds[1].revents & POLLIN) && read(w->wake, &asked, sizeof asked) > 0;
        if (n > 0 && (fds[0].revents & POLLIN) && take_events(w)) {
            due_ms = QUIET_MS;
            spent_ms += QUIET_MS;
            if (spent_ms >= BURST_MS) { /* it goes on: a look now, and another at its end */
                file_watch_look(w);
                spent_ms = 0;
            }
        } else if (is_asked && due_ms < 0) {
            due_ms = BURST_MS;
        }
    }
    return NULL;
}

static bool start_thread(struct file_watch *w)
{
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    w->is_running = pthread_create(&w->thread, &attr, thread_main, w) == 0;
    pthread_attr_destroy(&attr);
    return w->is_running;
}

struct file_watch *file_watch_create(struct api *api)
{
    struct file_watch *w = MEM_NEW(struct file_watch);
    w->api = api;
    strmap_init(&w->known);
    w->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->inotify < 0 || w->wake < 0 || !start_thread(w))
        log_warn(api->options.log, "files", "changes made by others are not noticed", "reason=%s", strerror(errno));
    file_watch_look(w);
    return w;
}

void file_watch_stop(struct file_watch *w)
{
    if (!w || !w->is_running)
        return;
    atomic_store(&w->is_stopping, true);
    nudge(w);
    pthread_join(w->thread, NULL);
    w->is_running = false;
}

void file_watch_destroy(struct file_watch *w)
{
    if (!w)
        return;
    file_watch_stop(w);
    for (const struct strmap_entry *e = strmap_first(&w->known); e; e = strmap_next(e))
        mem_free(strmap_value(e));
    strmap_deinit(&w->known);
    for (size_t i = 0; i < ROOT_COUNT; i++)
        mem_free(w->dirs[i]);
    if (w->inotify >= 0)
        close(w->inotify);
    if (w->wake >= 0)
        close(w->wake);
    mem_free(w);
}
