/* SPDX-License-Identifier: Apache-2.0 */
/* Finding a program, and the programs of MPS in particular. Reads the file system only. */
#ifndef LITHOS_BASE_PROGRAM_FIND_H
#define LITHOS_BASE_PROGRAM_FIND_H

#include <stddef.h>

#define MPS_CONTROL_NAME "nvidia-cuda-mps-control"
#define MPS_SERVER_NAME  "nvidia-cuda-mps-server"

/* Where drivers of containers and of node operators put them; as $PATH. */
#define MPS_USUAL_FOLDERS                                                                          \
	"/usr/bin:/usr/local/bin:/usr/local/nvidia/bin:/opt/nvidia/bin:"                           \
	"/run/nvidia/driver/usr/bin:/home/kubernetes/bin/nvidia/bin"

/* 1 when it is a file that we may run. */
int program_is_at(const char *path);

/*
 * The first absolute folder of the list (as $PATH; NULL: none) that has the program, and its path
 * there. -ENOENT; what does not fit in `size` counts as not there.
 */
int program_find(const char *folders, const char *name, char *ret_path, size_t size);

#endif
