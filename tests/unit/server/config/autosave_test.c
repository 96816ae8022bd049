/* SAVE_CONFIG: what the new file says, what of the old one stays, and what a bad disk leaves behind. */
#include "server/config/autosave.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "server/config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD                                                                                                           \
    "#*# <---------------------- SAVE_CONFIG ---------------------->\n"                                                \
    "#*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n#*#\n"

static void set(struct config *config, const char *section, const char *option, const char *value)
{
    struct err_info info = {""};
    assert_int_equal(config_set_autosave(config, section, option, value, &info), OK);
}

/* The text after the changes of `config`; "error: ..." if there is none. Caller frees. */
static char *apply(const struct config *config, const char *text)
{
    struct err_info info = {""};
    char *out = config_apply_autosave(config, text, strlen(text), NULL, &info);
    return out ? out : mem_sprintf("error: %s", info.text);
}

static void assert_pending(const struct config *config, const char *expected)
{
    char *json = config_pending_json(config);
    assert_string_equal(json, expected);
    mem_free(json);
}

static void test_example(void **state)
{
    (void)state;
    const char *text = "[extruder]\n"
                       "control: pid   # was watermark\n"
                       "pid_Kp=22\n"
                       "max_temp: 250\n"
                       "\n"
                       "[gcode_macro A]\n"
                       "gcode:\n"
                       "  G28 ; home\n"
                       "\n"
                       "  # a comment\n"
                       "  M84\n"
                       "variable_x: 1\n\n\n";
    struct config *config = config_parse("printer.cfg", text, strlen(text));
    assert_false(config_has_pending(config));
    assert_pending(config, "{}");
    set(config, "extruder", "pid_Kp", "27.101");
    set(config, "extruder", "control", "pid");
    set(config, "bed_mesh default", "points", "\n  0.1, 0.2  \n  0.3, 0.4\n");
    set(config, "gcode_macro A", "gcode", "G1");
    assert_true(config_has_pending(config));
    assert_pending(config, "{\"extruder\": {\"pid_kp\": \"27.101\", \"control\": \"pid\"}, \"bed_mesh default\": "
                           "{\"points\": \"\\n0.1, 0.2\\n0.3, 0.4\"}, \"gcode_macro A\": {\"gcode\": \"G1\"}}");
    char *out = apply(config, text);
    assert_string_equal(out, "[extruder]\n"
                             "#control: pid   # was watermark\n"
                             "#pid_Kp=22\n"
                             "max_temp: 250\n"
                             "\n"
                             "[gcode_macro A]\n"
                             "#gcode:\n"
                             "#  G28 ; home\n"
                             "\n"
                             "  # a comment\n"
                             "#  M84\n"
                             "variable_x: 1\n"
                             "\n" HEAD "#*# [extruder]\n"
                             "#*# pid_kp = 27.101\n"
                             "#*# control = pid\n"
                             "#*#\n"
                             "#*# [bed_mesh default]\n"
                             "#*# points =\n"
                             "#*# \t0.1, 0.2\n"
                             "#*# \t0.3, 0.4\n"
                             "#*#\n"
                             "#*# [gcode_macro A]\n"
                             "#*# gcode = G1\n");
    config_destroy(config);

    /* a second time: the block is changed in place, a section removed */
    config = config_parse("printer.cfg", out, strlen(out));
    assert_int_equal(config_error_count(config), 0);
    set(config, "extruder", "pid_kp", "1");
    config_remove_autosave(config, "bed_mesh default");
    config_remove_autosave(config, "never heard of");
    config_remove_autosave(config, "gcode_macro A");
    set(config, "gcode_macro A", "variable_y", "2");
    assert_pending(config, "{\"extruder\": {\"pid_kp\": \"1\"}, \"bed_mesh default\": null, \"gcode_macro A\": "
                           "{\"variable_y\": \"2\"}}");
    char *again = apply(config, out);
    assert_non_null(strstr(again, HEAD "#*# [extruder]\n#*# pid_kp = 1\n#*# control = pid\n#*#\n#*# [gcode_macro A]\n"
                                       "#*# variable_y = 2\n"));
    assert_null(strstr(again, "bed_mesh"));
    mem_free(again);
    mem_free(out);
    config_destroy(config);
}

