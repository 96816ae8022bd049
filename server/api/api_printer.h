/* The API's backend over the real printer: what struct api_backend asks, answered by server/machine, server/job and
 * server/mmu. The host attaches each new printer and detaches it before it is destroyed. */
#ifndef API_API_PRINTER_H
#define API_API_PRINTER_H

struct api_backend;
struct api_printer;
struct boards;
struct printer;

/* `wake` (any thread) must make the machine actor call api_machine_run soon; kept. */
struct api_printer *api_printer_create(void (*wake)(void *ctx), void *ctx);
void api_printer_destroy(struct api_printer *ap); /* NULL allowed */
const struct api_backend *api_printer_backend(struct api_printer *ap);
/* The present printer, NULL while there is none. Machine thread. */
void api_printer_attach(struct api_printer *ap, struct printer *printer);
/* Its boards, as soon as there are any; NULL before they are destroyed. Machine thread. */
void api_printer_set_boards(struct api_printer *ap, struct boards *boards);

#endif
