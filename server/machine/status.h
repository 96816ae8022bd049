/* Published status: what printer.objects.query and subscriptions show.
 *
 * Objects write values into a status_writer on the machine thread; only fields whose value changed are serialised again.
 * The result is published as an immutable snapshot: a table of objects, each a table of fields, each its name, its JSON
 * and the version at which it last changed. Any thread acquires the newest snapshot without a lock on anything live and
 * copies texts out of it; unchanged objects are shared between snapshots by reference count.
 *
 * Versions: one counter per hub that grows by one with each publish. A subscriber remembers the version of the snapshot
 * it has sent, and next time sends the fields whose version is greater. */
#ifndef SERVER_MACHINE_STATUS_H
#define SERVER_MACHINE_STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

/* --- reading (any thread) --- */
struct status_field {
    const char *name;
    size_t name_len;
    const char *json;
    size_t json_len;
    uint64_t version; /* of the publish at which it last changed */
};
struct status_object {
    const char *name; /* "heater_fan hotend" */
    size_t name_len;
    uint64_t version; /* the greatest of its fields */
    size_t field_count;
    const struct status_field *fields;
};
struct status_snapshot {
    uint64_t version;
    uint64_t generation; /* grows with each printer: objects of another generation are other objects */
    double eventtime_s;
    size_t object_count;
    const struct status_object *const *objects; /* sorted by name */
};
struct status_hub;

/* The newest snapshot; never NULL (an empty one before the first publish). Wait-free but for a retry when a publish
 * happens at that instant. Release it soon, from any thread: at most STATUS_SNAPSHOTS_MAX are kept alive at once, and a
 * publish that finds no free one is left out until the next. */
#define STATUS_SNAPSHOTS_MAX 128
const struct status_snapshot *status_acquire(struct status_hub *hub);
void status_release(struct status_hub *hub, const struct status_snapshot *snapshot);
const struct status_object *status_find(const struct status_snapshot *snapshot, const char *name, size_t name_len);
const struct status_field *status_find_field(const struct status_object *object, const char *name, size_t name_len);

/* Called on the machine thread after each publish that changed something. Must not block. */
typedef void status_listener_fn(void *ctx, uint64_t version);
void status_set_listener(struct status_hub *hub, status_listener_fn *fn, void *ctx); /* before the machine runs */

/* --- the hub (the host's; outlives printers) --- */
struct status_hub *status_hub_create(void);
void status_hub_destroy(struct status_hub *hub); /* every snapshot has been released; NULL allowed */

/* --- writing (machine thread) --- */
struct status_entry;  /* one object's fields */
struct status_writer; /* handed to a status hook */

/* Fields are written in the same order each time (that is fast), by name. A field left out keeps its last value. */
void status_float(struct status_writer *writer, const char *field, double value);
/* Rounded to `decimals` digits first, as Klipper rounds temperatures. */
void status_float_round(struct status_writer *writer, const char *field, double value, int decimals);
void status_int(struct status_writer *writer, const char *field, int64_t value);
void status_bool(struct status_writer *writer, const char *field, bool value);
void status_string(struct status_writer *writer, const char *field, const char *text); /* NULL: null */
void status_null(struct status_writer *writer, const char *field);
/* [a, b, c, ...] of floats. */
void status_floats(struct status_writer *writer, const char *field, const double *values, size_t count);
/* Any JSON: append it to the buffer returned, then call status_end_json. */
struct strbuf *status_begin_json(struct status_writer *writer, const char *field);
void status_end_json(struct status_writer *writer);
/* Costly JSON with a revision number: false if the field already shows this revision (skip the work); else write it
 * with status_begin_json. */
bool status_needs(struct status_writer *writer, const char *field, uint64_t revision);
/* Remove a field of an object with names made at run time. */
void status_remove(struct status_writer *writer, const char *field);

/* --- for the printer --- */
struct printer_object;
/* Begin a generation: objects of the previous printer vanish at the next publish. */
void status_hub_reset(struct status_hub *hub);
struct status_entry *status_entry_create(struct status_hub *hub, const char *name); /* NULL if hub is NULL */
void status_entry_destroy(struct status_entry *entry);
/* Let `hook` write the entry's fields. Returns whether anything changed. */
bool status_entry_refresh(struct status_entry *entry, struct printer_object *obj,
                          void (*hook)(struct printer_object *obj, struct status_writer *writer));
/* JSON of one of the entry's fields as last written, valid until the next refresh; NULL if it is not there. */
const char *status_entry_field(const struct status_entry *entry, const char *name, size_t name_len, size_t *json_len);
/* Names of the present fields, in order: *cursor begins at 0; NULL at the end. */
const char *status_entry_next(const struct status_entry *entry, size_t *cursor);
/* Append the entry's present fields as a JSON object. */
void status_entry_json(const struct status_entry *entry, struct strbuf *out);
/* Publish what has changed since the last publish; returns whether something had. */
bool status_publish(struct status_hub *hub, double eventtime_s);

/* The object's state has just changed in a way clients should see at once: it is refreshed and published at the end of
 * the present step instead of at the next period. Cheap. */
void printer_status_touch(struct printer_object *obj);

/* Refresh one object now and return its entry's JSON object (fields in order), for macros. Caller frees. */
char *printer_status_json(struct printer_object *obj);

#endif
