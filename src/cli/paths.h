/* SPDX-License-Identifier: Apache-2.0 */
/* Where the parts of lithos lie: beside the executable (a build tree, an unpacked archive) or
 * installed. */
#ifndef LITHOS_CLI_PATHS_H
#define LITHOS_CLI_PATHS_H

#include <stddef.h>

#define PATHS_MAX     4096
#define PATHS_LIBRARY "libcuda.so.1"

/*
 * The folder that holds the shim's libcuda.so.1. -ENOENT: none; ret_folder then names the folder
 * beside the executable, which is where it was missed first.
 */
int paths_shim_folder(char *ret_folder, size_t size);

/* The simulated driver; -ENOENT as above, ret_path names the file that was missed first. */
int paths_sim_library(char *ret_path, size_t size);

/* The daemon: beside the executable, or its bare name for a search on PATH. */
void paths_lithosd(char *ret_path, size_t size);

#endif
