/* Refreshing and publishing the status of a printer's objects. */
#include "server/machine/printer_private.h"

#include "base/mem.h"
#include "base/strbuf.h"
#include "server/machine/status.h"

/* Objects whose values change with time alone (temperatures, positions) are looked at this often. State changes call
 * printer_status_touch and appear at once. */
#define STATUS_PERIOD_REAL_S 0.1
#define STATUS_PERIOD_VIRTUAL_S 0.25

void printer_status_touch(struct printer_object *obj)
{
    struct printer_private *p = priv(obj->printer);
    (void)obj;
    if (p->is_status_touched)
        return;
    p->is_status_touched = true;
    actor_notify(obj->printer->services->machine);
}

char *printer_status_json(struct printer_object *obj)
{
    struct strbuf json;
    strbuf_init(&json);
    if (!obj->status) {
        strbuf_adds(&json, "{}");
        return strbuf_take(&json);
    }
    (void)status_entry_refresh(obj->status, obj, obj->desc->status);
    status_entry_json(obj->status, &json);
    return strbuf_take(&json);
}

void printer_refresh_status(struct printer *printer)
{
    struct printer_private *p = priv(printer);
    if (!printer->services->status)
        return;
    p->is_status_touched = false;
    for (struct printer_object *obj = p->first; obj; obj = obj->next)
        if (obj->status)
            (void)status_entry_refresh(obj->status, obj, obj->desc->status);
    (void)status_publish(printer->services->status, printer_now_s(printer));
}

struct host_ns printer_publish(struct printer *printer, struct host_ns now)
{
    struct printer_private *p = priv(printer);
    if (!printer->services->status)
        return HOST_NS_NEVER;
    if (!p->is_status_touched && host_ns_before(now, p->status_due))
        return p->status_due;
    if (!host_ns_before(now, p->status_due))
        p->status_due = host_ns_add_s(now, runtime_is_virtual(printer->services->runtime) ? STATUS_PERIOD_VIRTUAL_S
                                                                                         : STATUS_PERIOD_REAL_S);
    printer_refresh_status(printer);
    return p->status_due;
}
