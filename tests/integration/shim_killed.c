/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant that is killed: launches --launches kernels, waits until the statistics file says that
 * all their records were read, and kills itself. No handler of any kind runs after that.
 */
#include "prog.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <lithos/stats.h>

static const struct stats_region *map_own_statistics(void)
{
	const char *folder = getenv("LITHOS_RUN_DIR");
	char path[4096];
	void *region = MAP_FAILED;
	(void)snprintf(path, sizeof(path), "%s/stats.%d", folder ? folder : "", (int)getpid());
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		region = mmap(NULL, sizeof(struct stats_region), PROT_READ, MAP_SHARED, fd, 0);
		(void)close(fd);
	}
	return region == MAP_FAILED ? NULL : region;
}

/* Launches of all rows; the caller's timeout ends a wait for a number that never comes. */
static uint64_t nr_counted(const struct stats_region *region)
{
	uint64_t sum = 0;
	uint32_t n = __atomic_load_n(&region->header.nr_kernels, __ATOMIC_ACQUIRE);
	for (uint32_t i = 0; i < n; i++)
		sum += __atomic_load_n(&region->kernel[i].nr_launches, __ATOMIC_RELAXED);
	return sum;
}

int main(int argc, char **argv)
{
	long nr_launches = prog_option(argc, argv, "--launches", 100);
	struct prog prog;
	prog_open(&prog);
	for (long i = 0; i < nr_launches; i++) {
		struct prog_launch launch = {
			.function = prog.null, .grid = {4, 1, 1}, .block = {32, 1, 1}};
		MUST(prog_run(&launch));
	}
	MUST(cu.CtxSynchronize());
	const struct stats_region *region = map_own_statistics();
	if (!CHECK(region != NULL))
		return prog_result();
	while (nr_counted(region) < (uint64_t)nr_launches)
		(void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	(void)raise(SIGKILL);
	return PROG_FAIL;
}
