/* The object mmu_machine: the units of a multi-material unit and their gates, as users' interfaces draw them. There is none
 * yet, and saying so keeps them from drawing one they make up. */
#include "server/machine/object.h"
#include "server/machine/status.h"

static void status(struct printer_object *obj, struct status_writer *writer)
{
    (void)obj;
    status_int(writer, "num_units", 0);
}

static const struct status_field_desc fields[] = {{"num_units", "int", "units of the machine"}};

const struct object_desc mmu_machine_desc = {
    .section = "mmu_machine",
    .flags = OBJECT_EXACT | OBJECT_ON_DEMAND | OBJECT_INTERNAL,
    .help = "The units of the multi-material unit.",
    .size_bytes = sizeof(struct printer_object),
    OBJECT_FIELDS(fields),
    .status = status,
};
