/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launches without end cost no memory: after a first part, neither the resident set nor the blocks
 * of the statistics file grow with the launches that follow. --launches N; prints both growths.
 *
 * The program waits for the GPU now and then, so that the queue in front of it stays bounded too.
 */
#include "prog.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define WARM_UP 70000 /* more than the record pool holds */
#define BATCH   1000

/* Resident pages of this process' own, in KiB. */
static long resident_kib(void)
{
	long size = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	CHECK(file != NULL);
	if (!file)
		return 0;
	CHECK(fscanf(file, "%ld %ld", &size, &resident) == 2);
	(void)fclose(file);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static long statistics_kib(void)
{
	const char *folder = getenv("LITHOS_RUN_DIR");
	char path[4096];
	struct stat info;
	(void)snprintf(path, sizeof(path), "%s/stats.%d", folder ? folder : "", (int)getpid());
	return stat(path, &info) ? -1 : (long)info.st_blocks / 2;
}

static void launch_many(const struct prog *prog, const CUstream *streams, long n)
{
	for (long i = 0; i < n; i++) {
		struct prog_launch launch = {.function = prog->null,
					     .grid = {1, 1, 1},
					     .block = {32, 1, 1},
					     .stream = streams[i % 2]};
		MUST(prog_run(&launch));
		if (i % BATCH == BATCH - 1)
			MUST(cu.CtxSynchronize());
	}
	MUST(cu.CtxSynchronize());
}

int main(int argc, char **argv)
{
	long nr_launches = prog_option(argc, argv, "--launches", 1000000);
	struct prog prog;
	CUstream streams[2];
	prog_open(&prog);
	for (int i = 0; i < 2; i++)
		MUST(cu.StreamCreate(&streams[i], CU_STREAM_NON_BLOCKING));
	long first = nr_launches < WARM_UP ? nr_launches / 2 : WARM_UP;
	launch_many(&prog, streams, first);
	long resident = resident_kib(), statistics = statistics_kib();
	launch_many(&prog, streams, nr_launches - first);
	printf("program=many launches=%ld resident_growth_kib=%ld statistics_kib=%ld "
	       "statistics_growth_kib=%ld\n",
	       nr_launches, resident_kib() - resident, statistics_kib(),
	       statistics_kib() - statistics);
	for (int i = 0; i < 2; i++)
		MUST(cu.StreamDestroy(streams[i]));
	prog_close(&prog);
	return prog_result();
}
