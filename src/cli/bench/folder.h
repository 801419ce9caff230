/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of one run, and where bench's own programs lie. */
#ifndef LITHOS_CLI_BENCH_FOLDER_H
#define LITHOS_CLI_BENCH_FOLDER_H

#include "cli/bench/bench.h"

/* Under $TMPDIR or /tmp, its name short enough for sockets in it; mode 0700. -errno. */
int folder_make(char *ret_path, size_t size);

/* Removes it with everything in it; follows no link. */
void folder_remove(const char *path);

/* Fills exe and programs; -ENOENT: the programs are not beside lithos, programs names where. */
int folder_find_programs(struct bench *bench);

#endif
