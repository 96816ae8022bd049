/* The little of OctoPrint's interface that slicers ask before they upload. */
#include "server/api/api_private.h"
#include "server/api/handlers.h"

void handle_octoprint_version(struct api_call *call)
{
    strbuf_adds(api_result(call), "{\"server\":\"" API_VERSION_TEXT "\",\"api\":\"0.1\",\"text\":\"OctoPrint (Moonraker " API_MOONRAKER_VERSION
                                  ")\"}");
    api_reply(call);
}

void handle_octoprint_server(struct api_call *call)
{
    bool is_ready = api_klippy_state(call->api, NULL, 0) == API_KLIPPY_READY;
    strbuf_addf(api_result(call), "{\"server\":\"" API_VERSION_TEXT "\",\"safemode\":%s}", is_ready ? "null" : "\"settings\"");
    api_reply(call);
}
