/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who writes a file beyond the limit of its process (ulimit -f) is killed with SIGXFSZ, and in the
 * shim that is somebody else's program. So the limit is looked at before.
 */
#ifndef LITHOS_BASE_FILE_LIMIT_H
#define LITHOS_BASE_FILE_LIMIT_H

#include <stdint.h>
#include <sys/resource.h>

/* 1 when a file of so many bytes may be written. */
static inline int file_may_have(uint64_t bytes)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY ||
	       limit.rlim_cur >= bytes;
}

#endif
