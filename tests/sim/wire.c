#include "tests/sim/wire.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    const char *format;
    unsigned id; /* as on the wire, 0..16383 */
};

struct wire_dict {
    json_t *root;
    struct entry *entries;
    size_t count;
};

/* --- dictionary --- */

static void add_entries(struct wire_dict *dict, const char *key)
{
    const char *format;
    json_t *id;
    json_object_foreach(json_object_get(dict->root, key), format, id)
    {
        dict->entries = realloc(dict->entries, (dict->count + 1) * sizeof(*dict->entries));
        long value = (long)json_integer_value(id);
        /* the dictionary stores what a VLQ decoder makes of the id bytes: undo the sign */
        unsigned wire = value >= 0     ? (unsigned)value
                        : value >= -32 ? (unsigned)(value + 128)
                                       : (unsigned)(value + 16384);
        dict->entries[dict->count++] = (struct entry){format, wire};
    }
}

struct wire_dict *wire_dict_create(const char *json, size_t len_bytes)
{
    json_t *root = json_loadb(json, len_bytes, 0, NULL);
    if (!root)
        return NULL;
    struct wire_dict *dict = calloc(1, sizeof(*dict));
    dict->root = root;
    add_entries(dict, "commands");
    add_entries(dict, "responses");
    add_entries(dict, "output");
    return dict;
}

void wire_dict_destroy(struct wire_dict *dict)
{
    if (!dict)
        return;
    json_decref(dict->root);
    free(dict->entries);
    free(dict);
}

double wire_constant(const struct wire_dict *dict, const char *name, double fallback)
{
    json_t *value = json_object_get(json_object_get(dict->root, "config"), name);
    return json_is_number(value) ? json_number_value(value) : fallback;
}

static size_t stem_length(const char *name)
{
    size_t len = strlen(name);
    while (len && isdigit((unsigned char)name[len - 1]))
        len--;
    return len;
}

long wire_enum_value(const struct wire_dict *dict, const char *enumeration, const char *name)
{
    json_t *table = json_object_get(json_object_get(dict->root, "enumerations"), enumeration);
    json_t *exact = json_object_get(table, name);
    if (json_is_integer(exact))
        return (long)json_integer_value(exact);
    const char *first;
    json_t *range;
    json_object_foreach(table, first, range)
    {
        size_t stem = stem_length(first);
        if (!json_is_array(range) || strncmp(first, name, stem) != 0 || stem_length(name) != stem)
            continue;
        long offset = atol(name + stem) - atol(first + stem);
        if (offset >= 0 && offset < (long)json_integer_value(json_array_get(range, 1)))
            return (long)json_integer_value(json_array_get(range, 0)) + offset;
    }
    return -1;
}

const char *wire_enum_name(const struct wire_dict *dict, const char *enumeration, long value)
{
    json_t *table = json_object_get(json_object_get(dict->root, "enumerations"), enumeration), *v;
    const char *name;
    json_object_foreach(table, name, v)
    {
        if (json_is_integer(v) && json_integer_value(v) == value)
            return name;
    }
    return NULL;
}

/* --- integers --- */

static size_t read_int(const uint8_t *p, size_t len, int64_t *value)
{
    size_t n = 0;
    uint64_t v = 0;
    do {
        if (n >= len || n >= 5)
            return 0;
        if (n == 0 && (p[0] & 0x60) == 0x60)
            v = ~(uint64_t)0 << 5 << 0; /* sign bits above the first five */
        v = n == 0 ? (v | (p[0] & 0x7f)) : (v << 7 | (p[n] & 0x7f));
    } while (p[n++] & 0x80);
    *value = (int64_t)(int32_t)(uint32_t)v;
    return n;
}

static size_t write_int(uint8_t *out, int64_t value)
{
    int32_t v = (int32_t)(uint32_t)value;
    size_t n = 0;
    for (int shift = 28; shift > 0; shift -= 7) {
        int64_t low = -((int64_t)1 << (shift - 2)), high = (int64_t)3 << (shift - 2);
        if (v < low || v >= high)
            out[n++] = (uint8_t)(((uint32_t)(v >> shift) & 0x7f) | 0x80);
    }
    out[n++] = (uint8_t)(v & 0x7f);
    return n;
}

/* --- messages --- */

/* Step through "name field=%u field=%*s": the next field's name and type; false at the end. */
static bool next_field(const char **format, char name[40], char *type)
{
    const char *p = strchr(*format, ' ');
    if (!p)
        return false;
    const char *eq = strchr(++p, '=');
    if (!eq)
        return false;
    snprintf(name, 40, "%.*s", (int)(eq - p), p);
    const char *end = eq + strcspn(eq, " ");
    *type = end[-1] == 's' ? 's' : end[-2] == 'h' ? (end[-1] == 'i' ? 'i' : 'u') : end[-1];
    *format = end;
    return true;
}

static const struct entry *find_id(const struct wire_dict *dict, unsigned id)
{
    for (size_t i = 0; i < dict->count; i++) {
        if (dict->entries[i].id == id)
            return &dict->entries[i];
    }
    return NULL;
}

