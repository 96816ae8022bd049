/* SAVE_CONFIG: values found at run time (PID constants, offsets, meshes) go into a block at the end of the main file.
 *
 *   #*# <---------------------- SAVE_CONFIG ---------------------->
 *   #*# DO NOT EDIT THIS BLOCK OR BELOW. The contents are auto-generated.
 *   #*#
 *   #*# [extruder]
 *   #*# control = pid
 *
 * Changes are collected in the configuration that is loaded (nothing it has read changes) and written by
 * config_save_autosave; a restart then reads them. An option of the block that also stands in the main file above it is
 * commented out there; one that stands in an included file is a conflict, because no file but the main one is ours to
 * edit.
 *
 * One thread, the one that owns the configuration. */
#ifndef SERVER_CONFIG_AUTOSAVE_H
#define SERVER_CONFIG_AUTOSAVE_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct config;

/* Note that SAVE_CONFIG shall write this value. White space around each line of it is dropped. ERR_INVALID: a
 * configuration file cannot hold it (a '#', a line end in a name, ...). */
enum err config_set_autosave(struct config *config, const char *section, const char *option, const char *value,
                             struct err_info *info) ERR_NODISCARD;
/* Note that SAVE_CONFIG shall drop this section from the block. Nothing if it is neither in the block nor noted. */
void config_remove_autosave(struct config *config, const char *section);

bool config_has_pending(const struct config *config);
/* Changes whenever what is pending does. */
uint64_t config_pending_revision(const struct config *config);
/* A configuration of its own that holds nothing but what is pending and where the main file is: what config_save_autosave
 * needs, for another thread. Caller destroys it. */
struct config *config_copy_pending(const struct config *config);
/* JSON {"section": {"option": "value"}, "removed section": null}. Caller frees with mem_free. */
char *config_pending_json(const struct config *config);

/* The text of the main file `text` with the pending changes applied: options of the block are commented out above it.
 * NULL and a text in `info`: `text` cannot be read, or an included file (relative to the main file's folder) holds an
 * option of the block. *has_block (NULL allowed): is there anything in the block? Caller frees with mem_free. */
char *config_apply_autosave(const struct config *config, const char *text, size_t len_bytes, bool *has_block,
                            struct err_info *info);

/* How files are written; the functions are those of POSIX. For tests on bad disks. */
struct config_disk {
    int (*open)(const char *path, int flags, mode_t mode);
    ssize_t (*write)(int fd, const void *data, size_t len_bytes);
    int (*fsync)(int fd);
    int (*close)(int fd);
    int (*link)(const char *from, const char *to);
    int (*rename)(const char *from, const char *to);
    int (*unlink)(const char *path);
};
extern const struct config_disk config_disk_posix;

/* Rewrite the main file. The old one stays beside it as "printer-STAMP.cfg" for "printer.cfg". It is either replaced
 * whole or, on every failure, as it was (and neither a backup nor a temporary file is left over). A symbolic link is
 * followed. stamp     what to put into the backup's name: "20260131_235959" disk      NULL: config_disk_posix *written
 * false: there was nothing to write (NULL allowed) ERR_IO, ERR_INVALID (see config_apply_autosave), ERR_STATE (the
 * configuration is not from a file). Blocks until the disk has it: a printer gives it to its worker (config_copy_pending).
 */
enum err config_save_autosave(const struct config *config, const char *stamp, const struct config_disk *disk,
                              bool *written, struct err_info *info) ERR_NODISCARD;

#endif
