/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that crosses process borders.
 *
 * A memfd is sealed against shrinking, so that no mapping of it can ever fault, and against further
 * seals, so that nobody can freeze it under its writers. Regions that only the daemon writes are
 * also sealed against future writing, after the daemon's own mapping was made: whatever descriptor
 * of it a tenant gets hold of, it cannot write. For a tenant's activity that is impossible; other
 * tenants get a descriptor opened for reading only, and the file belongs to the daemon with mode
 * 0600, so another user cannot open it again for writing through /proc.
 *
 * A tenant of the user that a private daemon runs as can. It could attach a debugger to its victim
 * as well; lithos is no border between programs of one user.
 *
 * Readers copy under a sequence number: odd while a change is being made. One writer, the daemon's
 * only thread. Tested by tests/unit/daemon_region.c.
 */
#include "daemon/tenant/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lithos/shm.h>

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define MAX_SLACK    65536u /* of the last page, whatever its size */
#define SEALS_NEEDED (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int open_for_reading(int fd)
{
	char path[64];
	int r;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = open(path, O_RDONLY | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* Maps the descriptor and opens it again; the seals are the caller's. */
static int region_map(struct region *region, int fd, size_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	int fd_read;

	if (map == MAP_FAILED)
		return -errno;
	fd_read = open_for_reading(fd);
	if (fd_read < 0) {
		(void)munmap(map, bytes);
		return fd_read;
	}
	*region = (struct region){.map = map, .bytes = bytes, .fd = fd, .fd_read = fd_read};
	return 0;
}

/* The seal against future writing is from Linux 5.1; without it the descriptor's mode holds. */
static int region_seal(int fd, enum region_kind kind)
{
	if (kind == REGION_OURS && fcntl(fd, F_ADD_SEALS, SEALS_NEEDED | F_SEAL_FUTURE_WRITE) == 0)
		return 0;
	return fcntl(fd, F_ADD_SEALS, SEALS_NEEDED) < 0 ? -errno : 0;
}

int region_make(struct region *region, const char *name, size_t bytes, enum region_kind kind)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0)
		r = -errno;
	if (r == 0)
		r = region_map(region, fd, bytes);
	if (r < 0) {
		(void)close(fd);
		return r;
	}
	r = region_seal(fd, kind);
	if (r < 0)
		region_free(region);
	return r;
}

static int header_has(int fd, uint32_t magic, struct shm_header *ret_header)
{
	return pread(fd, ret_header, sizeof(*ret_header), 0) == (ssize_t)sizeof(*ret_header) &&
	       ret_header->magic == magic;
}

int region_adopt(struct region *region, int fd, size_t bytes, uint32_t magic)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct shm_header header;
	struct stat st;

	/* Only memory files know seals at all. */
	if (seals < 0 || (seals & SEALS_NEEDED) != SEALS_NEEDED ||
	    (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)))
		return -EBADF;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !header_has(fd, magic, &header))
		return -EBADF;
	if (header.version != SHM_VERSION)
		return -EPROTONOSUPPORT;
	/* Memory beyond the end would take time to give back. */
	if ((size_t)st.st_size != bytes || header.bytes != bytes ||
	    (uint64_t)st.st_blocks * 512 > bytes + MAX_SLACK)
		return -EBADF;
	return region_map(region, fd, bytes) < 0 ? -EBADF : 0;
}

int region_is(const struct region *region, int fd)
{
	struct stat a;
	struct stat b;

	return region->map && fstat(fd, &a) == 0 && fstat(region->fd, &b) == 0 &&
	       a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

void region_free(struct region *region)
{
	if (!region->map)
		return;
	(void)munmap(region->map, region->bytes);
	(void)close(region->fd);
	(void)close(region->fd_read);
	memset(region, 0, sizeof(*region));
}

static _Atomic uint32_t *sequence_of(struct shm_header *header)
{
	return (_Atomic uint32_t *)&header->sequence;
}

void region_begin(struct shm_header *header)
{
	uint32_t now = atomic_load_explicit(sequence_of(header), memory_order_relaxed);

	/* The odd number must be seen before any of the change, which an exchange sees to where a
	 * store would not (and ThreadSanitizer knows no fences); pairs with the reader's acquiring
	 * loads before it looks at the number again. */
	(void)atomic_exchange_explicit(sequence_of(header), now + 1, memory_order_acq_rel);
}

void region_end(struct shm_header *header)
{
	uint32_t now = atomic_load_explicit(sequence_of(header), memory_order_relaxed);

	/* All of the change must be seen before the even number; pairs with the reader's first,
	 * acquiring load. */
	atomic_store_explicit(sequence_of(header), now + 1, memory_order_release);
}
