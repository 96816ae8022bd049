/* Who may talk to us. Browsers are the danger: any page on the Internet can make one send requests here, and by DNS
 * rebinding even read the answers. Pure; any thread. */
#ifndef NET_GUARD_H
#define NET_GUARD_H

#include <stdbool.h>

struct guard;

/* cors_domains, host_names: as in net_options; copied. */
struct guard *guard_create(const char *const *cors_domains, const char *const *host_names);
void guard_destroy(struct guard *guard); /* NULL allowed */

/* Loopback, link-local and private ranges of IPv4 and IPv6 (RFC 1918, 3927, 4193, 4291), numeric text. */
bool guard_address_is_private(const char *address);

/* Is `host` (the Host header) a name of this machine: an address, localhost, our host name (alone, .local, .lan,
 * .home.arpa) or one that was configured? Any other name could be an attacker's that points here. NULL: no header, fine. */
bool guard_host_is_ours(const struct guard *guard, const char *host);

/* May a page of `origin` use us? Our own page, private addresses, localhost, and what cors_domains names. NULL: fine. */
bool guard_origin_is_allowed(const struct guard *guard, const char *origin, const char *host);

/* A request without an Origin that a foreign page caused all the same (an <img>, a link): by Sec-Fetch-Site. */
bool guard_is_cross_site(const char *origin, const char *sec_fetch_site);

#endif
