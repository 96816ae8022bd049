/* Finding a height by hand: the user lowers the nozzle with TESTZ until paper drags, and says ACCEPT (or NEXT) or
 * ABORT. MANUAL_PROBE, Z_ENDSTOP_CALIBRATE and other calibrations are users of it. Machine thread. */
#ifndef SERVER_TOOLHEAD_MANUAL_PROBE_H
#define SERVER_TOOLHEAD_MANUAL_PROBE_H

#include "base/err.h"

struct printer;

/* Called once at the end, in the fiber of the command that ends it: x y z of the toolhead by its motors, or NULL if it
 * was aborted or failed. */
typedef enum err manual_probe_done_fn(void *ctx, const double *position_mm, struct err_info *info);

/* Begin; returns at once, the commands TESTZ, ACCEPT, NEXT and ABORT exist from here to the end. speed_mm_s > 0: of the
 * moves. ERR_STATE: one is running already. `ctx` is kept until the end. In a fiber. */
enum err manual_probe_begin(struct printer *printer, double speed_mm_s, manual_probe_done_fn *fn, void *ctx,
                            struct err_info *info) ERR_NODISCARD;
/* ERR_STATE, with the words for it, while one is running. */
enum err manual_probe_check_free(const struct printer *printer, struct err_info *info) ERR_NODISCARD;

#endif
