/* Publishing status without a lock on anything live.
 *
 * Snapshots live in a fixed number of slots. A reader takes the index of the published slot, counts itself in, and looks
 * whether that slot is still the published one; if not, it counts itself out and tries again. The machine thread reuses a
 * slot only if it is not published and nobody is counted in. All of these accesses are sequentially consistent: if the
 * machine thread saw a count of zero after it had published another slot, a reader that counts itself in later sees that
 * other slot and goes away. Object blocks are reference-counted by the machine thread alone, as only snapshots hold
 * them. */
#include "server/machine/status.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/strbuf.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* One object's published fields, in one block: this struct, the fields, then all texts. */
struct object_block {
    struct status_object pub;
    unsigned ref_count; /* snapshots and the entry; machine thread */
};

struct slot {
    struct status_snapshot pub;
    atomic_uint reader_count;
    struct object_block **objects; /* pub.objects as what they are */
};

enum field_kind { FIELD_NONE, FIELD_FLOAT, FIELD_INT, FIELD_BOOL, FIELD_NULL, FIELD_TEXT };

struct field_state {
    char *name;
    size_t name_len;
    enum field_kind kind;
    uint64_t bits;     /* of the number, or the revision of costly JSON */
    struct strbuf json;
    uint64_t version;
};

struct status_entry {
    struct status_hub *hub;
    char *name;
    struct field_state *fields;
    size_t field_count, field_cap;
    struct object_block *block; /* as last published; NULL before */
    bool is_changed;
};

struct status_writer {
    struct status_entry *entry;
    size_t cursor;            /* where the next field is expected */
    struct field_state *open; /* between begin_json and end_json */
    struct strbuf scratch;
    bool has_changed;
};

struct status_hub {
    atomic_uint published;
    struct slot slots[STATUS_SNAPSHOTS_MAX];
    /* the machine thread's */
    struct status_entry **entries; /* sorted by name */
    size_t entry_count, entry_cap;
    uint64_t generation;
    bool is_changed;
    struct strbuf scratch;
    status_listener_fn *listener;
    void *listener_ctx;
};

/* --- reading --- */

const struct status_snapshot *status_acquire(struct status_hub *hub)
{
    for (;;) {
        unsigned index = atomic_load(&hub->published);
        struct slot *slot = &hub->slots[index];
        atomic_fetch_add(&slot->reader_count, 1);
        if (atomic_load(&hub->published) == index)
            return &slot->pub;
        atomic_fetch_sub(&slot->reader_count, 1);
    }
}

void status_release(struct status_hub *hub, const struct status_snapshot *snapshot)
{
    (void)hub;
    struct slot *slot = (struct slot *)(void *)snapshot; /* pub is its first member */
    unsigned before = atomic_fetch_sub(&slot->reader_count, 1);
    CHECK(before > 0);
}

static int compare_name(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order ? order : a_len < b_len ? -1 : a_len > b_len;
}

