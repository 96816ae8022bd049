/* printer.mmu.*: the states of the print job and the ways out of a locked pause. */
#include "server/api/api_private.h"
#include "server/api/handlers.h"

static void reply_state(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    struct err_info info = {""};
    enum err err = backend->mmu_state(backend->ctx, api_result(call), &info);
    if (err)
        api_reply_err(call, err, &info);
    else
        api_reply(call);
}

void handle_mmu_state(struct api_call *call)
{
    if (api_need_printer(call))
        reply_state(call);
}

static void reply_action(struct api_call *call, enum err err, const struct err_info *info)
{
    if (err)
        api_reply_err(call, err, info);
    else
        api_reply_ok(call);
}

void handle_mmu_pause(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    const char *message = NULL;
    bool is_forced = false;
    if (!api_arg_text(call, "msg", false, &message) || !api_arg_bool(call, "force_in_print", false, &is_forced))
        return;
    struct err_info info = {""};
    enum err err = backend->mmu_pause(backend->ctx, message, is_forced, &info);
    reply_action(call, err, &info);
}

void handle_mmu_unlock(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    struct err_info info = {""};
    enum err err = backend->mmu_unlock(backend->ctx, &info);
    reply_action(call, err, &info);
}

void handle_mmu_resume(struct api_call *call)
{
    const struct api_backend *backend = call->api->options.backend;
    struct err_info info = {""};
    enum err err = backend->mmu_resume(backend->ctx, &info);
    reply_action(call, err, &info);
}
