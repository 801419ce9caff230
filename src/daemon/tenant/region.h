/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory of the daemon and its tenants: sealed memfds (include/lithos/shm.h). */
#ifndef LITHOS_DAEMON_REGION_H
#define LITHOS_DAEMON_REGION_H

#include <stddef.h>
#include <stdint.h>

struct shm_header;

enum region_kind {
	REGION_OURS,   /* only the daemon writes: later writable mappings are sealed off */
	REGION_THEIRS, /* a tenant's processes write it, too */
};

struct region {
	void *map; /* writable; NULL = there is no region */
	size_t bytes;
	int fd;      /* writable by those it is given to when THEIRS */
	int fd_read; /* opened for reading only */
};

/* Zeroed memory, sealed against growing, shrinking and further seals. 0 or -errno. */
int region_make(struct region *region, const char *name, size_t bytes, enum region_kind kind);

/*
 * Takes a region that somebody else made, as region_make(REGION_THEIRS) does; fd then belongs to
 * it. -EPROTONOSUPPORT when it is one of another version (the header's magic and version are where
 * they are in all versions); -EBADF when it is anything else. fd is then still the caller's.
 */
int region_adopt(struct region *region, int fd, size_t bytes, uint32_t magic);

/* 1 when fd is the memory of the region. */
int region_is(const struct region *region, int fd);

/* May be called for one that was never made. Mappings of others stay. */
void region_free(struct region *region);

/* Around every change of what is read under the sequence number. */
void region_begin(struct shm_header *header);
void region_end(struct shm_header *header);

#endif
