/* How long lines of a print file take from text to a move handed to the toolhead: lexing, dispatch, modal state. */
#include "base/clock.h"
#include "base/mem.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 10

struct sink {
    double pos[GCODE_AXIS_COUNT_MAX];
    unsigned long moves;
};

static enum err take(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    (void)speed_mm_s;
    (void)info;
    struct sink *sink = ctx;
    memcpy(sink->pos, pos, sizeof sink->pos);
    sink->moves++;
    return OK;
}

static void tell(void *ctx, double *pos)
{
    memcpy(pos, ((struct sink *)ctx)->pos, sizeof ((struct sink *)ctx)->pos);
}

static char *read_file(const char *path, size_t *len_bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    *len_bytes = (size_t)ftell(file);
    rewind(file);
    char *text = mem_alloc(*len_bytes + 1);
    *len_bytes = fread(text, 1, *len_bytes, file);
    fclose(file);
    return text;
}

static unsigned long run_file(struct gcode *g, const char *text, size_t len_bytes)
{
    unsigned long lines = 0;
    for (const char *p = text, *end = text + len_bytes; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t line_bytes = (size_t)((line_end ? line_end : end) - p);
        struct gcode_source source = {(uint64_t)(p - text), (uint64_t)(p - text) + line_bytes + 1};
        enum err e = gcode_run_line(g, p, line_bytes, &source, NULL);
        if (e)
            printf("line at %llu: %s\n", (unsigned long long)source.file_offset, err_name(e));
        lines++;
        p += line_bytes + 1;
    }
    return lines;
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : TEST_SHARED_DIR "/gcode/3DBenchy.gcode";
    size_t len_bytes = 0;
    char *text = read_file(path, &len_bytes);
    if (!text) {
        printf("gcode_bench: %s is not there\n", path);
        return 0;
    }
    struct sink sink = {0};
    struct gcode_transform toolhead = {"sink", &sink, take, tell, NULL};
    struct gcode *g = gcode_create();
    gcode_set_ready(g, true, "Printer is ready");
    struct gcode_move *gm = gcode_move_create(g);
    if (gcode_move_register(gm, NULL))
        return 1;
    gcode_move_set_toolhead(gm, &toolhead);
    double best_s = 1e9;
    unsigned long lines = 0;
    for (int i = 0; i < ROUNDS; i++) {
        sink.moves = 0;
        struct host_ns begin = clock_monotonic();
        lines = run_file(g, text, len_bytes);
        double took_s = host_ns_diff_s(clock_monotonic(), begin);
        best_s = took_s < best_s ? took_s : best_s;
    }
    printf("gcode dispatch: %lu lines, %lu moves, %.1f ms, %.0f ns per line, %.0f MB/s\n", lines, sink.moves, best_s * 1e3,
           best_s * 1e9 / (double)lines, (double)len_bytes / best_s / 1e6);
    gcode_move_destroy(gm);
    gcode_destroy(g);
    mem_free(text);
    return 0;
}
