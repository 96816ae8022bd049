/* The bed's screws as the configuration names them: screw1, screw2, ... Machine thread. */
#ifndef SERVER_BED_BED_SCREW_LIST_H
#define SERVER_BED_BED_SCREW_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct config_section;

#define BED_SCREWS_MAX 99

/* Zeroed before it is read; stays where it is (a name may point into it). */
struct bed_screw {
    double place_mm[2];
    char usual_name[64]; /* without an option for it */
    const char *name;    /* of the configuration, or usual_name */
};

/* Read screw<n> and screw<n>_name into `screw`, n from 1 to BED_SCREWS_MAX. False: there is no such screw. What is wrong with
 * it is added to the configuration's errors. */
bool bed_screw_read(struct bed_screw *screw, unsigned n, struct config_section *section);
/* Two numbers of an option that is there; wrong ones leave `out` as it is and are added to the errors. */
void bed_screw_read_place(struct config_section *section, const char *option, double out[2]);
/* Adds an error unless there are three at least; `tool`: the section's kind. */
bool bed_screw_check_count(size_t count, const char *tool, struct config_section *section);

#define BED_SCREW_OPTIONS(place_help)                                                                                  \
    {.name = "screw<n>",                                                                                               \
     .type = OPTION_FLOAT_LIST,                                                                                        \
     .flags = OPTION_REQUIRED,                                                                                         \
     .unit = "mm",                                                                                                     \
     .count = 2,                                                                                                       \
     .help = place_help},                                                                                              \
    {                                                                                                                  \
        .name = "screw<n>_name", .type = OPTION_STRING, .default_text = "its place", .help = "What the screw is called"\
    }

#endif
