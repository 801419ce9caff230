/* SPDX-License-Identifier: Apache-2.0 */
/* A second process that raises a flag of the first one, and how a flag is raised. */
#ifndef LITHOS_TESTS_PRELUDES_PEER_H
#define LITHOS_TESTS_PRELUDES_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include <cuda.h>

/* A stream of the highest priority. */
CUstream urgent_stream(void);
/* The flag is up when this returns. */
void flag_raise(CUstream stream, CUdeviceptr flag);

/* The second process' main: `hex` is the handle. */
int peer_main(const char *hex);

/* Starts it with the memory that holds the flag, and waits until it has that open. -1: no. */
pid_t peer_start(CUdeviceptr flag);
/* The flag is up when this returns true. */
bool peer_raise(void);
/* Whether it ended well. */
bool peer_stop(pid_t pid);

#endif
