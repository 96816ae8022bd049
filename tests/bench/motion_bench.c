/* motion_bench [GCODE [CASE_DIR [THREADS]]]: what it costs to turn a file into blocks for a board, stage by stage. Prints
 * figures and never fails.
 *
 * Each stage is timed by itself on one thread: reading (lexing, dispatch, modal state) by running the file through the
 * G-code library alone; lookahead (limits, junctions, segments) and steps in a planner that has nothing else of a
 * printer; solving by a second run in which the compressor is told to drop all steps, compressing as the difference; and
 * sending (encoding, lane, blocks, CRC) with the records of the first run. */
#include "rig/rig.h"

#include "base/clock.h"
#include "base/mem.h"
#include "firmware/proto/frame.h"
#include "firmware/proto/vlq.h"
#include "motion/link/sendq.h"
#include "motion/steps/compress.h"
#include "server/gcode/gcode.h"
#include "server/gcode/gcode_move.h"

#include <stdlib.h>
#include <string.h>

#ifndef TEST_SHARED_DIR
#define TEST_SHARED_DIR "../shared"
#endif

#define FREQUENCY_HZ 180e6
#define LANE_BYTES   (256 * 1024)
#define ROUNDS       3 /* the least of so many */

struct records {
    struct stepmsg *items;
    size_t count, capacity;
};

/* --- the compressor, which a run can do without (the linker puts these in its place) --- */

static bool drops_steps;
void __real_compress_add(struct compress *c, const double *clocks, int count);
bool __real_compress_next(struct compress *c, bool is_forced, struct stepmsg *msg);
void __wrap_compress_add(struct compress *c, const double *clocks, int count);
bool __wrap_compress_next(struct compress *c, bool is_forced, struct stepmsg *msg);

void __wrap_compress_add(struct compress *c, const double *clocks, int count)
{
    if (!drops_steps)
        __real_compress_add(c, clocks, count);
}

bool __wrap_compress_next(struct compress *c, bool is_forced, struct stepmsg *msg)
{
    return !drops_steps && __real_compress_next(c, is_forced, msg);
}

/* --- reading --- */

static enum err take(void *ctx, const double *pos, double speed_mm_s, struct err_info *info)
{
    (void)speed_mm_s;
    (void)info;
    memcpy(ctx, pos, GCODE_AXIS_COUNT_MAX * sizeof *pos);
    return OK;
}

static void tell(void *ctx, double *pos)
{
    memcpy(pos, ctx, GCODE_AXIS_COUNT_MAX * sizeof *pos);
}

static unsigned long read_lines(FILE *file)
{
    double pos[GCODE_AXIS_COUNT_MAX] = {0};
    struct gcode_transform toolhead = {"sink", pos, take, tell, NULL};
    struct gcode *g = gcode_create();
    gcode_set_ready(g, true, "Printer is ready");
    struct gcode_move *gm = gcode_move_create(g);
    unsigned long lines = 0;
    if (gcode_move_register(gm, NULL) == OK) {
        gcode_move_set_toolhead(gm, &toolhead);
        char line[1024];
        while (fgets(line, sizeof line, file)) {
            const struct gcode_source source = {lines, lines + 1};
            (void)!gcode_run_line(g, line, strcspn(line, "\r\n"), &source, NULL);
            lines++;
        }
    }
    gcode_move_destroy(gm);
    gcode_destroy(g);
    return lines;
}

static double time_reading(const char *path, unsigned long *lines)
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        FILE *file = fopen(path, "r");
        if (!file)
            return 0.0;
        const struct host_ns begin = clock_monotonic();
        *lines = read_lines(file);
        const double took_s = host_ns_diff_s(clock_monotonic(), begin);
        least = took_s < least ? took_s : least;
        fclose(file);
    }
    return least;
}

/* --- sending --- */

static void keep_record(void *ctx, const struct stepmsg *record)
{
    struct records *r = ctx;
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? 2 * r->capacity : 1 << 16;
        r->items = mem_realloc(r->items, r->capacity * sizeof *r->items);
    }
    r->items[r->count++] = *record;
}

static size_t encode(const struct stepmsg *r, uint8_t *out)
{
    uint8_t *p = vlq_encode(out, r->kind == STEPMSG_DIR ? 21 : 20);
    p = vlq_encode(p, r->source);
    if (r->kind == STEPMSG_DIR) {
        p = vlq_encode(p, r->dir);
    } else {
        p = vlq_encode(p, r->interval);
        p = vlq_encode(p, r->count);
        p = vlq_encode(p, (uint32_t)(int32_t)r->add);
    }
    return (size_t)(p - out);
}

static size_t send_blocks(struct sendq *q, size_t least_bytes, unsigned *seq)
{
    size_t sent = 0;
    sendq_advance(q, UINT64_MAX);
    while (q->ready_bytes > 0 && q->ready_bytes >= least_bytes) {
        struct sendq_block block;
        uint8_t frame[FRAME_MAX_BYTES];
        sendq_fill(q, &block);
        sent += frame_build(frame, (*seq)++ & FRAME_SEQ_MASK, block.payload, block.len_bytes);
    }
    return sent;
}

