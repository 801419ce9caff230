/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions that are believed and ones that are not; and readers of an owner's activity and of the
 * grant while both are exchanged again and again: no reader finds an address unmapped.
 */
#include "link_world.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

static int region_make(uint32_t magic, size_t bytes, int seals, struct shm_header **ret_header)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	*ret_header = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(*ret_header, MAP_FAILED);
	**ret_header = (struct shm_header){
		.magic = magic, .version = SHM_VERSION, .bytes = (uint32_t)bytes};
	return fd;
}

static int drop(int fd, struct shm_header *header, size_t bytes)
{
	(void)munmap(header, bytes);
	return close(fd);
}

#define SEALS  (F_SEAL_SHRINK | F_SEAL_GROW)
#define GRANT  sizeof(struct shm_grant)
#define BOARD  sizeof(struct shm_board)
#define ACTIVE sizeof(struct shm_activity)

static void test_checks(void **state)
{
	struct shm_header *header;
	int fd = region_make(SHM_GRANT_MAGIC, GRANT, SEALS, &header);

	(void)state;
	assert_int_equal(regions_reserve(), 0);
	assert_int_equal(link_state.grant->header.magic, 0);
	header->version++;
	assert_int_equal(region_map_grant(fd), -EPROTONOSUPPORT);
	header->version--;
	header->bytes--;
	assert_int_equal(region_map_grant(fd), -EPROTO);
	header->bytes++;
	header->magic = SHM_BOARD_MAGIC;
	assert_int_equal(region_map_grant(fd), -EPROTO);
	header->magic = SHM_GRANT_MAGIC;
	assert_int_equal(link_state.grant->header.magic, 0);
	assert_int_equal(region_map_grant(fd), 0);
	assert_int_equal(link_state.grant->header.magic, SHM_GRANT_MAGIC);
	assert_int_equal(drop(fd, header, GRANT), 0);

	fd = region_make(SHM_GRANT_MAGIC, GRANT, F_SEAL_GROW, &header);
	assert_int_equal(region_map_grant(fd), -EPROTO);
	assert_int_equal(drop(fd, header, GRANT), 0);
	/* Says more than the file has. */
	fd = region_make(SHM_ACTIVITY_MAGIC, 4096, SEALS, &header);
	header->bytes = ACTIVE;
	assert_int_equal(region_map_peer(fd, 0, 1), -EPROTO);
	assert_int_equal(link_state.peer[0].tag, 0);
	assert_int_equal(drop(fd, header, 4096), 0);
	/* A pipe, a file that has no seals, nothing. */
	assert_true(region_map_grant(-1) < 0);
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(region_map_grant(fd), -EPROTO);
	(void)close(fd);
}

static void test_board_of_another_gpu(void **state)
{
	uint8_t uuid[16] = {1};
	struct shm_header *header;
	int fd = region_make(SHM_BOARD_MAGIC, BOARD, SEALS, &header);

	(void)state;
	assert_int_equal(region_map_board(fd, uuid), -EPROTO);
	((struct shm_board *)(void *)header)->uuid[0] = 1;
	assert_int_equal(region_map_board(fd, uuid), 0);
	assert_int_equal(drop(fd, header, BOARD), 0);
}

static atomic_int is_over;

static void *reader(void *arg)
{
	const struct lend_owner owner = {.place = 3, .generation = 1, .nr_lines = SHM_MAX_PROCS};
	uint64_t nr_idle = 0;

	while (!atomic_load(&is_over)) {
		nr_idle += !lend_owner_is_active(&owner, &link_state.peer[3]);
		nr_idle += __atomic_load_n(&link_state.grant->header.sequence, __ATOMIC_RELAXED);
	}
	*(uint64_t *)arg = nr_idle;
	return NULL;
}

static void test_exchange(void **state)
{
	struct shm_header *peer, *grant;
	int peer_fd = region_make(SHM_ACTIVITY_MAGIC, ACTIVE, SEALS, &peer);
	int grant_fd = region_make(SHM_GRANT_MAGIC, GRANT, SEALS, &grant);
	pthread_t thread[2];
	uint64_t nr_idle[2];

	(void)state;
	assert_int_equal(regions_reserve(), 0);
	assert_int_equal(region_map_peer(peer_fd, SHM_MAX_OWNERS, 1), -EPROTO);
	region_drop_peer(SHM_MAX_OWNERS);
	/* All lines of generation 1 work: who takes it as idle has mixed two regions. */
	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++)
		((struct shm_activity *)(void *)peer)->proc[i].active = 1;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, reader, &nr_idle[i]), 0);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(region_map_peer(peer_fd, 3, (uint32_t)(i % 3)), 0);
		assert_int_equal(region_map_grant(grant_fd), 0);
		if (i % 5 == 0)
			region_drop_peer(3);
	}
	atomic_store(&is_over, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pthread_join(thread[i], NULL), 0);
		assert_int_equal(nr_idle[i], 0);
	}
	regions_forget();
	assert_int_equal(link_state.peer[3].tag, 0);
	assert_int_equal(link_state.grant->header.magic, 0);
	assert_int_equal(drop(peer_fd, peer, ACTIVE), 0);
	assert_int_equal(drop(grant_fd, grant, GRANT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_board_of_another_gpu),
		cmocka_unit_test(test_exchange),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
