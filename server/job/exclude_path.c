#include "server/job/exclude_path.h"

#include <string.h>

static double larger(double a, double b)
{
    return a > b ? a : b;
}

void exclude_path_place(struct exclude_path *path, const double toolhead[EXCLUDE_AXES], double file[EXCLUDE_AXES])
{
    memcpy(path->stands, toolhead, sizeof(path->stands));
    for (int i = 0; i < EXCLUDE_AXES; i++)
        path->file[i] = file[i] = toolhead[i] + path->offset[i];
}

/* How much filament is drawn back: how far E is below the furthest it has been. */
static double retracted(double e_max, double e)
{
    return e_max - e;
}

static void skip(struct exclude_path *path, const double file[EXCLUDE_AXES])
{
    for (int i = 0; i < EXCLUDE_E; i++)
        path->offset[i] = file[i] - path->stands[i];
    path->offset[EXCLUDE_E] += file[EXCLUDE_E] - path->file[EXCLUDE_E];
    memcpy(path->skipped, file, sizeof(path->skipped));
    path->skipped_e_max = larger(path->skipped_e_max, file[EXCLUDE_E]);
}

/* The file is out of the excluded object, the toolhead still where it left it. */
static void leave(struct exclude_path *path)
{
    path->is_skipping = false;
    path->e_due =
        retracted(path->skipped_e_max, path->skipped[EXCLUDE_E]) - retracted(path->made_e_max, path->made[EXCLUDE_E]);
}

static void take_e_due(struct exclude_path *path)
{
    path->offset[EXCLUDE_E] += path->e_due;
    path->e_due = 0;
}

/* Give up offsets as far as this move allows. */
static void catch_up(struct exclude_path *path, const double file[EXCLUDE_AXES])
{
    bool has_xy_offset = path->offset[EXCLUDE_X] != 0 || path->offset[EXCLUDE_Y] != 0;
    bool moves_xy = file[EXCLUDE_X] != path->skipped[EXCLUDE_X] || file[EXCLUDE_Y] != path->skipped[EXCLUDE_Y];
    if (has_xy_offset && moves_xy) {
        path->offset[EXCLUDE_X] = path->offset[EXCLUDE_Y] = path->offset[EXCLUDE_Z] = 0;
        take_e_due(path);
    }
    if (path->offset[EXCLUDE_Z] != 0 && file[EXCLUDE_Z] != path->skipped[EXCLUDE_Z])
        path->offset[EXCLUDE_Z] = 0;
    if (path->e_due != 0 && file[EXCLUDE_E] != path->skipped[EXCLUDE_E])
        take_e_due(path);
}

bool exclude_path_move(struct exclude_path *path, bool is_excluded, const double file[EXCLUDE_AXES],
                       double toolhead[EXCLUDE_AXES])
{
    if (is_excluded) {
        path->is_skipping = true;
        skip(path, file);
        memcpy(path->file, file, sizeof(path->file));
        return false;
    }
    if (path->is_skipping)
        leave(path);
    memcpy(path->file, file, sizeof(path->file));
    memcpy(path->made, file, sizeof(path->made));
    path->made_e_max = larger(path->made_e_max, file[EXCLUDE_E]);
    catch_up(path, file);
    for (int i = 0; i < EXCLUDE_AXES; i++)
        toolhead[i] = file[i] - path->offset[i];
    memcpy(path->stands, toolhead, sizeof(path->stands));
    return true;
}
