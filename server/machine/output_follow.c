#include "server/machine/output_follow.h"

#include "base/fiber.h"
#include "server/machine/printer.h"
#include "server/machine/templated.h"

/* In a fiber: one value after the other, until there is no newer one. */
static void follow_fiber(void *arg)
{
    struct output_follow *follow = arg;
    struct err_info info;
    enum err err = OK;
    while (follow->is_wanted && err == OK) {
        follow->is_wanted = false;
        err = follow->set(follow->ctx, follow->wanted, &info);
    }
    follow->fiber = NULL;
}

/* A template that fails, or gives no number, turns its output off. */
static void on_text(void *ctx, const char *text)
{
    struct output_follow *follow = ctx;
    double value = 0;
    if (!text || !templated_number(follow->printer, follow->what, text, &value))
        value = 0;
    follow->wanted = value < 0 ? 0 : value > 1 ? 1 : value;
    follow->is_wanted = true;
    if (!follow->fiber) /* NULL again: all fibers are in use, the next text comes soon */
        follow->fiber = fiber_spawn(follow->printer->fibers, "template", follow_fiber, follow);
}

enum err output_follow_assign(struct output_follow *follow, struct gcode_command *cmd, struct err_info *info)
{
    return templated_assign(follow->printer, cmd, on_text, follow, info);
}
