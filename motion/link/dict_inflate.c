/* zlib, wrapped: the dictionary's compressed form. */
#include "motion/link/dict_impl.h"

#include <string.h>
#include <zlib.h>

static enum err inflate_all(z_stream *z, char *out, size_t cap_bytes, struct err_info *info)
{
    z->next_out = (Bytef *)out;
    z->avail_out = (uInt)cap_bytes;
    int result = inflate(z, Z_FINISH);
    if (result == Z_STREAM_END)
        return OK;
    if (z->avail_out == 0 && (result == Z_BUF_ERROR || result == Z_OK))
        return err_set(info, ERR_LIMIT, "data dictionary unpacks to more than %d bytes", DICT_JSON_BYTES_MAX);
    return err_set(info, ERR_INVALID, "data dictionary is damaged: %s", z->msg ? z->msg : "it ends too early");
}

enum err dict_inflate(const uint8_t *blob, size_t blob_bytes, char **json, size_t *json_bytes, struct err_info *info)
{
    if (blob_bytes == 0)
        return err_set(info, ERR_INVALID, "data dictionary is empty");
    if (blob_bytes > DICT_BLOB_BYTES_MAX)
        return err_set(info, ERR_LIMIT, "data dictionary is longer than %d bytes", DICT_BLOB_BYTES_MAX);
    z_stream z;
    memset(&z, 0, sizeof(z));
    z.next_in = (z_const Bytef *)blob;
    z.avail_in = (uInt)blob_bytes;
    if (inflateInit(&z) != Z_OK)
        return err_set(info, ERR_LIMIT, "no memory to unpack the data dictionary");
    /* Boards compress about 1:3. Begin with a room that fits most, so that a small board costs little. */
    size_t cap = blob_bytes < DICT_JSON_BYTES_MAX / 8 ? blob_bytes * 8 : DICT_JSON_BYTES_MAX;
    char *out = mem_alloc(cap);
    enum err err = inflate_all(&z, out, cap, info);
    if (err == ERR_LIMIT && cap < DICT_JSON_BYTES_MAX) {
        inflateReset(&z);
        z.next_in = (z_const Bytef *)blob;
        z.avail_in = (uInt)blob_bytes;
        out = mem_realloc(out, DICT_JSON_BYTES_MAX);
        err = inflate_all(&z, out, DICT_JSON_BYTES_MAX, info);
    }
    size_t len = z.total_out;
    inflateEnd(&z);
    if (err) {
        mem_free(out);
        return err;
    }
    *json = out;
    *json_bytes = len;
    return OK;
}

uint32_t dict_crc32(const void *data, size_t size_bytes)
{
    return (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size_bytes);
}
