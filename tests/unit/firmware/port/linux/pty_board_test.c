/* A board behind a pseudo terminal, in real time. */
#include "firmware/port/linux/pty_board.h"

#include "tests/sim/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_dir(char dir[64])
{
    strcpy(dir, "/tmp/lockstep-pty-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

/* Read until a message of that name has come; at most five seconds. */
static bool wait_for(int fd, struct wire_dict *dict, const char *name, struct wire_stream *stream)
{
    for (int tries = 0; tries < 500; tries++) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        uint8_t data[256], block[WIRE_BLOCK_MAX];
        if (poll(&p, 1, 10) > 0) {
            ssize_t len = read(fd, data, sizeof(data));
            wire_stream_add(stream, data, len > 0 ? (size_t)len : 0);
        }
        struct wire_msg msg;
        for (size_t n; (n = wire_stream_next(stream, block)) > 0;) {
            if (wire_decode(dict, block + 2, n - 5, &msg) && !strcmp(msg.name, name))
                return true;
        }
    }
    return false;
}

static void answers_in_real_time(void **state)
{
    (void)state;
    char dir[64], path[128];
    make_dir(dir);
    snprintf(path, sizeof(path), "%s/board", dir);
    struct pty_board *pty;
    struct err_info info;
    if (pty_board_create(&pty, path, NULL, &info) != OK)
        fail_msg("%s", info.text);
    struct runtime *rt = runtime_create_real();
    runtime_add(rt, pty_board_actor(pty), NULL);
    const char *json = sim_board_dictionary(pty_board_board(pty));
    struct wire_dict *dict = wire_dict_create(json, strlen(json));
    struct wire_stream stream = {0};
    for (int visit = 0; visit < 2; visit++) { /* a host may leave and come back: the board goes on */
        int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK);
        assert_true(fd >= 0);
        uint8_t payload[64], block[WIRE_BLOCK_MAX];
        size_t n = wire_encode(dict, "get_config", payload, sizeof(payload));
        size_t len = wire_block(block, (unsigned)visit, payload, n);
        assert_int_equal(write(fd, block, len), len);
        assert_true(wait_for(fd, dict, "config", &stream));
        close(fd);
    }
    runtime_remove(rt, pty_board_actor(pty));
    runtime_destroy(rt);
    pty_board_destroy(pty);
    struct stat st;
    assert_int_equal(lstat(path, &st), -1);
    wire_dict_destroy(dict);
    rmdir(dir);
}

static void links_are_made_with_care(void **state)
{
    (void)state;
    char dir[64], path[128];
    struct pty_board *pty, *second;
    struct err_info info;
    make_dir(dir);
    snprintf(path, sizeof(path), "%s/no/board", dir);
    assert_int_equal(pty_board_create(&pty, path, NULL, &info), ERR_IO);
    assert_non_null(strstr(info.text, path));
    snprintf(path, sizeof(path), "%s/file", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(pty_board_create(&pty, path, NULL, &info), ERR_EXISTS); /* never replaces a file */
    unlink(path);
    /* a left-over link is replaced; the first board then leaves the second's link alone */
    assert_int_equal(pty_board_create(&pty, path, NULL, &info), OK);
    assert_int_equal(pty_board_create(&second, path, NULL, &info), OK);
    pty_board_destroy(pty);
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    pty_board_destroy(second);
    assert_int_equal(lstat(path, &st), -1);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_in_real_time),
        cmocka_unit_test(links_are_made_with_care),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
