/* The dumps of motion_report: what was planned and sent of late. Machine thread, from a fiber. */
#ifndef SERVER_TOOLHEAD_MOTION_REPORT_H
#define SERVER_TOOLHEAD_MOTION_REPORT_H

#include "base/err.h"
#include "base/strbuf.h"

struct printer;

/* A JSON object, {"header": [...], "data": [[...], ...]} as Klipper's motion_report/dump_stepper and dump_trapq have it, with
 * what is kept of the time after `since_s` (print time; -INFINITY: everything), the newest 256 entries at most. `name` is one of
 * the lists in motion_report's status; ERR_NOT_FOUND if it is not. */
enum err motion_report_dump_stepper(struct printer *printer, const char *name, double since_s, struct strbuf *out,
                                    struct err_info *info) ERR_NODISCARD;
enum err motion_report_dump_trapq(struct printer *printer, const char *name, double since_s, struct strbuf *out,
                                  struct err_info *info) ERR_NODISCARD;

#endif
