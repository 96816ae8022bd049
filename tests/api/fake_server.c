/* The whole server over a fake printer: fake_server --data DIR [--www DIR] [--status FILE] [--websockets N] [--port N].
 * Prints "port N" when it listens; ends on SIGTERM or when its standard input closes. */
#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/api/api.h"
#include "server/net/net.h"
#include "server/store/db.h"
#include "server/store/files.h"
#include "tests/api/fake_printer.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static void add_root(struct files *files, const char *data, const char *name, bool is_writable)
{
    struct err_info info;
    char *dir = mem_sprintf("%s/%s", data, name);
    enum err err = files_add_root(files, name, dir, is_writable, &info);
    if (err)
        fprintf(stderr, "%s\n", info.text);
    CHECK(!err);
    mem_free(dir);
}

static void wait_for_end(void)
{
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

/* One JSON object a line, for the contract test. */
static void print_routes(void)
{
    static const char *const VERBS[] = {"get", "post", "delete"};
    size_t count;
    const struct api_route *routes = api_routes(&count);
    for (size_t i = 0; i < count; i++) {
        json_t *verbs = json_array();
        for (unsigned v = 0; v < ARRAY_COUNT(VERBS); v++)
            if (routes[i].verbs & (1u << v))
                json_array_append_new(verbs, json_string(VERBS[v]));
        json_t *line = json_pack("{s:s?, s:s?, s:o, s:b, s:s}", "rpc", routes[i].rpc, "path", routes[i].path, "verbs", verbs,
                                 "bare", (routes[i].flags & API_BARE) != 0, "summary", routes[i].summary);
        char *text = json_dumps(line, 0);
        puts(text);
        free(text);
        json_decref(line);
    }
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && strcmp(argv[1], "--routes") == 0) {
        print_routes();
        return 0;
    }
    const char *data = option(argc, argv, "--data"), *websockets = option(argc, argv, "--websockets");
    const char *upload_max = option(argc, argv, "--upload-max"), *port = option(argc, argv, "--port");
    CHECK(data);
    struct err_info info = {""};
    char *db_path = mem_sprintf("%s/test.sqlite", data), *gcodes = mem_sprintf("%s/gcodes", data);
    struct db *db = NULL;
    struct net *net = NULL;
    struct log *log = log_create(NULL, LOG_WARN, option(argc, argv, "--verbose") != NULL, true);
    struct files *files = files_create();
    add_root(files, data, "gcodes", true);
    add_root(files, data, "config", true);
    add_root(files, data, "logs", false);
    enum err err = db_open(db_path, &db, &info);
    struct fake_printer *fake = fake_printer_create(option(argc, argv, "--status"));
    struct api_options api_options = {
        .log = log,
        .db = db,
        .files = files,
        .status = fake_printer_status(fake),
        .backend = fake_printer_backend(fake),
        .config_file = "printer.cfg",
        .data_dir = data,
        .software_version = "v0.13.0-1-fake",
        .upload_bytes_max = 1024u << 20,
        .websockets_max = websockets ? (unsigned)atoi(websockets) : 50,
    };
    struct api *api = api_create(&api_options);
    struct net_options net_options = {
        .log = log,
        .api = api,
        .files = files,
        .port = port ? (unsigned)atoi(port) : 0,
        .www_dir = option(argc, argv, "--www"),
        .websockets_max = websockets ? (unsigned)atoi(websockets) : 0,
        .upload_bytes_max = upload_max ? strtoull(upload_max, NULL, 10) : 0,
    };
    if (!err)
        err = net_create(&net_options, &net, &info);
    if (err) {
        fprintf(stderr, "%s\n", info.text);
        return 1;
    }
    fake_printer_start(fake, api, gcodes);
    printf("port %u\n", net_port(net));
    fflush(stdout);
    wait_for_end();
    fake_printer_stop(fake);
    net_destroy(net);
    api_destroy(api);
    fake_printer_destroy(fake);
    files_destroy(files);
    db_close(db);
    log_destroy(log);
    mem_free(db_path);
    mem_free(gcodes);
    return 0;
}
