/* Any bytes as a board's data dictionary, plain and compressed: it ends, it is refused with a text or taken whole, and
 * what was taken can be used. */
#include "base/check.h"
#include "base/mem.h"
#include "firmware/proto/frame.h"
#include "motion/link/dict.h"

#include <string.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_name(void *ctx, const char *name, int32_t value)
{
    (void)value;
    size_t *left = ctx;
    *left -= *left > 0 && name[0];
}

static void use(const struct dict *dict)
{
    static const char *const lines[] = {"queue_step oid=1 interval=0x7fffffff count=2 add=-3",
                                        "set_digital_out pin=PA3 value=1", "spi_send oid=3 data=00ff",
                                        "identify offset=0 count=40"};
    uint8_t msg[FRAME_PAYLOAD_MAX];
    size_t len, left = 1000;
    char scratch[64];
    struct err_info info;
    for (size_t i = 0; i < ARRAY_COUNT(lines); i++)
        if (dict_encode_text(dict, lines[i], msg, sizeof(msg), &len, &info) == OK)
            CHECK(len <= sizeof(msg) && dict_message(dict, msg, len, NULL));
    int pins = dict_enum(dict, "pin");
    dict_enum_each(dict, pins, use_name, &left);
    for (int32_t v = -2; v < 300; v++)
        (void)dict_enum_name(dict, pins, v, scratch);
    for (size_t i = 0; i < dict_constant_count(dict); i++)
        CHECK(dict_constant(dict, dict_constant_at(dict, i)->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dict *dict;
    struct err_info info = {{0}};
    if (dict_parse_json((const char *)data, size, &dict, &info) == OK) {
        use(dict);
        dict_destroy(dict);
    } else {
        CHECK(info.text[0]);
    }
    if (dict_parse_blob(data, size, &dict, &info) == OK)
        dict_destroy(dict);
    uLongf packed_bytes = compressBound(size);
    uint8_t *packed = mem_alloc(packed_bytes);
    CHECK(compress2(packed, &packed_bytes, data, size, 1) == Z_OK);
    if (packed_bytes > 8 && size > 0)
        packed[data[0] % packed_bytes] ^= data[size / 2]; /* often nothing, often damage */
    if (dict_parse_blob(packed, packed_bytes, &dict, &info) == OK) {
        use(dict);
        dict_destroy(dict);
    }
    mem_free(packed);
    return 0;
}
