/* An upload, once its bytes are on disk: checked, put in its place, read for metadata, told to everyone, printed. */
#ifndef API_UPLOAD_H
#define API_UPLOAD_H

#include "server/api/api.h"

#define UPLOAD_DIGEST_BYTES 64 /* hexadecimal characters of SHA-256 */

/* What the form held. Texts are owned (mem_alloc). */
struct api_upload {
    char *temp;     /* the received file; gone afterwards in any case. NULL: there was no file part */
    char *filename; /* as the client said */
    char *root;     /* NULL: gcodes */
    char *path;     /* folder below the root; NULL: none */
    char *checksum; /* SHA-256 the client expects; NULL: none */
    char digest[UPLOAD_DIGEST_BYTES + 1]; /* SHA-256 of what came */
    bool wants_print;
    bool is_octoprint; /* came through /api/files/local */
};
void api_upload_deinit(struct api_upload *upload); /* deletes the temporary file if it is still there */

/* Finish the upload on the worker and reply to `call` (201, or the error). Takes `upload`. Any thread. */
void api_upload_submit(struct api_call *call, struct api_upload *take_upload);

/* The folder for temporary files, made if missing; files of earlier runs are deleted by api_create. */
const char *api_upload_dir(const struct api *api);

#endif
