/* What a client wants to see of the printer's objects, and how that becomes text: printer.objects.query once, a
 * subscription again and again as deltas. No lock is held while text is made: it reads one immutable snapshot. */
#ifndef API_SUBSCRIPTION_H
#define API_SUBSCRIPTION_H

#include "base/err.h"
#include "base/strbuf.h"
#include "server/machine/status.h"

#include <jansson.h>

#define SUBSCRIPTION_OBJECTS_MAX 2000
#define SUBSCRIPTION_FIELDS_MAX 200 /* of one object */

struct subscription;

/* `objects`: {"toolhead": null, "extruder": ["target", ...]}. One thread owns it. */
enum err subscription_create(const json_t *objects, struct subscription **out, struct err_info *info) ERR_NODISCARD;
void subscription_destroy(struct subscription *sub); /* NULL allowed */
size_t subscription_object_count(const struct subscription *sub);

/* Append {"toolhead": {...}, ...}: everything asked for. Objects that do not exist are {}, fields that do not null. */
void subscription_write_all(struct subscription *sub, const struct status_snapshot *snapshot, struct strbuf *out);

/* Append {"toolhead": {changed fields}} of what changed since the last write of either kind; false and nothing
 * appended: nothing did. */
bool subscription_write_changes(struct subscription *sub, const struct status_snapshot *snapshot, struct strbuf *out);

#endif
