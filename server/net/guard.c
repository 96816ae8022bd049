#include "server/net/guard.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define NAMES_MAX 64

struct guard {
    char *cors[NAMES_MAX + 1];
    char *names[NAMES_MAX + 1];
    char hostname[256];
};

static void copy_list(char *out[NAMES_MAX + 1], const char *const *list)
{
    for (size_t i = 0; list && list[i] && i < NAMES_MAX; i++)
        out[i] = mem_strdup(list[i]);
}

struct guard *guard_create(const char *const *cors_domains, const char *const *host_names)
{
    struct guard *guard = MEM_NEW(struct guard);
    copy_list(guard->cors, cors_domains);
    copy_list(guard->names, host_names);
    (void)!gethostname(guard->hostname, sizeof guard->hostname - 1);
    return guard;
}

void guard_destroy(struct guard *guard)
{
    if (!guard)
        return;
    for (size_t i = 0; i < NAMES_MAX; i++) {
        mem_free(guard->cors[i]);
        mem_free(guard->names[i]);
    }
    mem_free(guard);
}

static bool v4_is_private(uint32_t a)
{
    return (a >> 24) == 127 || (a >> 24) == 10 || (a >> 20) == 0xac1 || (a >> 16) == 0xc0a8 || (a >> 16) == 0xa9fe;
}

bool guard_address_is_private(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return v4_is_private(ntohl(v4.s_addr));
    char bare[64];
    snprintf(bare, sizeof bare, "%.*s", (int)strcspn(address, "%"), address); /* without the zone */
    if (inet_pton(AF_INET6, bare, &v6) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6)) {
        uint32_t mapped;
        memcpy(&mapped, &v6.s6_addr[12], 4);
        return v4_is_private(ntohl(mapped));
    }
    return IN6_IS_ADDR_LOOPBACK(&v6) || IN6_IS_ADDR_LINKLOCAL(&v6) || (v6.s6_addr[0] & 0xfe) == 0xfc;
}

/* The name of "name", "name:port", "[v6]" or "[v6]:port"; false if it is none of these. */
static bool bare_host(const char *host, char out[256])
{
    bool is_bracketed = host[0] == '[';
    const char *name = host + is_bracketed;
    size_t len = strcspn(name, is_bracketed ? "]" : ":/");
    const char *rest = name + len;
    if (len == 0 || len > 255 || (is_bracketed && *rest++ != ']'))
        return false;
    if (*rest && (*rest != ':' || rest[1 + strspn(rest + 1, "0123456789")]))
        return false;
    memcpy(out, name, len);
    out[len] = 0;
    if (len > 1 && out[len - 1] == '.') /* "localhost." is the same name */
        out[len - 1] = 0;
    return true;
}

static bool is_address(const char *name)
{
    unsigned char any[16];
    return inet_pton(AF_INET, name, any) == 1 || inet_pton(AF_INET6, name, any) == 1;
}

static bool is_localhost(const char *name)
{
    size_t len = strlen(name);
    return strcasecmp(name, "localhost") == 0 || (len > 10 && strcasecmp(name + len - 10, ".localhost") == 0);
}

static bool is_own_name(const struct guard *guard, const char *name)
{
    static const char *const ENDINGS[] = {"", ".local", ".lan", ".home.arpa", ".internal"};
    size_t len = strlen(guard->hostname);
    if (len == 0 || strncasecmp(name, guard->hostname, len) != 0)
        return false;
    for (size_t i = 0; i < sizeof ENDINGS / sizeof ENDINGS[0]; i++)
        if (strcasecmp(name + len, ENDINGS[i]) == 0)
            return true;
    return false;
}

bool guard_host_is_ours(const struct guard *guard, const char *host)
{
    char name[256];
    if (!host)
        return true;
    if (!bare_host(host, name))
        return false;
    if (is_address(name) || is_localhost(name) || is_own_name(guard, name))
        return true;
    for (size_t i = 0; guard->names[i]; i++)
        if (strcasecmp(guard->names[i], name) == 0)
            return true;
    return false;
}

/* Does `text` match `pattern`, in which '*' stands for any run of characters? Linear: backtracks to the last star only. */
static bool matches(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == 0;
}

bool guard_origin_is_allowed(const struct guard *guard, const char *origin, const char *host)
{
    char name[256];
    if (!origin)
        return true;
    const char *authority = strstr(origin, "://");
    if (!authority) /* "null": a sandbox or a file */
        return false;
    size_t scheme_len = (size_t)(authority - origin);
    authority += 3;
    if (strlen(authority) > 255 || strchr(authority, '/') ||
        !((scheme_len == 4 && strncasecmp(origin, "http", 4) == 0) || (scheme_len == 5 && strncasecmp(origin, "https", 5) == 0)))
        return false;
    if (host && strcasecmp(authority, host) == 0)
        return true;
    for (size_t i = 0; guard->cors[i]; i++)
        if (matches(guard->cors[i], origin) || matches(guard->cors[i], authority))
            return true;
    return bare_host(authority, name) && (is_localhost(name) || guard_address_is_private(name));
}

bool guard_is_cross_site(const char *origin, const char *sec_fetch_site)
{
    return !origin && sec_fetch_site && strcasecmp(sec_fetch_site, "cross-site") == 0;
}
