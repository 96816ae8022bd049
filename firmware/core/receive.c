/* The receiver: bytes to blocks, acknowledgement, resynchronisation (docs/protocol.md, receiver rules). */
#include "firmware/core/internal.h"

void mcu_send_ack(struct mcu *m)
{
    uint8_t block[FRAME_MAX_BYTES];
    (void)port_send(m->setup.port, block, frame_build(block, m->expected_seq, NULL, 0));
}

static void consume(struct mcu *m, size_t count)
{
    for (size_t i = count; i < m->rx_bytes; i++)
        m->rx[i - count] = m->rx[i];
    m->rx_bytes -= count;
}

/* Drop input through the next sync byte. false: it has not come yet. */
static bool skip_to_sync(struct mcu *m)
{
    for (size_t i = 0; i < m->rx_bytes; i++) {
        if (m->rx[i] == FRAME_SYNC) {
            consume(m, i + 1);
            m->is_skipping = false;
            return true;
        }
    }
    m->rx_bytes = 0;
    return false;
}

static void accept_block(struct mcu *m, size_t len)
{
    m->is_nak_sent = false;
    if (m->rx[1] != m->expected_seq) {
        consume(m, len);
        mcu_send_ack(m); /* still carries the expected number: a nak */
        return;
    }
    m->expected_seq = (uint8_t)(((m->expected_seq + 1) & FRAME_SEQ_MASK) | FRAME_SEQ_FLAG);
    bool is_whole = command_dispatch(m, m->rx + FRAME_HEADER_BYTES, len - FRAME_HEADER_BYTES - FRAME_TRAILER_BYTES);
    if (m->is_input_stopped)
        return;
    if (!is_whole && m->setup.has_no_ack_at_shutdown) {
        m->is_input_stopped = true;
        return;
    }
    consume(m, len);
    mcu_send_ack(m);
}

/* Deal with what stands at the front of the buffer; false: more bytes are needed. */
static bool receive_step(struct mcu *m)
{
    if (m->is_skipping)
        return skip_to_sync(m);
    if (m->rx_bytes < FRAME_MIN_BYTES)
        return false;
    if (m->rx[0] == FRAME_SYNC) {
        consume(m, 1);
        return true;
    }
    size_t len;
    switch (frame_check(m->rx, m->rx_bytes, &len)) {
    case FRAME_NEED_MORE:
        return false;
    case FRAME_GOOD:
        accept_block(m, len);
        return !m->is_input_stopped;
    case FRAME_BAD:
    default:
        m->is_skipping = true;
        if (!m->is_nak_sent) {
            m->is_nak_sent = true;
            mcu_send_ack(m);
        }
        return true;
    }
}

void mcu_receive(struct mcu *m, const uint8_t *data, size_t len_bytes)
{
    m->is_input_stopped = false;
    while (len_bytes) {
        size_t take = MCU_RX_BYTES - m->rx_bytes;
        if (take > len_bytes)
            take = len_bytes;
        for (size_t i = 0; i < take; i++)
            m->rx[m->rx_bytes++] = *data++;
        len_bytes -= take;
        while (receive_step(m))
            continue;
        if (m->is_input_stopped) { /* reset, or a board that forgets its input when it shuts down */
            m->rx_bytes = 0;
            return;
        }
    }
}
