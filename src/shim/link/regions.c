/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the shared regions are mapped.
 *
 * Launching threads read grant, board and the activities of owners at any moment, without a lock.
 * So each has one address for the life of the process: a stretch is reserved once (zeros,
 * readable), and a region is mapped over its part of it in one step of the kernel (MAP_FIXED). When
 * an owner goes, zeros are mapped over its activity again; when the daemon comes back, its new
 * grant and board replace the old. A thread that reads in that moment finds the old page or the new
 * one.
 *
 * A region is believed only when its file can be neither cut off nor grown (F_SEAL_SHRINK), since a
 * page beyond the end would kill the program, and when header, version and size are right. What
 * stands inside is checked where it is used.
 *
 * Tested by tests/unit/link_regions.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "shim/link/link.h"

#define PAGE        4096u
#define ROUND(size) (((size) + PAGE - 1) / PAGE * PAGE)

#define GRANT_BYTES     ROUND(sizeof(struct shm_grant))
#define BOARD_BYTES     ROUND(sizeof(struct shm_board))
#define ACTIVITY_BYTES  ROUND(sizeof(struct shm_activity))
#define FILLED_BOUND_NS 1000000u
#define FILLED_GRACE_NS 200000u

#define ALL_BYTES (GRANT_BYTES + BOARD_BYTES + ACTIVITY_BYTES * (1 + SHM_MAX_OWNERS))

/* What a region must look like. */
struct region {
	uint32_t magic;
	size_t bytes;
	int protection;
	void *place;
};

static char *reserved; /* ALL_BYTES */

static void *map_zeros(void *place, size_t bytes)
{
	void *p =
		mmap(place, bytes, PROT_READ,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (place ? MAP_FIXED : 0), -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void *peer_place(uint32_t place)
{
	return reserved + GRANT_BYTES + BOARD_BYTES + ACTIVITY_BYTES * (size_t)(1 + place);
}

/* Own places: writable zeros would hide mistakes, so they are readable only until a region
 * comes. */
int regions_reserve(void)
{
	if (!reserved)
		reserved = map_zeros(NULL, ALL_BYTES);
	if (!reserved)
		return -ENOMEM;
	link_state.grant = (const void *)reserved;
	link_state.board = (const void *)(reserved + GRANT_BYTES);
	link_state.activity = (void *)(reserved + GRANT_BYTES + BOARD_BYTES);
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++)
		link_state.peer[i].activity = peer_place(i);
	return 0;
}

void regions_forget(void)
{
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++)
		__atomic_store_n(&link_state.peer[i].tag, 0, __ATOMIC_RELEASE);
	if (reserved)
		(void)map_zeros(reserved, ALL_BYTES);
}

/* What a process without a daemon has: its own, and one who owns and uses all that is neither. */
int regions_fill(const struct tpcset *own, const struct tpcset *borrow,
		 const struct tpcset *present)
{
	const size_t bytes = GRANT_BYTES + BOARD_BYTES;
	struct shm_grant *grant = mmap(reserved, bytes, PROT_READ | PROT_WRITE,
				       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	struct shm_board *board = (void *)(reserved + GRANT_BYTES);

	if (grant == MAP_FAILED)
		return -ENOMEM;
	grant->state = SHM_GRANT_LIVE;
	grant->owner_index = SHM_NO_OWNER;
	grant->own = *own;
	grant->borrow = *borrow;
	grant->bound_ns = FILLED_BOUND_NS;
	grant->grace_ns = FILLED_GRACE_NS;
	board->nr_owners = 1;
	board->owner[0].state = SHM_OWNER_LIVE;
	board->owner[0].tpcs = tpcset_andnot(*present, tpcset_or(*own, *borrow));
	return mprotect(reserved, bytes, PROT_READ) ? -errno : 0;
}

static int file_is_safe(int fd, size_t bytes)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0)
		return 0;
	return st.st_size >= 0 && (uint64_t)st.st_size >= bytes;
}

