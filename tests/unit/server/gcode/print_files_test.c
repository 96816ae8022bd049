/* Real slicer files through lexer, dispatch and modal state into a toolhead that records, against a reader of G1 lines that
 * shares nothing with them (sscanf and running sums). */
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

#include <ctype.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct gcode *g;
    struct gcode_move *gm;
    struct gcode_transform toolhead;
    double pos[GCODE_AXIS_COUNT_MAX], speed_mm_s;
    unsigned long moves;
    uint64_t offset; /* of the line of the last move */
    bool has_moved;
};

static enum err take_move(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    (void)info;
    struct rig *rig = ctx;
    memcpy(rig->pos, pos, sizeof rig->pos);
    rig->speed_mm_s = speed_mm_s;
    rig->moves++;
    rig->offset = gcode_source(rig->g)->file_offset;
    rig->has_moved = true;
    return OK;
}

static void tell_position(void *ctx, double *pos)
{
    memcpy(pos, ((struct rig *)ctx)->pos, sizeof ((struct rig *)ctx)->pos);
}

/* The independent reader: absolute X Y Z, F, and E in either mode. */
struct reader {
    double pos[4], base_e, speed_mm_s;
    bool is_relative_e;
};

static bool word(const char *line, char letter, double *value)
{
    for (const char *p = line; *p && *p != ';'; p++)
        if (*p == letter && sscanf(p + 1, "%lf", value) == 1)
            return true;
    return false;
}

/* Does the line move? Then reader->pos and speed are those of its end. */
static bool read_line(struct reader *r, const char *line)
{
    int number = -1;
    double value;
    if (sscanf(line, "M%d", &number) == 1 && (number == 82 || number == 83)) {
        r->is_relative_e = number == 83;
        return false;
    }
    if (sscanf(line, "G%d", &number) != 1)
        return false;
    if (number == 92 && word(line, 'E', &value))
        r->base_e = r->pos[3] - value;
    if (number > 1)
        return false;
    for (int i = 0; i < 3; i++)
        if (word(line, "XYZ"[i], &value))
            r->pos[i] = value;
    if (word(line, 'E', &value))
        r->pos[3] = r->is_relative_e ? r->pos[3] + value : r->base_e + value;
    if (word(line, 'F', &value))
        r->speed_mm_s = value / 60.0;
    return true;
}

static void print(const char *name, unsigned long min_moves)
{
    char path[512];
    snprintf(path, sizeof path, "%s/gcode/%s", TEST_SHARED_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("%s is not there: not tested\n", path);
        return;
    }
    struct rig rig = {0};
    rig.g = gcode_create();
    gcode_set_ready(rig.g, true, "Printer is ready");
    rig.gm = gcode_move_create(rig.g);
    assert_int_equal(gcode_move_register(rig.gm, NULL), OK);
    rig.toolhead = (struct gcode_transform){"rig", &rig, take_move, tell_position, NULL};
    gcode_move_set_toolhead(rig.gm, &rig.toolhead);
    struct reader reader = {.speed_mm_s = 25.0};
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    uint64_t offset = 0;
    while ((len = getline(&line, &cap, file)) > 0) {
        struct gcode_source source = {offset, offset + (uint64_t)len};
        rig.has_moved = false;
        assert_int_equal(gcode_run_line(rig.g, line, (size_t)len, &source, NULL), OK);
        bool moves = read_line(&reader, line);
        assert_int_equal(rig.has_moved, moves);
        if (moves) {
            assert_int_equal(rig.offset, offset);
            for (int i = 0; i < 4; i++)
                assert_true(fabs(rig.pos[i] - reader.pos[i]) < 1e-6);
            assert_true(fabs(rig.speed_mm_s - reader.speed_mm_s) < 1e-9);
        }
        offset += (uint64_t)len;
    }
    assert_true(rig.moves >= min_moves);
    printf("%s: %lu moves\n", name, rig.moves);
    free(line);
    fclose(file);
    gcode_move_destroy(rig.gm);
    gcode_destroy(rig.g);
}

static void real_files(void **state)
{
    (void)state;
    print("small.gcode", 1000);
    print("cube.gcode", 3000);
    print("3DBenchy.gcode", 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(real_files)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
