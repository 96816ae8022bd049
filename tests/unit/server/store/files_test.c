/* Whatever a client writes as a path, what it resolves to lies below the root. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "server/store/files.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world {
    char dir[PATH_MAX];
    struct files *files;
};

static void touch(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fclose(file);
}

static int build(void **state)
{
    struct world *w = MEM_NEW(struct world);
    char made[] = "/tmp/lockstep-files-XXXXXX", path[PATH_MAX + 64];
    assert_non_null(mkdtemp(made));
    assert_non_null(realpath(made, w->dir));
    w->files = files_create();
    snprintf(path, sizeof path, "%s/root", w->dir);
    assert_int_equal(files_add_root(w->files, "gcodes", path, true, NULL), OK);
    snprintf(path, sizeof path, "%s/root/a/b", w->dir);
    assert_int_equal(files_make_dirs(path, NULL), OK);
    snprintf(path, sizeof path, "%s/root/a/b/x.gcode", w->dir);
    touch(path);
    snprintf(path, sizeof path, "%s/rootless", w->dir); /* shares the root's name as a prefix */
    touch(path);
    snprintf(path, sizeof path, "%s/root/out", w->dir);
    assert_int_equal(symlink("..", path), 0);
    snprintf(path, sizeof path, "%s/root/in", w->dir);
    assert_int_equal(symlink("a/b", path), 0);
    snprintf(path, sizeof path, "%s/root/gone", w->dir);
    assert_int_equal(symlink("/nonexistent", path), 0);
    *state = w;
    return 0;
}

static int demolish(void **state)
{
    struct world *w = *state;
    assert_int_equal(files_remove_tree(w->dir, NULL), OK);
    files_destroy(w->files);
    mem_free(w);
    return 0;
}

static void stays_below_the_root(void **state)
{
    struct world *w = *state;
    uint64_t seed = (uint64_t)getpid() * 97u;
    print_message("seed %llu\n", (unsigned long long)seed);
    struct rng rng;
    rng_init(&rng, seed);
    static const char *const PIECES[] = {"..", ".", "/", "//", "a", "b", "x.gcode", "out", "in", "gone", "rootless", ".git", "%2e", "\n", "...", "root"};
    char root[PATH_MAX + 8];
    snprintf(root, sizeof root, "%s/root", w->dir);
    unsigned found = 0;
    for (int i = 0; i < 20000; i++) {
        char path[256] = "gcodes/";
        for (unsigned k = 0; k < 1 + rng_below(&rng, 8); k++) {
            strcat(path, PIECES[rng_below(&rng, sizeof PIECES / sizeof PIECES[0])]);
            if (rng_below(&rng, 2))
                strcat(path, "/");
        }
        struct files_path out;
        if (files_resolve(w->files, path, &out, NULL) != OK)
            continue;
        found++;
        size_t len = strlen(root);
        assert_true(strncmp(out.full, root, len) == 0 && (!out.full[len] || out.full[len] == '/'));
        assert_null(strstr(out.full, "/../"));
        char real[PATH_MAX];
        if (realpath(out.full, real))
            assert_true(strncmp(real, root, len) == 0 && (!real[len] || real[len] == '/'));
    }
    assert_true(found > 1000);
}

static void names_its_refusals(void **state)
{
    struct world *w = *state;
    struct files_path out;
    static const struct {
        const char *path;
        enum err err;
    } CASES[] = {
        {"gcodes/a/b/x.gcode", OK},     {"gcodes/in/x.gcode", OK},   {"gcodes/new/file.gcode", OK}, {"/gcodes/a", OK},
        {"gcodes/../rootless", ERR_DENIED}, {"gcodes/out/rootless", ERR_DENIED}, {"gcodes/.git/config", ERR_DENIED},
        {"nowhere/a", ERR_INVALID},     {"", ERR_INVALID},           {"gcodesx/a", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_int_equal(files_resolve(w->files, CASES[i].path, &out, NULL), CASES[i].err);
    assert_int_equal(files_resolve(w->files, "gcodes/in/x.gcode", &out, NULL), OK);
    assert_string_equal(out.rel, "in/x.gcode");
    assert_non_null(strstr(out.full, "/root/a/b/x.gcode"));
}

static void lists_without_what_lies_outside(void **state)
{
    struct world *w = *state;
    json_t *list = NULL;
    assert_int_equal(files_list(w->files, "gcodes", &list, NULL), OK);
    assert_int_equal(json_array_size(list), 2); /* by its name and through the link */
    json_decref(list);
}

static void writes_whole_files_or_none(void **state)
{
    struct world *w = *state;
    char path[PATH_MAX + 64], temp[PATH_MAX + 64];
    struct err_info info;
    snprintf(path, sizeof path, "%s/root/whole.txt", w->dir);
    assert_int_equal(files_write_whole(path, "one", 3, &info), OK);
    snprintf(temp, sizeof temp, "%s/temp", w->dir);
    touch(temp);
    assert_int_equal(files_put(temp, "/nonexistent/x", &info), ERR_NOT_FOUND);
    assert_int_equal(access(temp, F_OK), -1); /* gone, success or not */
    char read_back[8] = "";
    FILE *file = fopen(path, "r");
    assert_int_equal(fread(read_back, 1, sizeof read_back, file), 3);
    fclose(file);
    assert_string_equal(read_back, "one");
    assert_int_equal(files_write_whole("/nonexistent/dir/x", "a", 1, &info), ERR_NOT_FOUND);
    snprintf(temp, sizeof temp, "%s/root/a", w->dir);
    snprintf(path, sizeof path, "%s/root/a/b/inside", w->dir);
    assert_int_equal(files_copy(temp, path, &info), ERR_INVALID);
    snprintf(path, sizeof path, "%s/root/copy", w->dir);
    assert_int_equal(files_copy(temp, path, &info), OK);
    snprintf(path, sizeof path, "%s/root/copy/b/x.gcode", w->dir);
    assert_int_equal(access(path, R_OK), 0);
}

static void knows_gcode(void **state)
{
    (void)state;
    assert_true(files_is_gcode("a.gcode") && files_is_gcode("A.GCODE") && files_is_gcode("x.y.gco") && files_is_gcode("a.nc"));
    assert_false(files_is_gcode("gcode") || files_is_gcode("a.txt") || files_is_gcode("a.gcode.bak") || files_is_gcode(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stays_below_the_root, build, demolish),
        cmocka_unit_test_setup_teardown(names_its_refusals, build, demolish),
        cmocka_unit_test_setup_teardown(lists_without_what_lies_outside, build, demolish),
        cmocka_unit_test_setup_teardown(writes_whole_files_or_none, build, demolish),
        cmocka_unit_test(knows_gcode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