size_t wire_decode(const struct wire_dict *dict, const uint8_t *p, size_t len_bytes, struct wire_msg *msg)
{
    if (!len_bytes)
        return 0;
    size_t at = 1;
    unsigned id = p[0];
    if (id & 0x80) {
        if (len_bytes < 2)
            return 0;
        id = (id & 0x7f) << 7 | (p[at++] & 0x7f);
    }
    const struct entry *entry = find_id(dict, id);
    if (!entry)
        return 0;
    *msg = (struct wire_msg){.format = entry->format};
    snprintf(msg->name, sizeof(msg->name), "%.*s", (int)strcspn(entry->format, " "), entry->format);
    const char *format = entry->format;
    char type;
    while (msg->field_count < WIRE_FIELDS_MAX && next_field(&format, msg->fields[msg->field_count].name, &type)) {
        struct wire_field *field = &msg->fields[msg->field_count++];
        if (type == 's') {
            if (at >= len_bytes || p[at] > len_bytes - at - 1)
                return 0;
            field->is_buffer = true;
            field->len_bytes = p[at];
            field->data = p + at + 1;
            at += 1u + p[at];
            continue;
        }
        size_t n = read_int(p + at, len_bytes - at, &field->value);
        if (!n)
            return 0;
        if (type != 'i')
            field->value = (int64_t)(uint32_t)field->value;
        at += n;
    }
    return at;
}

int64_t wire_get(const struct wire_msg *msg, const char *field, int64_t fallback)
{
    for (size_t i = 0; i < msg->field_count; i++) {
        if (!strcmp(msg->fields[i].name, field))
            return msg->fields[i].value;
    }
    return fallback;
}

void wire_print(const struct wire_msg *msg, char *out, size_t out_bytes)
{
    size_t at = (size_t)snprintf(out, out_bytes, "%s", msg->name);
    for (size_t i = 0; i < msg->field_count && at < out_bytes; i++) {
        const struct wire_field *f = &msg->fields[i];
        if (!f->is_buffer) {
            at += (size_t)snprintf(out + at, out_bytes - at, " %s=%lld", f->name, (long long)f->value);
            continue;
        }
        at += (size_t)snprintf(out + at, out_bytes - at, " %s=", f->name);
        for (size_t b = 0; b < f->len_bytes && at < out_bytes; b++)
            at += (size_t)snprintf(out + at, out_bytes - at, "%02x", f->data[b]);
    }
}

static size_t encode_hex(const char *hex, uint8_t *out, size_t room)
{
    size_t len = strcspn(hex, " ") / 2;
    if (len + 1 > room)
        return 0;
    out[0] = (uint8_t)len;
    for (size_t i = 0; i < len; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[1 + i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return len + 1;
}

static const struct entry *find_name(const struct wire_dict *dict, const char *text)
{
    size_t len = strcspn(text, " ");
    for (size_t i = 0; i < dict->count; i++) {
        if (strcspn(dict->entries[i].format, " ") == len && !strncmp(dict->entries[i].format, text, len))
            return &dict->entries[i];
    }
    return NULL;
}

size_t wire_encode(const struct wire_dict *dict, const char *text, uint8_t *out, size_t out_bytes)
{
    const struct entry *entry = find_name(dict, text);
    if (!entry || out_bytes < 2)
        return 0;
    size_t at = 0;
    if (entry->id >= 0x80)
        out[at++] = (uint8_t)(entry->id >> 7 | 0x80);
    out[at++] = (uint8_t)(entry->id & 0x7f);
    const char *format = entry->format;
    char name[40], key[42], type;
    while (next_field(&format, name, &type)) {
        snprintf(key, sizeof(key), " %s=", name);
        const char *value = strstr(text, key);
        if (!value || out_bytes - at < 5)
            return 0;
        value += strlen(key);
        size_t n =
            type == 's' ? encode_hex(value, out + at, out_bytes - at) : write_int(out + at, strtoll(value, NULL, 0));
        if (!n)
            return 0;
        at += n;
    }
    return at;
}

/* --- blocks --- */

uint16_t wire_crc(const uint8_t *data, size_t len_bytes)
{
    uint16_t crc = 0xffff; /* bit by bit: reflected 0x8408 */
    for (size_t i = 0; i < len_bytes; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 1 ? crc >> 1 ^ 0x8408 : crc >> 1);
    }
    return crc;
}

size_t wire_block(uint8_t out[WIRE_BLOCK_MAX], unsigned seq, const uint8_t *payload, size_t len_bytes)
{
    out[0] = (uint8_t)(len_bytes + 5);
    out[1] = (uint8_t)(0x10 | (seq & 15));
    if (len_bytes)
        memcpy(out + 2, payload, len_bytes);
    uint16_t crc = wire_crc(out, len_bytes + 2);
    out[len_bytes + 2] = (uint8_t)(crc >> 8);
    out[len_bytes + 3] = (uint8_t)(crc & 0xff);
    out[len_bytes + 4] = 0x7e;
    return len_bytes + 5;
}

void wire_stream_add(struct wire_stream *stream, const uint8_t *data, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes && stream->len_bytes < sizeof(stream->data); i++)
        stream->data[stream->len_bytes++] = data[i];
}

static void stream_drop(struct wire_stream *stream, size_t count)
{
    stream->len_bytes -= count;
    memmove(stream->data, stream->data + count, stream->len_bytes);
}

size_t wire_stream_next(struct wire_stream *stream, uint8_t block[WIRE_BLOCK_MAX])
{
    while (stream->len_bytes) {
        const uint8_t *d = stream->data;
        size_t len = d[0];
        if (len < 5 || len > WIRE_BLOCK_MAX || (stream->len_bytes > 1 && (d[1] & 0xf0) != 0x10)) {
            stream->bad_count += d[0] != 0x7e;
            stream_drop(stream, 1);
            continue;
        }
        if (stream->len_bytes < len)
            return 0;
        if (d[len - 1] != 0x7e || wire_crc(d, len - 3) != (d[len - 3] << 8 | d[len - 2])) {
            stream->bad_count++;
            stream_drop(stream, 1);
            continue;
        }
        memcpy(block, d, len);
        stream_drop(stream, len);
        return len;
    }
    return 0;
}