const struct status_object *status_find(const struct status_snapshot *snapshot, const char *name, size_t name_len)
{
    size_t lo = 0, hi = snapshot->object_count;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        const struct status_object *object = snapshot->objects[mid];
        int order = compare_name(name, name_len, object->name, object->name_len);
        if (!order)
            return object;
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const struct status_field *status_find_field(const struct status_object *object, const char *name, size_t name_len)
{
    for (size_t i = 0; i < object->field_count; i++)
        if (object->fields[i].name_len == name_len && !memcmp(object->fields[i].name, name, name_len))
            return &object->fields[i];
    return NULL;
}

/* --- the hub --- */

struct status_hub *status_hub_create(void)
{
    return MEM_NEW(struct status_hub);
}

static void block_release(struct object_block *block)
{
    if (block && --block->ref_count == 0)
        mem_free(block);
}

static void slot_clear(struct slot *slot)
{
    for (size_t i = 0; i < slot->pub.object_count; i++)
        block_release(slot->objects[i]);
    mem_free(slot->objects);
    slot->objects = NULL;
    slot->pub.objects = NULL;
    slot->pub.object_count = 0;
}

void status_hub_destroy(struct status_hub *hub)
{
    if (!hub)
        return;
    CHECK(hub->entry_count == 0);
    for (size_t i = 0; i < STATUS_SNAPSHOTS_MAX; i++) {
        CHECK(atomic_load(&hub->slots[i].reader_count) == 0);
        slot_clear(&hub->slots[i]);
    }
    mem_free(hub->entries);
    strbuf_deinit(&hub->scratch);
    mem_free(hub);
}

void status_set_listener(struct status_hub *hub, status_listener_fn *fn, void *ctx)
{
    hub->listener = fn;
    hub->listener_ctx = ctx;
}

void status_hub_reset(struct status_hub *hub)
{
    CHECK(hub->entry_count == 0);
    hub->generation++;
    hub->is_changed = true;
}

struct status_entry *status_entry_create(struct status_hub *hub, const char *name)
{
    if (!hub)
        return NULL;
    struct status_entry *entry = MEM_NEW(struct status_entry);
    entry->hub = hub;
    entry->name = mem_strdup(name);
    if (hub->entry_count == hub->entry_cap) {
        hub->entry_cap = hub->entry_cap ? hub->entry_cap * 2 : 64;
        hub->entries = mem_realloc(hub->entries, hub->entry_cap * sizeof *hub->entries);
    }
    size_t at = hub->entry_count++;
    while (at > 0 && strcmp(hub->entries[at - 1]->name, name) > 0) {
        hub->entries[at] = hub->entries[at - 1];
        at--;
    }
    hub->entries[at] = entry;
    return entry;
}

void status_entry_destroy(struct status_entry *entry)
{
    if (!entry)
        return;
    struct status_hub *hub = entry->hub;
    size_t at = 0;
    while (hub->entries[at] != entry)
        at++;
    memmove(hub->entries + at, hub->entries + at + 1, (hub->entry_count - at - 1) * sizeof *hub->entries);
    hub->entry_count--;
    hub->is_changed = true;
    for (size_t i = 0; i < entry->field_count; i++) {
        mem_free(entry->fields[i].name);
        strbuf_deinit(&entry->fields[i].json);
    }
    mem_free(entry->fields);
    mem_free(entry->name);
    block_release(entry->block);
    mem_free(entry);
}

/* --- writing --- */

static uint64_t next_version(const struct status_hub *hub)
{
    return hub->slots[atomic_load(&hub->published)].pub.version + 1;
}

static struct field_state *add_field(struct status_entry *entry, size_t at, const char *name, size_t name_len)
{
    if (entry->field_count == entry->field_cap) {
        entry->field_cap = entry->field_cap ? entry->field_cap * 2 : 8;
        entry->fields = mem_realloc(entry->fields, entry->field_cap * sizeof *entry->fields);
    }
    memmove(entry->fields + at + 1, entry->fields + at, (entry->field_count - at) * sizeof *entry->fields);
    entry->field_count++;
    entry->fields[at] = (struct field_state){.name = mem_strndup(name, name_len), .name_len = name_len};
    strbuf_init(&entry->fields[at].json);
    return &entry->fields[at];
}

/* The field's state: the next one in order as a rule, else looked for, else new. */
static struct field_state *take_field(struct status_writer *writer, const char *name)
{
    struct status_entry *entry = writer->entry;
    size_t len = strlen(name), at = writer->cursor;
    if (at >= entry->field_count || strcmp(entry->fields[at].name, name)) {
        for (at = 0; at < entry->field_count; at++)
            if (!strcmp(entry->fields[at].name, name))
                break;
        if (at == entry->field_count) {
            at = writer->cursor < entry->field_count ? writer->cursor : entry->field_count;
            (void)add_field(entry, at, name, len);
        }
    }
    writer->cursor = at + 1;
    return &entry->fields[at];
}

static void mark(struct status_writer *writer, struct field_state *field, enum field_kind kind, uint64_t bits)
{
    field->kind = kind;
    field->bits = bits;
    field->version = next_version(writer->entry->hub);
    writer->has_changed = true;
}

/* Begin to replace a simple field's text; false if it shows this value already. */
static bool replace(struct status_writer *writer, const char *name, enum field_kind kind, uint64_t bits,
                    struct field_state **out)
{
    struct field_state *field = take_field(writer, name);
    if (field->kind == kind && field->bits == bits)
        return false;
    mark(writer, field, kind, bits);
    strbuf_clear(&field->json);
    *out = field;
    return true;
}

void status_float(struct status_writer *writer, const char *name, double value)
{
    uint64_t bits;
    struct field_state *field;
    memcpy(&bits, &value, sizeof bits);
    if (replace(writer, name, FIELD_FLOAT, bits, &field))
        strbuf_add_json_double(&field->json, value);
}

void status_float_round(struct status_writer *writer, const char *name, double value, int decimals)
{
    double scale = 1;
    for (int i = 0; i < decimals; i++)
        scale *= 10;
    double rounded = nearbyint(value * scale) / scale;
    status_float(writer, name, rounded == 0 ? 0.0 : rounded);
}

void status_int(struct status_writer *writer, const char *name, int64_t value)
{
    struct field_state *field;
    if (replace(writer, name, FIELD_INT, (uint64_t)value, &field))
        strbuf_addf(&field->json, "%lld", (long long)value);
}

void status_bool(struct status_writer *writer, const char *name, bool value)
{
    struct field_state *field;
    if (replace(writer, name, FIELD_BOOL, value, &field))
        strbuf_adds(&field->json, value ? "true" : "false");
}

void status_null(struct status_writer *writer, const char *name)
{
    struct field_state *field;
    if (replace(writer, name, FIELD_NULL, 0, &field))
        strbuf_adds(&field->json, "null");
}

struct strbuf *status_begin_json(struct status_writer *writer, const char *name)
{
    CHECK(!writer->open);
    writer->open = take_field(writer, name);
    strbuf_clear(&writer->scratch);
    return &writer->scratch;
}

void status_end_json(struct status_writer *writer)
{
    struct field_state *field = writer->open;
    CHECK(field);
    writer->open = NULL;
    if (field->kind == FIELD_TEXT && field->json.len_bytes == writer->scratch.len_bytes &&
        !memcmp(field->json.data, writer->scratch.data, field->json.len_bytes))
        return;
    strbuf_clear(&field->json);
    strbuf_add(&field->json, writer->scratch.data, writer->scratch.len_bytes);
    mark(writer, field, FIELD_TEXT, field->bits);
}

void status_string(struct status_writer *writer, const char *name, const char *text)
{
    if (!text) {
        status_null(writer, name);
        return;
    }
    strbuf_add_json_string(status_begin_json(writer, name), text, strlen(text));
    status_end_json(writer);
}

void status_floats(struct status_writer *writer, const char *name, const double *values, size_t count)
{
    struct strbuf *json = status_begin_json(writer, name);
    strbuf_addc(json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i)
            strbuf_adds(json, ", ");
        strbuf_add_json_double(json, values[i]);
    }
    strbuf_addc(json, ']');
    status_end_json(writer);
}

