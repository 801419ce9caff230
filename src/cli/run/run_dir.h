/* SPDX-License-Identifier: Apache-2.0 */
/* The private folder of one `lithos run`: where each process of the tenant leaves its statistics.
 */
#ifndef LITHOS_CLI_RUN_RUN_DIR_H
#define LITHOS_CLI_RUN_RUN_DIR_H

#include <stddef.h>

/* Makes a folder of mode 0700 under $XDG_RUNTIME_DIR, or /tmp when that does not work; -errno. */
int run_dir_make(char *ret_path, size_t size);

/* Removes the folder and the files in it; sub-folders, which lithos does not make, are left alone.
 */
void run_dir_remove(const char *path);

#endif
