/* Proof of who asks: the API key and one-time tokens. Any thread. */
#ifndef API_ACCESS_H
#define API_ACCESS_H

#include "server/api/api.h"

#define TOKEN_BYTES 32            /* base32 characters of a one-time token */
#define TOKEN_LIFE_S 5.0          /* wall time */
#define TOKEN_COUNT_MAX 256       /* alive at once; the oldest makes room */
#define API_KEY_BYTES 32          /* hexadecimal characters */

struct tokens;

/* The API key is read from the database, or made and stored. */
struct tokens *tokens_create(struct db *db);
void tokens_destroy(struct tokens *tokens);

/* Take a one-time token: true if it exists, is young enough, was made for this address, and is not used yet. */
bool api_token_take(struct api *api, const char *token, const char *address);
bool api_key_matches(struct api *api, const char *key);

/* For tests: the same with a given time. */
void tokens_make(struct tokens *tokens, const char *address, double now_s, char out[TOKEN_BYTES + 1]);
bool tokens_take(struct tokens *tokens, const char *token, const char *address, double now_s);

#endif
