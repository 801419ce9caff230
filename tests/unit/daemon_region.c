/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared regions: sealed, read-only where they should be, and strangers' memory refused.
 */
#include "base_files.h"

#include <errno.h>
#include <sys/mman.h>

#include <lithos/shm.h>

#include "daemon/tenant/region.h"

#define BYTES 8192

static void test_ours(void **state)
{
	struct region region = {0};
	struct shm_header *header;

	(void)state;
	assert_int_equal(region_make(&region, "test", BYTES, REGION_OURS), 0);
	header = region.map;
	header->beat_ns = 5;
	assert_int_equal(pwrite(region.fd, "x", 1, 0), -1);
	assert_true(mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, region.fd, 0) == MAP_FAILED);
	assert_true(mmap(NULL, BYTES, PROT_WRITE, MAP_SHARED, region.fd_read, 0) == MAP_FAILED);
	assert_int_equal(ftruncate(region.fd, 0), -1);
	assert_int_equal(ftruncate(region.fd, 2 * BYTES), -1);
	region_begin(header);
	assert_int_equal(header->sequence % 2, 1);
	region_end(header);
	assert_int_equal(header->sequence, 2);
	region_free(&region);
	assert_null(region.map);
	region_free(&region);
}

static void test_theirs(void **state)
{
	struct region region = {0}, again = {0}, other = {0};
	unsigned char *map;
	int fd;

	(void)state;
	assert_int_equal(region_make(&region, "test", BYTES, REGION_THEIRS), 0);
	assert_int_equal(pwrite(region.fd, "x", 1, 9), 1);
	assert_int_equal(((const char *)region.map)[9], 'x');
	assert_int_equal(pwrite(region.fd_read, "x", 1, 9), -1);
	/* What a tenant brings back is the same memory. */
	fd = fcntl(region.fd, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(region_adopt(&again, fd, BYTES), 0);
	map = again.map;
	map[10] = 'y';
	assert_int_equal(((const char *)region.map)[10], 'y');
	assert_int_equal(region_is(&region, again.fd), 1);
	assert_int_equal(region_make(&other, "test", BYTES, REGION_THEIRS), 0);
	assert_int_equal(region_is(&region, other.fd), 0);
	region_free(&again);
	region_free(&other);
	region_free(&region);
}

static int memory_file(size_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void refuse(int fd)
{
	struct region region = {0};

	assert_int_equal(region_adopt(&region, fd, BYTES), -EBADF);
	assert_null(region.map);
	assert_int_equal(close(fd), 0);
}

static void test_strangers(void **state)
{
	const int sound = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	char path[256];
	int pipe_ends[2];

	refuse(memory_file(BYTES, F_SEAL_GROW | F_SEAL_SEAL));
	refuse(memory_file(BYTES, F_SEAL_SHRINK | F_SEAL_GROW));
	refuse(memory_file(BYTES, sound | F_SEAL_WRITE));
	refuse(memory_file(BYTES - 1, sound));
	refuse(memory_file(BYTES * 2, sound));
	refuse(memory_file(0, sound));
	(void)snprintf(path, sizeof(path), "%s/file", (const char *)*state);
	write_file(path, path, sizeof(path));
	refuse(open(path, O_RDWR | O_CLOEXEC));
	refuse(open("/dev/null", O_RDWR | O_CLOEXEC));
	refuse(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	assert_int_equal(pipe(pipe_ends), 0);
	refuse(pipe_ends[0]);
	refuse(pipe_ends[1]);
}

/* Opened for reading only, a tenant's own memory is no activity: the daemon must clear lines. */
static void test_read_only(void **state)
{
	struct region region = {0}, again = {0};

	(void)state;
	assert_int_equal(region_make(&region, "test", BYTES, REGION_THEIRS), 0);
	assert_int_equal(region_adopt(&again, region.fd_read, BYTES), -EBADF);
	region_free(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),
		cmocka_unit_test(test_theirs),
		cmocka_unit_test(test_strangers),
		cmocka_unit_test(test_read_only),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