/* What Klipper's host made of the same file and the same change (compared byte by byte; backup names too). */
static void test_as_klipper_writes(void **state)
{
    (void)state;
    static const char before[] = "[stepper_z]\r\nposition_endstop: 0.5   ; the endstop\r\nposition_max: 200\r\n\r\n"
                                 "[probe]\rz_offset = 1.5 # old\r";
    static const char after[] = "[stepper_z]\n#position_endstop: 0.5   ; the endstop\nposition_max: 200\n\n"
                                "[probe]\n#z_offset = 1.5 # old\n\n"
                                "#*# <---------------------- SAVE_CONFIG ---------------------->\n"
                                "#*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.\n#*#\n"
                                "#*# [stepper_z]\n#*# position_endstop = 0.400\n#*#\n#*# [probe]\n#*# z_offset = 1.400\n";
    struct config *config = config_parse("printer.cfg", before, sizeof before - 1);
    set(config, "stepper_z", "position_endstop", "0.400");
    set(config, "probe", "z_offset", "1.400");
    char *text = apply(config, before);
    assert_string_equal(text, after);
    mem_free(text);
    config_destroy(config);
}

static void test_removing_all(void **state)
{
    (void)state;
    const char *text = "[a]\nb: 1\n\n" HEAD "#*# [c]\n#*# d = 2\n";
    struct config *config = config_parse("printer.cfg", text, strlen(text));
    config_remove_autosave(config, "c");
    char *out = apply(config, text);
    assert_string_equal(out, "[a]\nb: 1\n");
    mem_free(out);
    config_destroy(config);
}

static void test_values_no_file_can_hold(void **state)
{
    (void)state;
    static const struct {
        const char *section, *option, *value;
    } bad[] = {{"a", "b", "x # y"},  {"a", "b", "x ; y"}, {"a", "b", "\xff"}, {"a", "b:c", "1"},
               {"a", "", "1"},       {"", "b", "1"},      {"a\nb", "c", "1"}, {"a", "b\nc", "1"},
               {"a]\n[b", "c", "1"}, {"a#", "c", "1"},    {"a", "[x]", "1"},  {"a", "b", "x\ry"}};
    struct config *config = config_parse("printer.cfg", "", 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err_info info = {""};
        assert_int_equal(config_set_autosave(config, bad[i].section, bad[i].option, bad[i].value, &info), ERR_INVALID);
        assert_non_null(strstr(info.text, "cannot hold this value"));
    }
    assert_false(config_has_pending(config));
    set(config, "include *.cfg", "b", "");
    set(config, "a", "c", "[d]\n[e]\n=;x");
    char *out = apply(config, "");
    struct config *back = config_parse("printer.cfg", out, strlen(out));
    assert_string_equal(section_find(config_find(back, "a"), "c")->value, "[d]\n[e]\n=;x");
    assert_string_equal(section_find(config_find(back, "include *.cfg"), "b")->value, "");
    assert_int_equal(config_error_count(back), 0);
    config_destroy(back);
    mem_free(out);
    config_destroy(config);
}

/* --- random files, random edits --- */

static const char *const names[] = {"alpha", "beta", "gamma", "delta"};
static const char *const sections[] = {"one", "Two x", "two x", "three"};
static const char *const values[] = {"1",   "a b", "",   "\nG28\nG1 X1", "x\n\ny", "\n1, 2\n3, 4",
                                     "k=v", "[q]", "#z", "7 ; c"};

static const char *pick(struct rng *rng, const char *const *list, size_t count)
{
    return list[rng_below(rng, count)];
}
#define PICK(rng, list) pick(rng, list, sizeof(list) / sizeof(list)[0])

static void add_random_option(struct rng *rng, struct strbuf *text, unsigned indent)
{
    char pad[8] = "";
    memset(pad, ' ', indent);
    pad[indent] = 0;
    strbuf_addf(text, "%s%s%s", pad, PICK(rng, names), rng_below(rng, 2) ? ": " : "=");
    for (const char *p = PICK(rng, values); *p; p++) {
        strbuf_addc(text, *p);
        if (*p == '\n' && p[1] != '\n')
            strbuf_addf(text, "%s%s", pad, rng_below(rng, 2) ? "\t" : "   ");
    }
    strbuf_adds(text, rng_below(rng, 8) ? "\n" : "\r\n");
}

static char *random_file(struct rng *rng)
{
    struct strbuf text;
    strbuf_init(&text);
    if (!rng_below(rng, 10))
        strbuf_adds(&text, "\xef\xbb\xbf");
    for (uint64_t i = rng_below(rng, 6); i > 0; i--) {
        strbuf_addf(&text, "[%s]%s\n", PICK(rng, sections), rng_below(rng, 3) ? "" : " # note");
        for (uint64_t k = rng_below(rng, 6); k > 0; k--) {
            if (!rng_below(rng, 4))
                strbuf_adds(&text, rng_below(rng, 2) ? "\n" : "  ; words\n");
            add_random_option(rng, &text, rng_below(rng, 4) ? 0 : (unsigned)rng_below(rng, 3));
        }
    }
    return strbuf_take(&text);
}

