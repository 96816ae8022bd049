/* Leaving out the moves of excluded objects: where the file believes the toolhead to be, and where it is.
 *
 * The file's moves inside an excluded object are not made; the toolhead stays where it was. Behind it the toolhead
 * catches up: Z with the first Z change, everything with the first X or Y change, filament with the first E change,
 * where a retraction that only the file (or only the toolhead) has made is made good. Pure; one thread. */
#ifndef SERVER_JOB_EXCLUDE_PATH_H
#define SERVER_JOB_EXCLUDE_PATH_H

#include <stdbool.h>

enum { EXCLUDE_X, EXCLUDE_Y, EXCLUDE_Z, EXCLUDE_E, EXCLUDE_AXES };

/* Zeroed, then exclude_path_place: ready. Positions [mm]. */
struct exclude_path {
    double file[EXCLUDE_AXES];    /* end of the file's last move */
    double made[EXCLUDE_AXES];    /* end of the last move that was made, in the file's coordinates */
    double stands[EXCLUDE_E];     /* where the toolhead is, in its own */
    double skipped[EXCLUDE_AXES]; /* end of the last move that was left out, likewise */
    double offset[EXCLUDE_AXES];  /* file minus toolhead */
    double made_e_max, skipped_e_max;
    double e_due; /* filament to make good with the next E or XY move */
    bool is_skipping;
};

/* The toolhead is at `toolhead` (behind the offset). Writes the same place in the file's coordinates to `file`, both
 * may be the same array. */
void exclude_path_place(struct exclude_path *path, const double toolhead[EXCLUDE_AXES], double file[EXCLUDE_AXES]);

/* The file moves to `file`. is_excluded: the object it belongs to is left out. Returns whether a move is to be made,
 * and then where to: `toolhead`. */
bool exclude_path_move(struct exclude_path *path, bool is_excluded, const double file[EXCLUDE_AXES],
                       double toolhead[EXCLUDE_AXES]);

#endif