static int header_is_good(const struct shm_header *header, const struct region *region)
{
	return __atomic_load_n(&header->magic, __ATOMIC_RELAXED) == region->magic &&
	       __atomic_load_n(&header->version, __ATOMIC_RELAXED) == SHM_VERSION &&
	       __atomic_load_n(&header->bytes, __ATOMIC_RELAXED) >= region->bytes;
}

/* Said, because it lasts until somebody starts another lithosd or another program. */
static int is_of_another_version(const struct shm_header *header, const struct region *region)
{
	static struct log_site site;
	uint32_t version = __atomic_load_n(&header->version, __ATOMIC_RELAXED);

	if (__atomic_load_n(&header->magic, __ATOMIC_RELAXED) != region->magic ||
	    version == SHM_VERSION)
		return 0;
	log_line(&site, LOG_WARN,
		 "msg=\"lithosd's shared memory is of another version than this program's "
		 "lithos\" lithosd_memory=%u memory=%u",
		 version, SHM_VERSION);
	return 1;
}

/* A look at a mapping of its own, so that nothing wrong ever stands at the region's place. */
static int region_check(int fd, const struct region *region, const uint8_t *uuid)
{
	const struct shm_header *header;
	int good;

	if (!file_is_safe(fd, sizeof(*header)))
		return -EPROTO;
	header = mmap(NULL, region->bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return -errno;
	if (is_of_another_version(header, region)) {
		(void)munmap((void *)(uintptr_t)header, region->bytes);
		return -EPROTONOSUPPORT;
	}
	good = file_is_safe(fd, region->bytes) && header_is_good(header, region);
	if (good && uuid)
		good = !memcmp(((const struct shm_board *)(const void *)header)->uuid, uuid, 16);
	(void)munmap((void *)(uintptr_t)header, region->bytes);
	return good ? 0 : -EPROTO;
}

static int region_map(int fd, const struct region *region, const uint8_t *uuid)
{
	int err = region_check(fd, region, uuid);

	if (err)
		return err;
	if (mmap(region->place, region->bytes, region->protection, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return -errno;
	return 0;
}

int region_map_grant(int fd)
{
	return region_map(
		fd,
		&(struct region){SHM_GRANT_MAGIC, sizeof(struct shm_grant), PROT_READ, reserved},
		NULL);
}

int region_map_board(int fd, const uint8_t uuid[16])
{
	return region_map(fd,
			  &(struct region){SHM_BOARD_MAGIC, sizeof(struct shm_board), PROT_READ,
					   reserved + GRANT_BYTES},
			  uuid);
}

int region_map_activity(int fd)
{
	return region_map(fd,
			  &(struct region){SHM_ACTIVITY_MAGIC, sizeof(struct shm_activity),
					   PROT_READ | PROT_WRITE,
					   reserved + GRANT_BYTES + BOARD_BYTES},
			  NULL);
}

int region_map_peer(int fd, uint32_t place, uint32_t generation)
{
	int err;

	if (place >= SHM_MAX_OWNERS)
		return -EPROTO;
	region_drop_peer(place);
	err = region_map(fd,
			 &(struct region){SHM_ACTIVITY_MAGIC, sizeof(struct shm_activity),
					  PROT_READ, peer_place(place)},
			 NULL);
	if (err)
		return err;
	/* pairs with the acquire in lend_owner_is_active(): the memory before its tag */
	__atomic_store_n(&link_state.peer[place].tag, lend_tag(generation), __ATOMIC_RELEASE);
	return 0;
}

void region_drop_peer(uint32_t place)
{
	if (place >= SHM_MAX_OWNERS)
		return;
	/* The tag first: who reads on takes the owner as active. */
	__atomic_store_n(&link_state.peer[place].tag, 0, __ATOMIC_SEQ_CST);
	(void)map_zeros(peer_place(place), ACTIVITY_BYTES);
}