/* What the block must hold: by section and name, NULL for nothing. */
struct model {
    const char *value[4][4];
};

static void read_model(const struct config *config, struct model *model)
{
    for (size_t s = 0; s < 4; s++)
        for (size_t n = 0; n < 4; n++) {
            struct config_section *section = config_find(config, sections[s]);
            const struct config_option *option = section ? section_find(section, names[n]) : NULL;
            model->value[s][n] = option && option->is_autosave ? option->value : NULL;
        }
}

static void change_at_random(struct rng *rng, struct config *config, struct model *model)
{
    for (uint64_t i = rng_below(rng, 6); i > 0; i--) {
        struct err_info info;
        size_t s = (size_t)rng_below(rng, 4), n = (size_t)rng_below(rng, 4);
        const char *value = PICK(rng, values);
        if (!rng_below(rng, 4)) {
            config_remove_autosave(config, sections[s]);
            memset(model->value[s], 0, sizeof model->value[s]);
        } else if (config_set_autosave(config, sections[s], names[n], value, &info) == OK) {
            model->value[s][n] = value;
        } else {
            assert_non_null(strpbrk(value, "#;"));
        }
    }
}

/* What `name` of `section` must be after the save: as it was, unless it is in the new block. Texts of `old` and
 * `fresh`. */
static void compare_all(const struct config *old, const struct config *fresh, const char *what)
{
    for (size_t i = 0; i < config_section_count(old); i++) {
        struct config_section *section = config_section_at(old, i);
        struct config_section *other = config_find(fresh, section_name(section));
        for (size_t k = 0; k < section_option_count(section); k++) {
            const struct config_option *was = section_option_at(section, k);
            const struct config_option *is = other ? section_find(other, was->name) : NULL;
            if ((is && is->is_autosave) || was->is_autosave)
                continue; /* the block's: compared with what was set */
            if (!is || strcmp(is->value, was->value) != 0)
                fail_msg("[%s] %s changed by %s", section_name(section), was->name, what);
        }
    }
}

static void compare_block(const struct model *wanted, const struct config *fresh)
{
    struct model got;
    read_model(fresh, &got);
    for (size_t s = 0; s < 4; s++)
        for (size_t n = 0; n < 4; n++) {
            const char *a = wanted->value[s][n], *b = got.value[s][n];
            if (!a != !b || (a && strcmp(a, b) != 0))
                fail_msg("[%s] %s: wanted %s, got %s", sections[s], names[n], a ? a : "nothing", b ? b : "nothing");
        }
}

static void test_random_edits(void **state)
{
    (void)state;
    size_t saved = 0;
    for (uint64_t seed = 1; seed <= 1000; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        char *text = random_file(&rng);
        for (int round = 0; round < 3; round++) {
            struct config *config = config_parse("printer.cfg", text, strlen(text));
            if (config_error_count(config)) {
                config_destroy(config);
                break;
            }
            struct model model;
            read_model(config, &model);
            change_at_random(&rng, config, &model);
            char *next = apply(config, text);
            if (!strncmp(next, "error: ", 7))
                fail_msg("seed %llu: %s\n%s", (unsigned long long)seed, next, text);
            struct config *fresh = config_parse("printer.cfg", next, strlen(next));
            if (config_error_count(fresh))
                fail_msg("seed %llu: does not read back\n%s---\n%s", (unsigned long long)seed, text, next);
            compare_all(config, fresh, "saving");
            compare_block(&model, fresh);
            char *same = apply(fresh, next); /* nothing to do: the same bytes */
            assert_string_equal(same, next);
            mem_free(same);
            config_destroy(fresh);
            config_destroy(config);
            mem_free(text);
            text = next;
            saved++;
        }
        mem_free(text);
    }
    print_message("%zu random saves, seeds 1..1000\n", saved);
    assert_true(saved > 2000);
}

/* --- files --- */

static char folder[64];

static char *path_of(const char *name)
{
    return mem_sprintf("%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
    char *path = path_of(name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    mem_free(path);
}

static bool is_text(const char *name, const char *text)
{
    char *path = path_of(name);
    char buffer[65536];
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(buffer, 1, sizeof buffer - 1, f) : 0;
    buffer[n] = 0;
    if (f)
        (void)fclose(f);
    mem_free(path);
    return f && !strcmp(buffer, text);
}

static size_t count_files(void)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(dir));)
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static int begin(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/lockstep-save-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    char *command = mem_sprintf("chmod -R u+w %s; rm -rf %s", folder, folder);
    int rc = system(command);
    mem_free(command);
    return rc;
}

