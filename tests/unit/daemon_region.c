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

static void write_header(int fd, uint32_t version, size_t bytes)
{
	struct shm_header header = {
		.magic = SHM_ACTIVITY_MAGIC, .version = version, .bytes = (uint32_t)bytes};

	assert_int_equal(pwrite(fd, &header, sizeof(header), 0), sizeof(header));
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
	write_header(region.fd, SHM_VERSION, BYTES);
	fd = fcntl(region.fd, F_DUPFD_CLOEXEC, 3);
	assert_int_equal(region_adopt(&again, fd, BYTES, SHM_BOARD_MAGIC), -EBADF);
	assert_int_equal(region_adopt(&again, fd, BYTES, SHM_ACTIVITY_MAGIC), 0);
	map = again.map;
	map[100] = 'y';
	assert_int_equal(((const char *)region.map)[100], 'y');
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
	if (bytes >= sizeof(struct shm_header))
		write_header(fd, SHM_VERSION, bytes);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void refuse(int fd)
{
	struct region region = {0};

	assert_int_equal(region_adopt(&region, fd, BYTES, SHM_ACTIVITY_MAGIC), -EBADF);
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

/* Of another version, and then mostly of another size: told apart from what is no region at all. */
static void test_other_version(void **state)
{
	const int sound = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct region region = {0};

	(void)state;
	for (size_t bytes = BYTES; bytes <= 2 * BYTES; bytes += BYTES) {
		int fd = memory_file(bytes, 0);

		write_header(fd, SHM_VERSION - 1, bytes);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, sound), 0);
		assert_int_equal(region_adopt(&region, fd, BYTES, SHM_ACTIVITY_MAGIC),
				 -EPROTONOSUPPORT);
		assert_null(region.map);
		assert_int_equal(close(fd), 0);
	}
}

/* Opened for reading only, a tenant's own memory is no activity: the daemon must clear lines. */
static void test_read_only(void **state)
{
	struct region region = {0}, again = {0};

	(void)state;
	assert_int_equal(region_make(&region, "test", BYTES, REGION_THEIRS), 0);
	write_header(region.fd, SHM_VERSION, BYTES);
	assert_int_equal(region_adopt(&again, region.fd_read, BYTES, SHM_ACTIVITY_MAGIC), -EBADF);
	region_free(&region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours),      cmocka_unit_test(test_theirs),
		cmocka_unit_test(test_strangers), cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_read_only),
	};

	return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
