/* Methods that clients offer to macros: a WebSocket client that is an agent registers a name
 * (connection.register_remote_method), action_call_remote_method sends it a request of that name. Any thread. */
#ifndef API_REMOTE_METHODS_H
#define API_REMOTE_METHODS_H

#include "base/err.h"

#include <stdint.h>

#define REMOTE_METHODS_MAX           256
#define REMOTE_METHOD_NAME_BYTES_MAX 128

struct remote_methods;

struct remote_methods *remote_methods_create(void);
void remote_methods_destroy(struct remote_methods *methods); /* NULL allowed */
/* The same name by the same connection again is fine. ERR_STATE: another one has it. ERR_LIMIT. */
enum err remote_methods_add(struct remote_methods *methods, const char *name, uint64_t connection_id,
                            struct err_info *info) ERR_NODISCARD;
void remote_methods_forget(struct remote_methods *methods, uint64_t connection_id);
uint64_t remote_methods_find(struct remote_methods *methods, const char *name); /* the connection; 0: nobody */

#endif
