#include "server/machine/object.h"

#include <string.h>

static bool is_number(const char *text)
{
    size_t digits = strspn(text, "0123456789");
    return digits && !text[digits];
}

static bool makes(const struct object_desc *desc, const char *name)
{
    size_t len = strlen(desc->section);
    if (strncmp(name, desc->section, len))
        return false;
    const char *rest = name + len;
    if (!*rest)
        return desc->flags & (OBJECT_EXACT | OBJECT_ALWAYS | OBJECT_ON_DEMAND);
    if (*rest == ' ')
        return (desc->flags & OBJECT_NAMED) && rest[1];
    return (desc->flags & OBJECT_NUMBERED) && is_number(rest);
}

const struct object_desc *object_find_desc(const char *name)
{
    for (size_t i = 0; object_list[i]; i++)
        if (makes(object_list[i], name))
            return object_list[i];
    return NULL;
}
