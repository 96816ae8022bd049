/* machine.*: the computer. */
#include "server/api/api_private.h"
#include "server/api/handlers.h"
#include "server/api/proc_stats.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

void handle_machine_proc_stats(struct api_call *call)
{
    proc_stats_add_all(call->api->proc_stats, api_result(call));
    api_reply(call);
}

/* The value behind "key<sep>" in a file of such lines, without quotes; "" if there is none. Caller frees. */
static char *file_value(const char *path, const char *key, char separator)
{
    char line[512];
    char *found = NULL;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file)) {
        size_t len = strlen(key);
        char *at = line + len;
        if (strncmp(line, key, len) != 0 || *(at += strspn(at, " \t")) != separator)
            continue;
        at += 1 + strspn(at + 1, " \t\"");
        found = mem_strndup(at, strcspn(at, "\"\n"));
    }
    if (file)
        fclose(file);
    return found ? found : mem_strdup("");
}

static json_t *take_text(char *text)
{
    json_t *value = json_string(text);
    mem_free(text);
    return value ? value : json_string("");
}

static json_t *cpu_info(const struct api *api)
{
    struct utsname uts;
    uname(&uts);
    char *total = file_value("/proc/meminfo", "MemTotal", ':');
    json_t *info = json_object();
    json_object_set_new(info, "cpu_count", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
    json_object_set_new(info, "bits", json_string(sizeof(void *) == 8 ? "64bit" : "32bit"));
    json_object_set_new(info, "processor", json_string(uts.machine));
    json_object_set_new(info, "cpu_desc", json_string(api->cpu_model));
    json_object_set_new(info, "serial_number", take_text(file_value("/proc/cpuinfo", "Serial", ':')));
    json_object_set_new(info, "hardware_desc", take_text(file_value("/proc/cpuinfo", "Hardware", ':')));
    json_object_set_new(info, "model", take_text(file_value("/proc/cpuinfo", "Model", ':')));
    json_object_set_new(info, "total_memory", json_integer(strtol(total, NULL, 10)));
    json_object_set_new(info, "memory_units", json_string("kB"));
    mem_free(total);
    return info;
}

static json_t *distribution(void)
{
    static const char OS[] = "/etc/os-release";
    struct utsname uts;
    uname(&uts);
    json_t *info = json_object();
    char *version = file_value(OS, "VERSION_ID", '=');
    char *dot = strchr(version, '.');
    json_object_set_new(info, "name", take_text(file_value(OS, "PRETTY_NAME", '=')));
    json_object_set_new(info, "id", take_text(file_value(OS, "ID", '=')));
    json_object_set_new(info, "version", json_string(version));
    json_t *parts = json_object();
    json_object_set_new(parts, "major", json_stringn(version, dot ? (size_t)(dot - version) : strlen(version)));
    json_object_set_new(parts, "minor", json_string(dot ? dot + 1 : ""));
    json_object_set_new(parts, "build_number", json_string(""));
    json_object_set_new(info, "version_parts", parts);
    json_object_set_new(info, "like", take_text(file_value(OS, "ID_LIKE", '=')));
    json_object_set_new(info, "codename", take_text(file_value(OS, "VERSION_CODENAME", '=')));
    json_object_set_new(info, "release_info", json_object());
    json_object_set_new(info, "kernel_version", json_string(uts.release));
    mem_free(version);
    return info;
}

static json_t *link_entry(json_t *network, const char *name)
{
    json_t *entry = json_object_get(network, name);
    if (!entry) {
        entry = json_pack("{s:s, s:[]}", "mac_address", "", "ip_addresses");
        json_object_set_new(network, name, entry);
    }
    return entry;
}

static void add_address(json_t *entry, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "";
    bool is_v6 = address->sa_family == AF_INET6, is_local = false;
    if (is_v6) {
        const struct sockaddr_in6 *in6 = (const void *)address;
        inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof text);
        is_local = IN6_IS_ADDR_LINKLOCAL(&in6->sin6_addr);
    } else {
        const struct sockaddr_in *in = (const void *)address;
        inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
        is_local = (ntohl(in->sin_addr.s_addr) >> 16) == 0xa9fe;
    }
    json_array_append_new(json_object_get(entry, "ip_addresses"),
                          json_pack("{s:s, s:s, s:b}", "family", is_v6 ? "ipv6" : "ipv4", "address", text,
                                    "is_link_local", (int)is_local));
}

static json_t *network(void)
{
    json_t *all = json_object();
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return all;
    for (struct ifaddrs *at = list; at; at = at->ifa_next) {
        if (!at->ifa_addr || (at->ifa_flags & IFF_LOOPBACK) || !(at->ifa_flags & IFF_UP))
            continue;
        if (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6)
            add_address(link_entry(all, at->ifa_name), at->ifa_addr);
    }
    for (struct ifaddrs *at = list; at; at = at->ifa_next) {
        json_t *entry = at->ifa_addr && at->ifa_addr->sa_family == AF_PACKET ? json_object_get(all, at->ifa_name) : NULL;
        if (!entry)
            continue;
        const unsigned char *mac = ((const struct sockaddr_ll *)(const void *)at->ifa_addr)->sll_addr;
        char text[18];
        snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
        json_object_set_new(entry, "mac_address", json_string(text));
    }
    freeifaddrs(list);
    return all;
}

void handle_machine_system_info(struct api_call *call)
{
    json_t *info = json_object();
    json_object_set_new(info, "cpu_info", cpu_info(call->api));
    json_object_set_new(info, "sd_info", json_object());
    json_object_set_new(info, "distribution", distribution());
    json_object_set_new(info, "virtualization", json_pack("{s:s, s:s}", "virt_type", "none", "virt_identifier", "none"));
    json_object_set_new(info, "network", network());
    json_object_set_new(info, "canbus", json_object());
    json_object_set_new(info, "provider", json_string("none"));
    json_object_set_new(info, "available_services", json_array());
    json_object_set_new(info, "service_state", json_object());
    json_object_set_new(info, "instance_ids", json_pack("{s:s, s:s}", "moonraker", "moonraker", "klipper", "klipper"));
    api_reply_json(call, json_pack("{s:o}", "system_info", info));
}

void machine_describe_cpu(char **model, char **summary)
{
    *model = file_value("/proc/cpuinfo", "model name", ':');
    *summary = mem_sprintf("%ld core %s", sysconf(_SC_NPROCESSORS_ONLN), *model);
}
