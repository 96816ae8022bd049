/* The scripts of objects below this folder, see server/machine/script.h. */
#include "server/machine/script.h"

#include "base/mem.h"
#include "server/config/config.h"
#include "server/job/template.h"

#include <string.h>

struct script {
    struct printer *printer;
    struct template *body;
};

struct script *script_read(struct printer *printer, struct config_section *section, const char *option)
{
    const char *text = section_string(section, option);
    if (!text || !text[strspn(text, " \t\r\n")])
        return NULL;
    struct template *body = template_read(section, option);
    if (!body)
        return NULL;
    struct script *script = MEM_NEW(struct script);
    *script = (struct script){printer, body};
    return script;
}

void script_destroy(struct script *script)
{
    if (!script)
        return;
    template_destroy(script->body);
    mem_free(script);
}

enum err script_run(struct script *script, const struct gcode_command *call, struct err_info *info)
{
    if (!script)
        return OK;
    return template_run(script->body, &(struct template_context){.printer = script->printer, .call = call}, info);
}