bool status_needs(struct status_writer *writer, const char *name, uint64_t revision)
{
    size_t cursor = writer->cursor;
    struct field_state *field = take_field(writer, name);
    if (field->kind == FIELD_TEXT && field->bits == revision)
        return false;
    field->bits = revision; /* the caller writes it now */
    writer->cursor = cursor;
    return true;
}

void status_remove(struct status_writer *writer, const char *name)
{
    struct status_entry *entry = writer->entry;
    for (size_t i = 0; i < entry->field_count; i++) {
        if (strcmp(entry->fields[i].name, name))
            continue;
        mem_free(entry->fields[i].name);
        strbuf_deinit(&entry->fields[i].json);
        memmove(entry->fields + i, entry->fields + i + 1, (entry->field_count - i - 1) * sizeof *entry->fields);
        entry->field_count--;
        writer->cursor -= writer->cursor > i;
        writer->has_changed = true;
        return;
    }
}

bool status_entry_refresh(struct status_entry *entry, struct printer_object *obj,
                          void (*hook)(struct printer_object *obj, struct status_writer *writer))
{
    if (!entry)
        return false;
    struct status_writer writer = {.entry = entry, .scratch = entry->hub->scratch};
    hook(obj, &writer);
    CHECK(!writer.open);
    entry->hub->scratch = writer.scratch;
    entry->is_changed |= writer.has_changed || !entry->block;
    entry->hub->is_changed |= entry->is_changed;
    return writer.has_changed;
}

