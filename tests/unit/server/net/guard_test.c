#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/rng.h"
#include "server/net/guard.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Private ranges written as first and last address: another way to say what the guard says with shifts. */
static bool is_private_by_table(uint32_t a)
{
    static const char *const RANGES[][2] = {{"10.0.0.0", "10.255.255.255"}, {"172.16.0.0", "172.31.255.255"},
                                            {"192.168.0.0", "192.168.255.255"}, {"127.0.0.0", "127.255.255.255"},
                                            {"169.254.0.0", "169.254.255.255"}};
    for (size_t i = 0; i < sizeof RANGES / sizeof RANGES[0]; i++)
        if (a >= ntohl(inet_addr(RANGES[i][0])) && a <= ntohl(inet_addr(RANGES[i][1])))
            return true;
    return false;
}

static void knows_private_addresses(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)getpid();
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    static const uint32_t EDGES[] = {0x0a000000, 0xac100000, 0xac200000, 0xc0a80000, 0xc0a90000, 0x7f000000, 0x80000000, 0xa9fe0000, 0xa9ff0000, 0x0b000000};
    for (int i = 0; i < 100000; i++) {
        uint32_t a = i % 2 ? (uint32_t)rng_u64(&rng) : EDGES[rng_below(&rng, 10)] + (uint32_t)rng_below(&rng, 5) - 2;
        struct in_addr in = {htonl(a)};
        char text[80], mapped[100] = "::ffff:";
        inet_ntop(AF_INET, &in, text, sizeof text);
        assert_int_equal(guard_address_is_private(text), is_private_by_table(a));
        strcat(mapped, text);
        assert_int_equal(guard_address_is_private(mapped), is_private_by_table(a));
    }
    static const char *const PRIVATE[] = {"::1", "fe80::1", "fe80::1%eth0", "fd00::5", "fc00::1"};
    static const char *const PUBLIC[] = {"::", "2001:db8::1", "fb00::1", "fec0::1", "", "localhost", "127.0.0.1.evil", "1270.0.0.1", "::ffff:8.8.8.8"};
    for (size_t i = 0; i < sizeof PRIVATE / sizeof PRIVATE[0]; i++)
        assert_true(guard_address_is_private(PRIVATE[i]));
    for (size_t i = 0; i < sizeof PUBLIC / sizeof PUBLIC[0]; i++)
        assert_false(guard_address_is_private(PUBLIC[i]));
}

static void knows_its_names(void **state)
{
    (void)state;
    static const char *const names[] = {"printer.example", NULL};
    struct guard *guard = guard_create(NULL, names);
    char hostname[256] = "", local[300];
    gethostname(hostname, sizeof hostname - 1);
    strcpy(local, hostname);
    strcat(local, ".LOCAL:80");
    static const char *const OURS[] = {"127.0.0.1", "127.0.0.1:7125", "[::1]", "[fe80::1]:80", "8.8.8.8", "LocalHost:1", "a.localhost",
                                       "localhost.", "printer.example", "PRINTER.example:99"};
    static const char *const FOREIGN[] = {"", ":", "[", "[]", "evil", "printer.example.evil", "xprinter.example", "localhost.evil", "notlocalhost",
                                          "127.0.0.1.nip.io", "256.0.0.1", "[::1].evil.example"};
    assert_true(guard_host_is_ours(guard, NULL));
    assert_true(guard_host_is_ours(guard, hostname) && guard_host_is_ours(guard, local));
    for (size_t i = 0; i < sizeof OURS / sizeof OURS[0]; i++)
        if (!guard_host_is_ours(guard, OURS[i]))
            fail_msg("refused: %s", OURS[i]);
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        if (guard_host_is_ours(guard, FOREIGN[i]))
            fail_msg("let in: %s", FOREIGN[i]);
    guard_destroy(guard);
}

static void knows_origins(void **state)
{
    (void)state;
    static const char *const cors[] = {"https://app.example", "*://*.my.example:*", NULL};
    struct guard *guard = guard_create(cors, NULL);
    static const char *const ALLOWED[] = {"http://printer.lan:7125", "https://printer.lan:7125", "https://app.example", "http://a.my.example:8080",
                                          "http://10.0.0.3", "http://[fd00::1]:80", "http://localhost:3000"};
    static const char *const FOREIGN[] = {"http://app.example", "https://app.example.evil", "http://my.example.evil:80", "null", "", "http://",
                                          "ftp://10.0.0.3", "http://8.8.8.8", "http://evil/#localhost", "http://localhost.evil", "http://10.0.0.3.evil",
                                          "http://printer.lan:80", "javascript://localhost"};
    assert_true(guard_origin_is_allowed(guard, NULL, "printer.lan:7125"));
    for (size_t i = 0; i < sizeof ALLOWED / sizeof ALLOWED[0]; i++)
        if (!guard_origin_is_allowed(guard, ALLOWED[i], "printer.lan:7125"))
            fail_msg("refused: %s", ALLOWED[i]);
    for (size_t i = 0; i < sizeof FOREIGN / sizeof FOREIGN[0]; i++)
        if (guard_origin_is_allowed(guard, FOREIGN[i], "printer.lan:7125"))
            fail_msg("let in: %s", FOREIGN[i]);
    assert_true(guard_is_cross_site(NULL, "cross-site"));
    assert_false(guard_is_cross_site("http://x", "cross-site") || guard_is_cross_site(NULL, "same-origin") || guard_is_cross_site(NULL, NULL));
    guard_destroy(guard);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_private_addresses),
        cmocka_unit_test(knows_its_names),
        cmocka_unit_test(knows_origins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