static struct config *load(const char *name)
{
    char *path = path_of(name);
    struct config *config = config_load(path);
    mem_free(path);
    assert_int_equal(config_error_count(config), 0);
    return config;
}

#define OLD "[a]\nb: 1\nc: 2\n"
#define NEW "[a]\n#b: 1\nc: 2\n\n" HEAD "#*# [a]\n#*# b = 3\n"

static void test_save(void **state)
{
    (void)state;
    struct err_info info = {""};
    put("printer.cfg", OLD);
    struct config *config = load("printer.cfg");
    bool written = true;
    assert_int_equal(config_save_autosave(config, "20260131_235959", NULL, &written, &info), OK);
    assert_false(written); /* nothing pending, no block */
    assert_int_equal(count_files(), 1);
    set(config, "a", "b", "3");
    assert_int_equal(config_save_autosave(config, "20260131_235959", NULL, &written, &info), OK);
    assert_true(written);
    assert_true(is_text("printer.cfg", NEW));
    assert_true(is_text("printer-20260131_235959.cfg", OLD));
    /* twice in a second: no backup is lost */
    assert_int_equal(config_save_autosave(config, "20260131_235959", NULL, &written, &info), OK);
    assert_true(is_text("printer-20260131_235959.cfg", OLD));
    assert_true(is_text("printer-20260131_235959_1.cfg", NEW));
    assert_true(is_text("printer.cfg", NEW));
    assert_int_equal(count_files(), 3);
    config_destroy(config);
}

static void test_symbolic_link(void **state)
{
    (void)state;
    struct err_info info = {""};
    put("real.cfg", OLD);
    char *link_path = path_of("printer.cfg");
    assert_int_equal(symlink("real.cfg", link_path), 0);
    struct config *config = load("printer.cfg");
    set(config, "a", "b", "3");
    assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), OK);
    struct stat st;
    assert_true(lstat(link_path, &st) == 0 && S_ISLNK(st.st_mode));
    assert_true(is_text("real.cfg", NEW));
    config_destroy(config);
    mem_free(link_path);
}

static void test_conflict_with_include(void **state)
{
    (void)state;
    struct err_info info = {""};
    const char *main_text = "[include more.cfg]\n[a]\nb: 1\n[include sub/*.cfg]\n";
    put("printer.cfg", main_text);
    put("more.cfg", "[x]\ny: 1\n[a]\nc: 5\n");
    struct config *config = load("printer.cfg");
    set(config, "a", "b", "3");
    set(config, "x", "Y", "2");
    assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), ERR_INVALID);
    assert_string_equal(info.text, "SAVE_CONFIG section 'x' option 'y' conflicts with included value (more.cfg:2)");
    assert_true(is_text("printer.cfg", main_text));
    assert_int_equal(count_files(), 2);
    config_destroy(config);
    config = load("printer.cfg");
    set(config, "a", "b", "3");
    assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), OK);
    assert_true(
        is_text("printer.cfg", "[include more.cfg]\n[a]\n#b: 1\n[include sub/*.cfg]\n\n" HEAD "#*# [a]\n#*# b = 3\n"));
    config_destroy(config);
}

/* The file was edited since it was loaded: the edit stays; damage is refused. */
static void test_edited_meanwhile(void **state)
{
    (void)state;
    struct err_info info = {""};
    put("printer.cfg", OLD);
    struct config *config = load("printer.cfg");
    set(config, "a", "b", "3");
    const char *damaged = "[a]\nb: 1\nnonsense\n";
    put("printer.cfg", damaged);
    assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), ERR_INVALID);
    assert_non_null(strstr(info.text, "Unable to parse existing config on SAVE_CONFIG: printer.cfg:3: "));
    assert_true(is_text("printer.cfg", damaged));
    put("printer.cfg", OLD "d: 9\n");
    assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), OK);
    assert_true(is_text("printer.cfg", "[a]\n#b: 1\nc: 2\nd: 9\n\n" HEAD "#*# [a]\n#*# b = 3\n"));
    config_destroy(config);
}

/* --- bad disks --- */

/* A disk of which call number `fail_at` (from 1) and, if `stays_bad`, all later ones that need room, fail. */
static struct {
    int calls, fail_at, error;
    bool stays_bad;
    size_t write_max;
} bad;