const char *status_entry_field(const struct status_entry *entry, const char *name, size_t name_len, size_t *json_len)
{
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct field_state *field = &entry->fields[i];
        if (field->kind == FIELD_NONE || field->name_len != name_len || memcmp(field->name, name, name_len) != 0)
            continue;
        *json_len = field->json.len_bytes;
        return field->json.data;
    }
    return NULL;
}

const char *status_entry_next(const struct status_entry *entry, size_t *cursor)
{
    while (*cursor < entry->field_count) {
        const struct field_state *field = &entry->fields[(*cursor)++];
        if (field->kind != FIELD_NONE)
            return field->name;
    }
    return NULL;
}

void status_entry_json(const struct status_entry *entry, struct strbuf *out)
{
    strbuf_addc(out, '{');
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct field_state *field = &entry->fields[i];
        if (i)
            strbuf_adds(out, ", ");
        strbuf_add_json_string(out, field->name, field->name_len);
        strbuf_adds(out, ": ");
        strbuf_add(out, field->json.data, field->json.len_bytes);
    }
    strbuf_addc(out, '}');
}

/* --- publishing --- */

static struct object_block *build_block(const struct status_entry *entry)
{
    size_t name_len = strlen(entry->name), text_bytes = name_len + 1;
    for (size_t i = 0; i < entry->field_count; i++)
        text_bytes += entry->fields[i].name_len + 1 + entry->fields[i].json.len_bytes + 1;
    size_t head = sizeof(struct object_block) + entry->field_count * sizeof(struct status_field);
    struct object_block *block = mem_alloc(head + text_bytes);
    struct status_field *fields = (struct status_field *)(block + 1);
    char *text = (char *)block + head;
    memcpy(text, entry->name, name_len + 1);
    block->ref_count = 1;
    block->pub = (struct status_object){
        .name = text, .name_len = name_len, .field_count = entry->field_count, .fields = fields};
    text += name_len + 1;
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct field_state *from = &entry->fields[i];
        fields[i] = (struct status_field){.name_len = from->name_len, .json_len = from->json.len_bytes,
                                          .version = from->version};
        fields[i].name = memcpy(text, from->name, from->name_len + 1);
        text += from->name_len + 1;
        fields[i].json = memcpy(text, from->json.data, from->json.len_bytes + 1);
        text += from->json.len_bytes + 1;
        if (from->version > block->pub.version)
            block->pub.version = from->version;
    }
    return block;
}

/* The first one nobody reads: with quick readers two slots take turns, and old texts do not pile up in the others. */
static struct slot *free_slot(struct status_hub *hub, unsigned published, unsigned *index)
{
    for (unsigned i = 0; i < STATUS_SNAPSHOTS_MAX; i++) {
        *index = i;
        if (i != published && atomic_load(&hub->slots[i].reader_count) == 0)
            return &hub->slots[i];
    }
    return NULL;
}

bool status_publish(struct status_hub *hub, double eventtime_s)
{
    if (!hub || !hub->is_changed)
        return false;
    unsigned published = atomic_load(&hub->published), index;
    struct slot *slot = free_slot(hub, published, &index);
    if (!slot)
        return false; /* readers hold them all: what has changed goes out with the next publish */
    slot_clear(slot);
    slot->objects = MEM_ARRAY(struct object_block *, hub->entry_count ? hub->entry_count : 1);
    for (size_t i = 0; i < hub->entry_count; i++) {
        struct status_entry *entry = hub->entries[i];
        if (entry->is_changed || !entry->block) {
            block_release(entry->block);
            entry->block = build_block(entry);
            entry->is_changed = false;
        }
        entry->block->ref_count++;
        slot->objects[i] = entry->block;
    }
    slot->pub = (struct status_snapshot){
        .version = hub->slots[published].pub.version + 1,
        .generation = hub->generation,
        .eventtime_s = eventtime_s,
        .object_count = hub->entry_count,
        .objects = (const struct status_object *const *)(const void *)slot->objects};
    hub->is_changed = false;
    uint64_t version = slot->pub.version;
    atomic_store(&hub->published, index);
    if (hub->listener)
        hub->listener(hub->listener_ctx, version);
    return true;
}
