/* What the files of the core share among themselves. */
#ifndef FIRMWARE_CORE_INTERNAL_H
#define FIRMWARE_CORE_INTERNAL_H

#include "firmware/core/mcu.h"

/* Fixed first entries of core_module's tables: their numbers are part of the protocol. */
enum core_fault {
    CORE_ALREADY_FINALIZED,
    CORE_CANT_ASSIGN_OID,
    CORE_COMMAND_PARSER,
    CORE_COMMAND_REQUEST,
    CORE_INVALID_COMMAND,
    CORE_INVALID_MOVE_SIZE,
    CORE_INVALID_OID_TYPE,
    CORE_MOVE_OVERFLOW,
    CORE_RESCHEDULED,
    CORE_NOT_SHUT_DOWN,
    CORE_TIMER_CLOSE,
    CORE_ALLOC_CHUNK,
    CORE_ALLOC_CHUNKS,
    CORE_RESET_NOT_SHUT_DOWN,
    CORE_OIDS_ALLOCATED,
    CORE_FAULT_COUNT
};
extern const struct fault core_faults[CORE_FAULT_COUNT];

enum core_response {
    CORE_IDENTIFY_RESPONSE, /* message 0 */
    CORE_UPTIME,
    CORE_CLOCK,
    CORE_CONFIG,
    CORE_STATS,
    CORE_STARTING,
    CORE_SHUTDOWN,
    CORE_IS_SHUTDOWN,
    CORE_PONG,
    CORE_DEBUG_RESULT,
    CORE_RESPONSE_COUNT
};
extern const struct response core_responses[CORE_RESPONSE_COUNT];

/* Kinds of fields in a message format. */
enum param { PARAM_U32, PARAM_I32, PARAM_U16, PARAM_I16, PARAM_BYTE, PARAM_BUFFER, PARAM_END };
/* The kind of the next field of `*format`, which then points past it; PARAM_END at the end. */
enum param format_next_param(const char **format);

/* Execute a pending fault; true if there was one. */
bool fault_take(struct mcu *m);
void mcu_drop_timers(struct mcu *m);
void move_pool_reset(struct mcu *m);
void move_pool_create(struct mcu *m);
/* Take memory without asking whether the configuration is still open; NULL if there is not enough. */
void *mcu_grab(struct mcu *m, size_t size_bytes);
/* Run the commands of a payload. false: a fault or reset cut it short. */
bool command_dispatch(struct mcu *m, const uint8_t *payload, size_t len_bytes);
void command_build_slots(struct mcu *m);
size_t command_slot_count(const struct module *const *modules, size_t module_count);
/* Forget configuration and shutdown. */
void mcu_forget_config(struct mcu *m);
void mcu_send_ack(struct mcu *m);

#endif
