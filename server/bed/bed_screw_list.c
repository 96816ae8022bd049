/* The bed's screws, as two tools know them. */
#include "server/bed/bed_screw_list.h"

#include "server/config/config.h"

#include <stdio.h>

#define SCREWS_LEAST 3

void bed_screw_read_place(struct config_section *section, const char *option, double out[2])
{
    struct config_numbers list = section_numbers(section, option);
    for (size_t i = 0; i < 2 && list.count == 2; i++)
        out[i] = list.items[i];
}

bool bed_screw_read(struct bed_screw *screw, unsigned n, struct config_section *section)
{
    char place[16], name[24];
    (void)snprintf(place, sizeof place, "screw%u", n);
    (void)snprintf(name, sizeof name, "screw%u_name", n);
    if (!section_has(section, place))
        return false;
    bed_screw_read_place(section, place, screw->place_mm);
    (void)snprintf(screw->usual_name, sizeof screw->usual_name, "screw at %.3f,%.3f", screw->place_mm[0], screw->place_mm[1]);
    screw->name = section_string_or(section, name, screw->usual_name);
    return true;
}

bool bed_screw_check_count(size_t count, const char *tool, struct config_section *section)
{
    if (count < SCREWS_LEAST)
        config_error_section(section, "%s: Must have at least three screws", tool);
    return count >= SCREWS_LEAST;
}