static double time_sending(const struct records *records, size_t *sent_bytes)
{
    double least = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        struct lane lane;
        struct sendq q;
        lane_init(&lane, NULL, LANE_BYTES);
        sendq_init(&q);
        sendq_add_lane(&q, &lane);
        size_t sent = 0;
        unsigned seq = 0;
        const struct host_ns begin = clock_monotonic();
        for (size_t k = 0; k < records->count; k++) {
            const struct stepmsg *r = &records->items[k];
            uint8_t data[4 * VLQ_MAX_BYTES + VLQ_MAX_BYTES];
            const size_t len = encode(r, data);
            while (!lane_push(&lane, data, len, 0, r->req_clock, 0, 0))
                sent += send_blocks(&q, FRAME_PAYLOAD_MAX, &seq);
        }
        sent += send_blocks(&q, 1, &seq);
        const double took_s = host_ns_diff_s(clock_monotonic(), begin);
        least = took_s < least ? took_s : least;
        *sent_bytes = sent;
        sendq_deinit(&q);
        lane_deinit(&lane);
    }
    return least;
}

/* --- lookahead, solving, compressing --- */

struct stages {
    double read_s, look_s, solve_s, compress_s, send_s;
};

static double time_solving(const char *config, const char *gcode, struct err_info *info)
{
    const struct rig_options options = {.threads = 1};
    double least = 1e9;
    drops_steps = true;
    for (int i = 0; i < ROUNDS; i++) {
        static struct rig_result r;
        if (rig_run(config, gcode, FREQUENCY_HZ, &options, &r, info) == OK)
            least = r.step_s < least ? r.step_s : least;
        rig_result_deinit(&r);
    }
    drops_steps = false;
    return least;
}

static void print_stage(const char *name, double s, double total_s, double steps, double commands)
{
    printf("%-30s %8.3f s %5.0f %% %8.2f ns/step %8.0f ns/command\n", name, s, 100.0 * s / total_s, s * 1e9 / steps,
           s * 1e9 / commands);
}

static void print_stages(const struct stages *t, double steps, double commands)
{
    const double total_s = t->read_s + t->look_s + t->solve_s + t->compress_s + t->send_s;
    print_stage("reading G-code", t->read_s, total_s, steps, commands);
    print_stage("lookahead", t->look_s, total_s, steps, commands);
    print_stage("solving steps", t->solve_s, total_s, steps, commands);
    print_stage("compressing", t->compress_s, total_s, steps, commands);
    print_stage("sending", t->send_s, total_s, steps, commands);
    print_stage("together", total_s, total_s, steps, commands);
}

static void print_result(const struct rig_result *r, unsigned threads, double *steps, double *commands)
{
    *steps = *commands = 0.0;
    for (unsigned i = 0; i < r->stepper_count; i++) {
        const struct rig_stepper_result *s = &r->stepper[i];
        printf("%-12s %10llu steps %8llu commands %8llu dir %9llu bytes\n", s->name, (unsigned long long)s->step_count,
               (unsigned long long)s->queue_commands, (unsigned long long)s->dir_commands,
               (unsigned long long)s->bytes);
        *steps += (double)s->step_count;
        *commands += (double)(s->queue_commands + s->dir_commands);
    }
    printf("print time %.3f s, %llu moves, %llu segments; solving and compressing %.3f s on %u thread(s)\n", r->end_s,
           (unsigned long long)r->moves, (unsigned long long)r->segments, r->step_s, threads);
}

int main(int argc, char **argv)
{
    const char *gcode = argc > 1 ? argv[1] : TEST_SHARED_DIR "/gcode/3DBenchy.gcode";
    const char *dir = argc > 2 ? argv[2] : TEST_SHARED_DIR "/oracle/cube-corexy-mzv-pa";
    struct records records = {0};
    const unsigned threads = argc > 3 ? (unsigned)atoi(argv[3]) : 1;
    char config[1024];
    snprintf(config, sizeof config, "%s/printer.cfg", dir);
    static struct rig_result r;
    struct err_info info = {""};
    struct stages t = {.look_s = 1e9};
    double steps = 1.0, commands = 1.0, step_s = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        const struct rig_options options = {.threads = threads, .on_record = i ? NULL : keep_record, .ctx = &records};
        if (rig_run(config, gcode, FREQUENCY_HZ, &options, &r, &info) != OK) {
            fprintf(stderr, "%s\n", info.text);
            return 0;
        }
        t.look_s = r.look_s < t.look_s ? r.look_s : t.look_s;
        step_s = r.step_s < step_s ? r.step_s : step_s;
        if (i + 1 == ROUNDS)
            print_result(&r, threads, &steps, &commands);
        rig_result_deinit(&r);
    }
    size_t sent_bytes = 0;
    unsigned long lines = 0;
    t.solve_s = time_solving(config, gcode, &info);
    t.compress_s = step_s - t.solve_s;
    t.read_s = time_reading(gcode, &lines);
    t.send_s = time_sending(&records, &sent_bytes);
    printf("%lu lines, %zu records in blocks of %zu bytes\n", lines, records.count, sent_bytes);
    if (threads == 1)
        print_stages(&t, steps, commands);
    mem_free(records.items);
    return 0;
}
