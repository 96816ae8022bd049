/* Boards that are files: what `plan` writes is framed, in order per lane, full blocks, and decodes to what was sent. */
#include "tests/unit/motion/board_rig.h"

#include "firmware/proto/frame.h"
#include "tests/unit/motion/link/test_files.h"

#include <unistd.h>

#define LANES 5

struct files {
    char path[64];
    char *dictionary;
    size_t dictionary_bytes;
    struct board_lane *lanes[LANES];
    uint64_t commands, command_bytes;
};

static void script_plan(struct rig *rig)
{
    struct files *files = rig->data;
    struct err_info info = {{0}};
    struct board *b = rig->board[0];
    rig_expect_ok(board_connect(b, &info), &info);
    assert_true(board_is_file(b));
    board_config(b, BOARD_CONFIG, "config_stepper oid=%u step_pin=PA2 dir_pin=PA3 invert_step=0 step_pulse_ticks=100",
                 board_oid(b));
    for (size_t i = 0; i < LANES; i++)
        files->lanes[i] = board_lane_create(b, NULL, 16384);
    rig_expect_ok(board_configure(b, true, &info), &info);
    assert_int_equal(board_step_slots(b), 500);
    /* Questions are answered with zeros at once. */
    struct board_reply reply;
    rig_expect_ok(board_query(b, board_command(b, "stepper_get_position oid=%c"), BOARD_ARGS(0), NULL, 0,
                              (struct board_timing){0}, board_response(b, "stepper_position oid=%c pos=%i"), 0, &reply,
                              &info),
                  &info);
    assert_int_equal(board_reply_i32(&reply, "pos"), 0);
    /* Far more than the lanes hold, without ever waiting. */
    const struct board_format *step = board_command(b, "queue_step oid=%c interval=%u count=%hu add=%hi");
    struct board_msg msg;
    for (int i = 0; i < 40000; i++) {
        uint64_t clock = (uint64_t)i * 1000;
        for (int k = 0; k < LANES; k++) {
            assert_int_equal(board_encode(step, BOARD_ARGS(k, i, 3, -k), NULL, 0, &msg), OK);
            struct board_timing timing = {.min_clock = clock, .req_clock = clock + 500, .slot_until = clock + 3000};
            assert_int_equal(board_lane_push(files->lanes[k], &msg, timing), OK);
            files->commands++;
            files->command_bytes += msg.len_bytes;
        }
    }
    assert_int_equal(boards_drain(rig->boards, 0.), OK);
}

static void check_output(struct rig *rig, struct files *files)
{
    size_t len = 0, at = 0, blocks = 0, payload_bytes = 0;
    uint8_t *data = (uint8_t *)test_read_file(files->path, &len);
    const struct board_format *step = board_command(rig->board[0], "queue_step oid=%c interval=%u count=%hu add=%hi");
    assert_non_null(step);
    unsigned seq = 1;
    while (at < len) {
        size_t block;
        assert_int_equal(frame_check(data + at, len - at, &block), FRAME_GOOD);
        assert_int_equal(data[at + 1] & 15u, seq++ & 15u);
        payload_bytes += block - FRAME_MIN_BYTES;
        blocks++;
        at += block;
    }
    print_message("%zu bytes in %zu blocks, %.1f bytes of payload each\n", len, blocks,
                  (double)payload_bytes / (double)blocks);
    assert_true(payload_bytes >= files->command_bytes);
    assert_true(payload_bytes < files->command_bytes + 400);
    assert_true((double)payload_bytes / (double)blocks > 52.); /* queue_step here takes 5 to 8 bytes */
    assert_int_equal(board_stats(rig->board[0]).bytes_write, len);
    mem_free(data);
}

static void test_plan(void **state)
{
    (void)state;
    struct files files = {.commands = 0};
    files.dictionary = test_read_shared("dicts/stm32f446.dict", &files.dictionary_bytes);
    if (!files.dictionary)
        skip();
    snprintf(files.path, sizeof(files.path), "/tmp/board_file_test.%d", (int)getpid());
    struct rig rig;
    rig_init(&rig, 1);
    struct err_info info;
    struct board_options options = {.name = "mcu",
                                    .transport = BOARD_FILE,
                                    .path = files.path,
                                    .dictionary_json = files.dictionary,
                                    .dictionary_bytes = files.dictionary_bytes};
    assert_int_equal(board_add(rig.boards, &options, &rig.board[0], &info), OK);
    rig.data = &files;
    rig_run(&rig, script_plan, 60.);
    check_output(&rig, &files);
    rig_deinit(&rig);
    unlink(files.path);
    mem_free(files.dictionary);
}

static void script_lie(struct rig *rig)
{
    struct err_info info = {{0}};
    assert_int_equal(board_connect(rig->board[0], &info), ERR_INVALID);
    print_message("%s\n", info.text);
    assert_non_null(strstr(info.text, (const char *)rig->data));
}

static void test_lies(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"", "not JSON"},
        {"{}", "lacks 'get_clock'"},
        {"{\"commands\":{\"get_clock\":2,\"get_uptime\":3,\"emergency_stop\":4,\"get_config\":5,"
         "\"finalize_config crc=%u\":6,\"allocate_oids count=%c\":7}}",
         "'CLOCK_FREQ' not found"},
        {"{\"config\":{\"CLOCK_FREQ\":1e12},\"commands\":{\"get_clock\":2,\"get_uptime\":3,\"emergency_stop\":4,"
         "\"get_config\":5,\"finalize_config crc=%u\":6,\"allocate_oids count=%c\":7}}",
         "not in the range"},
        {"{\"config\":{\"CLOCK_FREQ\":\"fast\"},\"commands\":{\"get_clock\":2,\"get_uptime\":3,\"emergency_stop\":4,"
         "\"get_config\":5,\"finalize_config crc=%u\":6,\"allocate_oids count=%c\":7}}",
         "not in the range"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct rig rig;
        struct err_info info;
        rig_init(&rig, 1);
        struct board_options options = {.name = "mcu",
                                        .transport = BOARD_FILE,
                                        .path = "/dev/null",
                                        .dictionary_json = cases[i].json,
                                        .dictionary_bytes = strlen(cases[i].json)};
        assert_int_equal(board_add(rig.boards, &options, &rig.board[0], &info), OK);
        rig.data = (void *)(uintptr_t)cases[i].text;
        rig_run(&rig, script_lie, 60.);
        rig_deinit(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
