/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topology files: a header with magic, format and checksum, then struct topology as it lies in
 * memory.
 *
 * A wrong topology hangs launches, so a file is believed only when everything agrees: owner, size,
 * checksum, UUID, driver, SM count, and topology_check. The checksum (FNV-1a) finds torn and rotten
 * files, not forged ones; against those there is the owner. The format is not portable between
 * machines of different byte order, and need not be: the UUID names one GPU in one machine.
 *
 * Not synced to disk: after a power failure the file may be empty, which reads as damaged and is
 * probed again. Tested by tests/unit/topology_cache.c: round trip, every way to be stale, every
 * byte flipped.
 */
#include "hw/topo_cache.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/topology.h"

#define CACHE_MAGIC  0x4f504f54u /* "TOPO" */
#define CACHE_FORMAT 1u

struct cache_file {
	uint32_t magic;
	uint32_t format;
	uint32_t bytes; /* of the topology */
	uint32_t reserved;
	uint64_t checksum; /* of the topology */
	struct topology topo;
	uint32_t tail; /* zero; keeps the size a multiple of 8 without hidden bytes */
};

static_assert(sizeof(struct topology) == 692, "struct topology changed: raise CACHE_FORMAT");
static_assert(sizeof(struct cache_file) == 24 + 692 + 4, "no padding");

static uint64_t checksum_of(const struct topology *topo)
{
	unsigned char bytes[sizeof(*topo)];
	uint64_t hash = 0xcbf29ce484222325u;

	memcpy(bytes, topo, sizeof(bytes));
	for (size_t i = 0; i < sizeof(bytes); i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

static int path_of(const char *folder, const uint8_t uuid[16], char *path, size_t size)
{
	char hex[33];

	for (size_t i = 0; i < 16; i++)
		(void)snprintf(hex + 2 * i, 3, "%02x", uuid[i]);
	int n = snprintf(path, size, "%s/topology-%s.bin", folder, hex);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

static int file_is_trusted(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	return st.st_uid == geteuid() || st.st_uid == 0;
}

static int read_file(const char *path, struct cache_file *file)
{
	/* One byte more than a good file has, to notice a longer one. */
	char bytes[sizeof(*file) + 1] = {0};
	int r = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (!file_is_trusted(fd)) {
		r = -EPERM;
		goto out;
	}
	ssize_t n = read(fd, bytes, sizeof(bytes));
	if (n < 0)
		r = -errno;
	else if (n != (ssize_t)sizeof(*file))
		r = n >= 8 ? -EMSGSIZE : -EBADMSG;
	memcpy(file, bytes, sizeof(*file));
out:
	close(fd);
	return r;
}

static int key_matches(const struct topo_cache_key *key, const struct topology *topo)
{
	return !memcmp(key->uuid, topo->uuid, sizeof(key->uuid)) &&
	       key->driver_version == topo->driver_version && key->nr_sms == topo->nr_sms;
}

int topo_cache_load(const char *folder, const struct topo_cache_key *key, struct topology *ret_topo)
{
	struct cache_file file = {0};
	char path[PATH_MAX];
	int r = path_of(folder, key->uuid, path, sizeof(path));
	if (r < 0)
		return r;
	r = read_file(path, &file);
	if (r < 0 && r != -EMSGSIZE)
		return r;
	if (file.magic != CACHE_MAGIC)
		return -EBADMSG;
	/* Another format may have another size, so the format is judged before the size. */
	if (file.format != CACHE_FORMAT)
		return -ESTALE;
	if (r < 0 || file.bytes != sizeof(file.topo) || file.reserved || file.tail ||
	    file.checksum != checksum_of(&file.topo))
		return -EBADMSG;
	if (!key_matches(key, &file.topo))
		return -ESTALE;
	if (topology_check(&file.topo) < 0)
		return -EBADMSG;
	*ret_topo = file.topo;
	return 0;
}

static int write_file(int fd, const struct cache_file *file)
{
	ssize_t n = write(fd, file, sizeof(*file));
	if (n < 0)
		return -errno;
	/* Short only when the disk is full. */
	return n == (ssize_t)sizeof(*file) ? 0 : -ENOSPC;
}

int topo_cache_store(const char *folder, const struct topology *topo)
{
	struct cache_file file = {.magic = CACHE_MAGIC,
				  .format = CACHE_FORMAT,
				  .bytes = sizeof(file.topo),
				  .checksum = checksum_of(topo),
				  .topo = *topo};
	char path[PATH_MAX];
	char temp[PATH_MAX];

	if (topology_check(topo) < 0)
		return -EINVAL;
	/* In the tenant's process: writing beyond the limit would end it by SIGXFSZ. */
	struct rlimit limit;
	if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < sizeof(file))
		return -EFBIG;
	int r = path_of(folder, topo->uuid, path, sizeof(path));
	if (r < 0)
		return r;
	int n = snprintf(temp, sizeof(temp), "%s/.topology-XXXXXX", folder);
	if (n < 0 || (size_t)n >= sizeof(temp))
		return -ENAMETOOLONG;
	int fd = mkostemp(temp, O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = write_file(fd, &file);
	if (close(fd) < 0 && !r)
		r = -errno;
	if (!r && rename(temp, path) < 0)
		r = -errno;
	if (r < 0)
		(void)unlink(temp);
	return r;
}
