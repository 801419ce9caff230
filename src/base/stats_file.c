/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The statistics file of one process.
 *
 * Problem: what a program launched must survive the program, also when it is killed, and a reader
 * must survive whatever the program left behind.
 *
 * Idea: the writer maps a sparse file and stores into it; the kernel keeps the pages when the
 * process dies. The header's magic number is stored last. The reader does not map the file but
 * reads it into memory of its own: a mapping could be truncated under it (SIGBUS) and change
 * between check and use.
 *
 * A page that the file system cannot give when it is first stored into ends the program with
 * SIGBUS, and a file that grows beyond the process' limit does with SIGXFSZ. So all of the file is
 * reserved before it is mapped, after a look at the limit; where that cannot be, there are no
 * statistics.
 *
 * Tested by tests/unit/stats_region.c.
 */
#include "base/stats_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file_limit.h"

#define NAMES_TRIED 100

const struct stats_counter_row stats_counter_rows[STATS_NR_COUNTERS] = {
#define STAT(name, group, sentence) {#name, #group, sentence},
#include "stats.def"
#undef STAT
};

static int create_file(const char *dir, uint32_t pid, char path[PATH_MAX])
{

	for (int i = 0; i < NAMES_TRIED; i++) {
		int length = i == 0 ? snprintf(path, PATH_MAX, "%s/stats.%u", dir, pid)
				    : snprintf(path, PATH_MAX, "%s/stats.%u.%d", dir, pid, i);
		int fd;

		if (length < 0 || (size_t)length >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static int has_room(int fd)
{
	struct statvfs fs;

	if (fstatvfs(fd, &fs) < 0)
		return -errno;
	/* A file system that counts no blocks (some network and overlay ones) is taken as it is. */
	if (fs.f_blocks != 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize < 2 * sizeof(struct stats_region))
		return -ENOSPC;
	return 0;
}

/* All its blocks, now, and not beyond the limit: see the top. */
static int reserve(int fd)
{
	int r = has_room(fd);

	if (r == 0 && !file_may_have(sizeof(struct stats_region)))
		r = -EFBIG;
	if (r == 0 && ftruncate(fd, sizeof(struct stats_region)) < 0)
		r = -errno;
	return r < 0 ? r : -posix_fallocate(fd, 0, sizeof(struct stats_region));
}

static void fill_header(struct stats_header *header, uint32_t pid)
{
	header->version = STATS_VERSION;
	header->header_bytes = sizeof(*header);
	header->kernel_bytes = sizeof(struct stats_kernel);
	header->nr_kernels_max = STATS_MAX_KERNELS;
	header->nr_counters = STATS_NR_COUNTERS;
	header->pid = pid;
	header->started_ns = clock_now_ns();
	header->updated_ns = header->started_ns;
	(void)snprintf(header->command, sizeof(header->command), "%s",
		       program_invocation_short_name);
	/* Pairs with the acquire load of stats_region_valid: everything above is visible before. */
	__atomic_store_n(&header->magic, STATS_MAGIC, __ATOMIC_RELEASE);
}

int stats_region_create(const char *dir, uint32_t pid, struct stats_region **ret_region)
{
	struct stats_region *region;
	char path[PATH_MAX];
	int fd = create_file(dir, pid, path);
	int r;

	if (fd < 0)
		return fd;
	r = reserve(fd);
	if (r < 0)
		goto out;
	region = mmap(NULL, sizeof(*region), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (region == MAP_FAILED) {
		r = -errno;
		goto out;
	}
	fill_header(&region->header, pid);
	*ret_region = region;
out:
	if (r < 0)
		(void)unlink(path);
	(void)close(fd);
	return r;
}

static int read_all(int fd, void *buffer, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, (char *)buffer + done, bytes - done, (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EPROTO;
		done += (size_t)n;
	}
	return 0;
}

/* Opens without blocking on a FIFO that somebody put there. */
static int open_regular(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? fd : -EPROTO;
	if (r < 0)
		(void)close(fd);
	return r;
}

int stats_region_map(const char *path, struct stats_region **ret_region)
{
	struct stats_region *region;
	int fd = open_regular(path);
	int r = 0;

	if (fd < 0)
		return fd;
	region = mmap(NULL, sizeof(*region), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (region == MAP_FAILED) {
		r = -errno;
		region = NULL;
		goto out;
	}
	r = read_all(fd, region, sizeof(*region));
	if (r < 0)
		goto out;
	r = stats_region_valid(region, sizeof(*region));
	if (r < 0)
		goto out;
	*ret_region = region;
	region = NULL;
out:
	stats_region_unmap(region);
	(void)close(fd);
	return r;
}

void stats_region_unmap(struct stats_region *region)
{
	if (region != NULL)
		(void)munmap(region, sizeof(*region));
}
