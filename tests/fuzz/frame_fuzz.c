/* Any bytes as what a board sends: the session neither overruns nor lets numbers run ahead, and goes on working. The
 * same bytes as messages: decoding ends and what decodes encodes again. */
#include "base/check.h"
#include "firmware/proto/frame.h"
#include "motion/link/msgfmt.h"
#include "motion/link/session.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_reply(void *ctx, const uint8_t *payload, size_t len, struct host_ns sent, struct host_ns received)
{
    (void)sent;
    (void)received;
    CHECK(payload && len > 0 && len <= FRAME_PAYLOAD_MAX);
    (*(size_t *)ctx)++;
}

static void on_stray(void *ctx, const uint8_t *payload, size_t len)
{
    (void)ctx;
    CHECK(payload && len > 0 && len <= FRAME_PAYLOAD_MAX);
}

/* The first byte of each stretch says how it is fed: as it is, or inside a block with a good checksum. */
static void feed(struct session *s, const uint8_t *data, size_t size, struct host_ns *now)
{
    while (size > 1) {
        size_t len = 1 + data[0] % FRAME_PAYLOAD_MAX;
        len = len < size - 1 ? len : size - 1;
        uint8_t block[FRAME_MAX_BYTES];
        const uint8_t *frame;
        size_t frame_bytes;
        now->ns += (int64_t)data[0] * 1000000;
        if (data[0] & 0x40)
            session_receive(s, block, frame_build(block, data[0] >> 2, data + 1, data[0] & 0x80 ? 0 : len), *now);
        else
            session_receive(s, data + 1, len, *now);
        if (session_resend_due(s, *now)) {
            uint8_t out[SESSION_RESEND_BYTES_MAX];
            CHECK(session_take_resend(s, *now, out) <= sizeof(out));
        }
        if (session_can_send(s, data[0] & 1))
            session_send(s, data + 1, len, *now, &frame, &frame_bytes);
        CHECK(s->receive_seq <= s->send_seq && s->sent_count <= SESSION_WINDOW_URGENT);
        CHECK(session_done_seq(s) <= s->send_seq);
        data += len + 1;
        size -= len + 1;
    }
}

static void decode(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct board_format format;
    uint32_t value[MSGFMT_FIELDS_MAX];
    const uint8_t *buffer;
    size_t buffer_bytes;
    char text[MSGFMT_TEXT_MAX + 1];
    size_t text_bytes = strnlen((const char *)data, size < MSGFMT_TEXT_MAX ? size : MSGFMT_TEXT_MAX);
    memcpy(text, data, text_bytes);
    text[text_bytes] = 0;
    arena_init(&arena, 0);
    for (int is_output = 0; is_output < 2; is_output++)
        if (msgfmt_parse(text, 7, is_output, &arena, &format, NULL) == OK)
            (void)msgfmt_decode(&format, data, size < FRAME_PAYLOAD_MAX ? size : FRAME_PAYLOAD_MAX, value, &buffer,
                                &buffer_bytes);
    arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session session;
    struct host_ns now = {NS_PER_S};
    size_t replies = 0;
    session_init(&session, on_reply, on_stray, &replies);
    feed(&session, data, size, &now);
    decode(data, size);
    return 0;
}
