/* printer.cfg, as far as the rig needs it. */
#ifndef GOLDEN_RIG_CONFIG_H
#define GOLDEN_RIG_CONFIG_H

#include "base/err.h"
#include "base/strmap.h"

struct rig_config {
    struct strmap values; /* "section/option" -> text */
};
enum err rig_config_load(struct rig_config *c, const char *path, struct err_info *info) ERR_NODISCARD;
void rig_config_unload(struct rig_config *c);
const char *rig_config_text(const struct rig_config *c, const char *section, const char *option, const char *fallback);
double rig_config_number(const struct rig_config *c, const char *section, const char *option, double fallback);

#endif
