/* Which part of the bed the objects of the present print stand on. Asked by bed_mesh with an event that exclude_object,
 * which knows the objects and stands above this folder, answers. Machine thread. */
#ifndef SERVER_BED_PRINT_AREA_H
#define SERVER_BED_PRINT_AREA_H

#include <stddef.h>

#define PRINT_AREA_EVENT "bed_mesh:print_area" /* data: struct print_area *, zeroed */

/* The least rectangle round the outlines of all objects that have one. */
struct print_area {
    size_t count; /* objects with an outline; 0: none, the rest means nothing */
    double min_mm[2], max_mm[2];
};

#endif
