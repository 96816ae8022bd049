#include "server/api/access.h"

#include "base/mem.h"
#include "base/rng.h"
#include "server/api/api_private.h"
#include "server/api/handlers.h"
#include "server/store/db.h"

#include <sodium.h>
#include <string.h>

struct token {
    char text[TOKEN_BYTES + 1]; /* "": free */
    char address[48];
    double made_s; /* monotonic */
};

struct tokens {
    pthread_mutex_t lock; /* guards all below */
    struct token tokens[TOKEN_COUNT_MAX];
    char key[API_KEY_BYTES + 1];
    struct db *db;
};

static void make_key(char out[API_KEY_BYTES + 1])
{
    unsigned char secret[API_KEY_BYTES / 2];
    rng_secret(secret, sizeof secret);
    sodium_bin2hex(out, API_KEY_BYTES + 1, secret, sizeof secret);
}

static void store_key(struct tokens *tokens)
{
    json_t *value = json_string(tokens->key);
    (void)!db_put_flat(tokens->db, DB_PRIVATE_NAMESPACE, "api_key", value); /* without it the key changes at each start */
    json_decref(value);
}

struct tokens *tokens_create(struct db *db)
{
    struct tokens *tokens = MEM_NEW(struct tokens);
    pthread_mutex_init(&tokens->lock, NULL);
    tokens->db = db;
    json_t *stored = NULL;
    if (db && db_get_flat(db, DB_PRIVATE_NAMESPACE, "api_key", &stored) == OK &&
        json_string_length(stored) == API_KEY_BYTES) {
        memcpy(tokens->key, json_string_value(stored), API_KEY_BYTES);
    } else {
        make_key(tokens->key);
        if (db)
            store_key(tokens);
    }
    json_decref(stored);
    return tokens;
}

void tokens_destroy(struct tokens *tokens)
{
    if (!tokens)
        return;
    pthread_mutex_destroy(&tokens->lock);
    sodium_memzero(tokens, sizeof *tokens);
    mem_free(tokens);
}

void tokens_make(struct tokens *tokens, const char *address, double now_s, char out[TOKEN_BYTES + 1])
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    unsigned char secret[TOKEN_BYTES];
    rng_secret(secret, sizeof secret);
    for (size_t i = 0; i < TOKEN_BYTES; i++)
        out[i] = ALPHABET[secret[i] & 31];
    out[TOKEN_BYTES] = 0;

    pthread_mutex_lock(&tokens->lock);
    struct token *place = &tokens->tokens[0];
    for (size_t i = 0; i < TOKEN_COUNT_MAX; i++) {
        struct token *token = &tokens->tokens[i];
        if (!token->text[0] || now_s - token->made_s > TOKEN_LIFE_S) {
            place = token;
            break;
        }
        if (token->made_s < place->made_s)
            place = token;
    }
    memcpy(place->text, out, TOKEN_BYTES + 1);
    snprintf(place->address, sizeof place->address, "%s", address);
    place->made_s = now_s;
    pthread_mutex_unlock(&tokens->lock);
}

bool tokens_take(struct tokens *tokens, const char *text, const char *address, double now_s)
{
    if (strlen(text) != TOKEN_BYTES)
        return false;
    bool found = false;
    pthread_mutex_lock(&tokens->lock);
    for (size_t i = 0; i < TOKEN_COUNT_MAX && !found; i++) {
        struct token *token = &tokens->tokens[i];
        if (!token->text[0] || sodium_memcmp(token->text, text, TOKEN_BYTES) != 0)
            continue;
        found = now_s - token->made_s <= TOKEN_LIFE_S && strcmp(token->address, address) == 0;
        token->text[0] = 0; /* shown once is used, also from a wrong place */
    }
    pthread_mutex_unlock(&tokens->lock);
    return found;
}

static double monotonic_s(void)
{
    return (double)clock_monotonic().ns * 1e-9;
}

bool api_token_take(struct api *api, const char *token, const char *address)
{
    return tokens_take(api->tokens, token, address, monotonic_s());
}

bool api_key_matches(struct api *api, const char *key)
{
    if (strlen(key) != API_KEY_BYTES)
        return false;
    pthread_mutex_lock(&api->tokens->lock);
    bool same = sodium_memcmp(api->tokens->key, key, API_KEY_BYTES) == 0;
    pthread_mutex_unlock(&api->tokens->lock);
    return same;
}

/* --- methods --- */

void handle_access_info(struct api_call *call)
{
    strbuf_addf(api_result(call),
                "{\"default_source\":\"moonraker\",\"available_sources\":[\"moonraker\"],\"login_required\":false,"
                "\"trusted\":%s}",
                call->peer.is_allowed ? "true" : "false");
    api_reply(call);
}

void handle_access_oneshot_token(struct api_call *call)
{
    char token[TOKEN_BYTES + 1];
    tokens_make(call->api->tokens, call->peer.address, monotonic_s(), token);
    strbuf_addf(api_result(call), "\"%s\"", token);
    api_reply(call);
}

void handle_access_get_api_key(struct api_call *call)
{
    struct tokens *tokens = call->api->tokens;
    pthread_mutex_lock(&tokens->lock);
    strbuf_addf(api_result(call), "\"%s\"", tokens->key);
    pthread_mutex_unlock(&tokens->lock);
    api_reply(call);
}

void handle_access_post_api_key(struct api_call *call)
{
    struct tokens *tokens = call->api->tokens;
    char key[API_KEY_BYTES + 1];
    make_key(key);
    pthread_mutex_lock(&tokens->lock);
    memcpy(tokens->key, key, sizeof key);
    pthread_mutex_unlock(&tokens->lock);
    store_key(tokens);
    strbuf_addf(api_result(call), "\"%s\"", key);
    api_reply(call);
}

/* There are no accounts: whoever is let in is the trusted user. */
void handle_access_get_user(struct api_call *call)
{
    struct strbuf *out = api_result(call);
    strbuf_adds(out, "{\"username\":\"_TRUSTED_USER_\",\"source\":\"moonraker\",\"created_on\":");
    strbuf_add_json_double(out, call->api->started_s);
    strbuf_addc(out, '}');
    api_reply(call);
}

void handle_access_users_list(struct api_call *call)
{
    strbuf_adds(api_result(call), "{\"users\":[]}");
    api_reply(call);
}