static bool fails(bool needs_room)
{
    bad.calls++;
    if (bad.calls != bad.fail_at && !(bad.stays_bad && needs_room && bad.calls > bad.fail_at))
        return false;
    errno = bad.error;
    return true;
}

static int bad_open(const char *path, int flags, mode_t mode)
{
    return fails(true) ? -1 : open(path, flags, mode);
}

static ssize_t bad_write(int fd, const void *data, size_t len)
{
    return fails(true) ? -1 : write(fd, data, len < bad.write_max ? len : bad.write_max);
}

static int bad_fsync(int fd)
{
    return fails(true) ? -1 : fsync(fd);
}

static int bad_close(int fd)
{
    bool is_failing = fails(true);
    int rc = close(fd);
    if (is_failing)
        errno = bad.error;
    return is_failing ? -1 : rc;
}

static int bad_link(const char *from, const char *to)
{
    return fails(true) ? -1 : link(from, to);
}

static int bad_rename(const char *from, const char *to)
{
    return fails(true) ? -1 : rename(from, to);
}

static const struct config_disk bad_disk = {bad_open, bad_write, bad_fsync, bad_close, bad_link, bad_rename, unlink};

static void test_every_failure(void **state)
{
    (void)state;
    static const int errors[] = {ENOSPC, EROFS, EACCES, EIO, EPERM};
    size_t failures = 0, successes = 0;
    for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++)
        for (int stays = 0; stays < 2; stays++)
            for (int at = 1; at < 40; at++) {
                char *command = mem_sprintf("rm -f %s/*", folder);
                assert_int_equal(system(command), 0);
                mem_free(command);
                put("printer.cfg", OLD);
                struct config *config = load("printer.cfg");
                set(config, "a", "b", "3");
                bad.calls = 0;
                bad.fail_at = at;
                bad.error = errors[e];
                bad.stays_bad = stays;
                bad.write_max = 13;
                struct err_info info = {""};
                enum err err = config_save_autosave(config, "S", &bad_disk, NULL, &info);
                if (err == OK) {
                    assert_true(is_text("printer.cfg", NEW));
                    assert_true(is_text("printer-S.cfg", OLD));
                    assert_int_equal(count_files(), 2);
                    successes++;
                } else {
                    assert_int_equal(err, ERR_IO);
                    assert_non_null(strstr(info.text, "Unable to write config file during SAVE_CONFIG: "));
                    assert_non_null(strstr(info.text, strerror(errors[e])));
                    assert_true(is_text("printer.cfg", OLD));
                    assert_int_equal(count_files(), 1);
                    failures++;
                }
                config_destroy(config);
            }
    print_message("%zu failures left the old file, %zu saves came through\n", failures, successes);
    assert_true(failures > 100);
}

/* The operating system's own refusals: a limit on the size of files cuts the write short; a folder nobody may write. */
static void test_real_refusals(void **state)
{
    (void)state;
    struct err_info info = {""};
    put("printer.cfg", OLD);
    struct config *config = load("printer.cfg");
    set(config, "a", "b", "3");
    struct rlimit old_limit, small = {40, RLIM_INFINITY};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
    small.rlim_max = old_limit.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err err = config_save_autosave(config, "S", NULL, NULL, &info);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(err, ERR_IO);
    assert_non_null(strstr(info.text, "The old file is unchanged."));
    assert_true(is_text("printer.cfg", OLD));
    assert_int_equal(count_files(), 1);
    if (geteuid() != 0) { /* root may write anywhere */
        assert_int_equal(chmod(folder, 0500), 0);
        assert_int_equal(config_save_autosave(config, "S", NULL, NULL, &info), ERR_IO);
        assert_int_equal(chmod(folder, 0700), 0);
        assert_true(is_text("printer.cfg", OLD));
        assert_int_equal(count_files(), 1);
    }
    config_destroy(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_as_klipper_writes),
        cmocka_unit_test(test_removing_all),
        cmocka_unit_test(test_values_no_file_can_hold),
        cmocka_unit_test(test_random_edits),
        cmocka_unit_test_setup_teardown(test_save, begin, end),
        cmocka_unit_test_setup_teardown(test_symbolic_link, begin, end),
        cmocka_unit_test_setup_teardown(test_conflict_with_include, begin, end),
        cmocka_unit_test_setup_teardown(test_edited_meanwhile, begin, end),
        cmocka_unit_test_setup_teardown(test_every_failure, begin, end),
        cmocka_unit_test_setup_teardown(test_real_refusals, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
