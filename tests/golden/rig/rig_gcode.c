#include "rig/rig_internal.h"

#include "base/check.h"
#include "base/fmath.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16

struct words {
    const char *word[WORDS_MAX];
    int count;
};

static struct words split(char *line)
{
    line[strcspn(line, ";#\r\n")] = '\0';
    struct words w = {.count = 0};
    for (char *p = strtok(line, " \t"); p && w.count < WORDS_MAX; p = strtok(NULL, " \t"))
        w.word[w.count++] = p;
    return w;
}

/* Value of "X10" (letter) or "NAME=10" (name); NULL: absent. */
static const char *parameter(const struct words *w, const char *name)
{
    const size_t len = strlen(name);
    for (int i = 1; i < w->count; i++)
        if (strncasecmp(w->word[i], name, len) == 0)
            return len == 1 ? w->word[i] + 1 : w->word[i][len] == '=' ? w->word[i] + len + 1 : NULL;
    return NULL;
}

static void targets(struct rig *r, const struct words *w, double target_mm[4])
{
    static const char *const letters[] = {"X", "Y", "Z", "E"};
    memcpy(target_mm, r->pos_mm, sizeof r->pos_mm);
    for (int i = 0; i < 4; i++) {
        const char *text = parameter(w, letters[i]);
        const bool is_absolute = i < 3 ? r->is_absolute : r->is_absolute && r->is_e_absolute;
        if (text)
            target_mm[i] = strtod(text, NULL) + (is_absolute ? r->base_mm[i] : r->pos_mm[i]);
    }
    const char *f = parameter(w, "F");
    if (f)
        r->speed_mm_s = strtod(f, NULL) / 60.0;
}

static enum err do_arc(struct rig *r, const struct words *w, bool is_clockwise, struct err_info *info)
{
    double end[4];
    targets(r, w, end);
    const char *i_text = parameter(w, "I"), *j_text = parameter(w, "J");
    const double i = i_text ? strtod(i_text, NULL) : 0.0, j = j_text ? strtod(j_text, NULL) : 0.0;
    double start[4];
    memcpy(start, r->pos_mm, sizeof start);
    const double cx = start[0] + i, cy = start[1] + j, radius = fm_hypot(i, j);
    const double ax = -i, ay = -j, bx = end[0] - cx, by = end[1] - cy;
    double angle = fm_atan2(ax * by - ay * bx, ax * bx + ay * by);
    if (angle < 0.0)
        angle += 2.0 * FM_PI;
    if (is_clockwise)
        angle -= 2.0 * FM_PI;
    if (angle == 0.0 && start[0] == end[0] && start[1] == end[1])
        angle = 2.0 * FM_PI;
    const double length = fm_hypot(radius * angle, end[2] - start[2]);
    const int segments = (int)fmax(1.0, fm_floor(length / r->arc_resolution_mm));
    for (int k = 1; k < segments; k++) {
        double s, c, point[4];
        fm_sincos(angle * k / segments, &s, &c);
        point[0] = cx + ax * c - ay * s;
        point[1] = cy + ax * s + ay * c;
        point[2] = start[2] + (end[2] - start[2]) * k / segments;
        point[3] = start[3] + (end[3] - start[3]) * k / segments;
        enum err err = rig_move(r, point, info);
        if (err != OK)
            return err;
    }
    return rig_move(r, end, info);
}

static enum err do_velocity_limit(struct rig *r, const struct words *w)
{
    const char *v = parameter(w, "VELOCITY"), *a = parameter(w, "ACCEL"), *s = parameter(w, "SQUARE_CORNER_VELOCITY"),
               *m = parameter(w, "MINIMUM_CRUISE_RATIO");
    if (v)
        r->limits.max_velocity_mm_s = strtod(v, NULL);
    if (a)
        r->limits.max_accel_mm_s2 = strtod(a, NULL);
    if (s)
        r->limits.square_corner_velocity_mm_s = strtod(s, NULL);
    if (m)
        r->limits.minimum_cruise_ratio = strtod(m, NULL);
    return OK;
}

enum err rig_line(struct rig *r, char *line, struct err_info *info)
{
    const struct words w = split(line);
    if (w.count == 0)
        return OK;
    const char *c = w.word[0];
    if (!strcmp(c, "G1") || !strcmp(c, "G0")) {
        double end[4];
        targets(r, &w, end);
        return rig_move(r, end, info);
    }
    if (!strcmp(c, "G2") || !strcmp(c, "G3"))
        return do_arc(r, &w, c[1] == '2', info);
    if (!strcmp(c, "G90") || !strcmp(c, "G91"))
        r->is_absolute = c[2] == '0';
    else if (!strcmp(c, "M82") || !strcmp(c, "M83"))
        r->is_e_absolute = c[2] == '2';
    else if (!strcmp(c, "G92")) {
        const char *e = parameter(&w, "E");
        if (e)
            r->base_mm[3] = r->pos_mm[3] - strtod(e, NULL);
    } else if (!strcmp(c, "M204")) {
        const char *s = parameter(&w, "S");
        if (s)
            r->limits.max_accel_mm_s2 = strtod(s, NULL);
    } else if (!strcmp(c, "SET_VELOCITY_LIMIT"))
        return do_velocity_limit(r, &w);
    else if (!strcmp(c, "SET_PRESSURE_ADVANCE")) {
        const char *k = parameter(&w, "ADVANCE");
        return k ? rig_set_advance(r, strtod(k, NULL), info) : OK;
    } else if (!strcmp(c, "G4") || !strcmp(c, "M73") || !strcmp(c, "TIMELAPSE_TAKE_FRAME")) {
        const char *p = c[0] == 'G' ? parameter(&w, "P") : NULL; /* the others are macros of the cases: G4 P0 */
        rig_dwell(r, p ? strtod(p, NULL) / 1000.0 : 0.0);
    } else if (!strcmp(c, "M400") || !strcmp(c, "END_PRINT"))
        rig_dwell(r, 0.0);
    else if (!strcmp(c, "START_PRINT")) {
        rig_set_position(r, (const double[3]){0.0, 0.0, 5.0});
        r->is_absolute = true;
    } else if (!strcmp(c, "SYNC_EXTRUDER_MOTION"))
        return rig_bind_stepper(r, parameter(&w, "EXTRUDER"), parameter(&w, "MOTION_QUEUE"), info);
    return OK;
}
