/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant of a random mix: requests in a closed or an open loop, each with its times.
 *
 *   tenant --steps KIND:BLOCKS:US,... [--graph] [--two-streams] [--shared BYTES] [--depth N]
 *          [--period-us P] [--poisson] [--gap-us G] [--mistakes] [--seed S]
 *          [--records FILE] [--ms N]
 *
 * A period makes an open loop (a request is due at its time, whatever became of the one before it),
 * else the next one is launched when fewer than `depth` are in flight, and after a gap. It says
 * "ready sms=N", reads "go BEGIN_NS END_NS" (CLOCK_MONOTONIC) and works until then; with --ms it
 * works so long, at once: so it runs by hand, and unchanged on a real GPU. A line a request in
 * FILE:
 *
 *   due_ns call_ns launched_ns done_ns late_ns     done 0: not before the end
 *
 * late_ns is how long threads of the process were ready and had no processor between call and end
 * (/proc/self/task/.../schedstat): what a busy machine adds, and nobody else is to blame for. Exit:
 * 0, 1 when a result was wrong, 77 without a GPU. Nothing of it is timed here; mixes.py judges.
 */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "work.h"

enum {
	MAX_REQUESTS = 20000,
	MAX_THREADS = 32,
};

struct record {
	uint64_t due_ns, call_ns, launched_ns, done_ns, late_ns;
};

struct tenant {
	struct work work;
	unsigned int depth;
	uint64_t period_ns, gap_ns, begin_ns, end_ns;
	bool is_poisson, makes_mistakes;
	const char *records;
	struct record record[MAX_REQUESTS];
	uint32_t nr_launched, nr_done;
	int schedstat[MAX_THREADS];
	int nr_threads;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = {.tv_sec = (time_t)(at_ns / 1000000000u),
			      .tv_nsec = (long)(at_ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
		;
}

/* --- how late the machine made us ------------------------------------------------------------- */

static void threads_find(struct tenant *tenant)
{
	DIR *dir = opendir("/proc/self/task");
	const struct dirent *entry;
	char path[64];

	while (tenant->nr_threads > 0)
		(void)close(tenant->schedstat[--tenant->nr_threads]);
	while (dir && (entry = readdir(dir)) != NULL && tenant->nr_threads < MAX_THREADS) {
		int fd;

		(void)snprintf(path, sizeof(path), "/proc/self/task/%.10s/schedstat",
			       entry->d_name);
		fd = entry->d_name[0] == '.' ? -1 : open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0)
			tenant->schedstat[tenant->nr_threads++] = fd;
	}
	if (dir)
		(void)closedir(dir);
}

/* Of all threads together; the second number of the file. 0 where the kernel does not count. */
static uint64_t late_ns(const struct tenant *tenant)
{
	uint64_t sum = 0;
	char text[96];

	for (int i = 0; i < tenant->nr_threads; i++) {
		ssize_t n = pread(tenant->schedstat[i], text, sizeof(text) - 1, 0);
		const char *second;

		text[n > 0 ? n : 0] = '\0';
		second = strchr(text, ' ');
		sum += second ? strtoull(second, NULL, 10) : 0;
	}
	return sum;
}

/* --- the loop --------------------------------------------------------------------------------- */

static struct slot *slot_of(struct tenant *tenant, uint32_t request)
{
	return &tenant->work.slot[request % tenant->depth];
}

static void wait_oldest(struct tenant *tenant)
{
	struct record *record = &tenant->record[tenant->nr_done];

	work_wait(&tenant->work, slot_of(tenant, tenant->nr_done));
	record->done_ns = now_ns();
	record->late_ns = late_ns(tenant) - record->late_ns;
	tenant->nr_done++;
}

static uint64_t after_due(const struct tenant *tenant, uint64_t due_ns)
{
	double u = drand48();

	if (tenant->is_poisson)
		return due_ns + (uint64_t)(-log(1 - u) * (double)tenant->period_ns);
	return due_ns + tenant->period_ns;
}

static void request(struct tenant *tenant, uint64_t due_ns)
{
	struct record *record = &tenant->record[tenant->nr_launched];

	if (tenant->nr_launched % 64 == 0 || tenant->nr_launched == 4)
		threads_find(tenant);
	record->due_ns = due_ns;
	record->late_ns = late_ns(tenant);
	record->call_ns = now_ns();
	work_launch(&tenant->work, slot_of(tenant, tenant->nr_launched));
	record->launched_ns = now_ns();
	tenant->nr_launched++;
	while (tenant->nr_launched - tenant->nr_done >= tenant->depth)
		wait_oldest(tenant);
}

static void run(struct tenant *tenant)
{
	uint64_t due_ns = tenant->begin_ns;

	sleep_until(due_ns);
	while (due_ns < tenant->end_ns && tenant->nr_launched < MAX_REQUESTS) {
		if (tenant->makes_mistakes && tenant->nr_launched % 16 == 3)
			work_mistakes(&tenant->work);
		request(tenant, due_ns);
		due_ns = tenant->period_ns ? after_due(tenant, due_ns) : now_ns() + tenant->gap_ns;
		if (due_ns > now_ns())
			sleep_until(due_ns < tenant->end_ns ? due_ns : tenant->end_ns);
	}
	while (tenant->nr_done < tenant->nr_launched)
		wait_oldest(tenant);
	/* The last ones may have ended long after: their times say so. */
	work_check(&tenant->work);
}

static void write_records(const struct tenant *tenant)
{
	FILE *file = tenant->records ? fopen(tenant->records, "w") : NULL;

	for (uint32_t i = 0; file && i < tenant->nr_launched; i++) {
		const struct record *r = &tenant->record[i];

		fprintf(file, "%llu %llu %llu %llu %llu\n", (unsigned long long)r->due_ns,
			(unsigned long long)r->call_ns, (unsigned long long)r->launched_ns,
			(unsigned long long)r->done_ns, (unsigned long long)r->late_ns);
	}
	if (file)
		(void)fclose(file);
}

static const char *text_option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	}
	return NULL;
}

static bool parse(struct tenant *tenant, int argc, char **argv)
{
	const char *steps = text_option(argc, argv, "--steps");

	tenant->work.is_graph = prog_flag(argc, argv, "--graph");
	tenant->work.two_streams = prog_flag(argc, argv, "--two-streams");
	tenant->work.shared_bytes = (unsigned int)prog_option(argc, argv, "--shared", 0);
	tenant->depth = (unsigned int)prog_option(argc, argv, "--depth", 1);
	tenant->period_ns = 1000 * (uint64_t)prog_option(argc, argv, "--period-us", 0);
	tenant->gap_ns = 1000 * (uint64_t)prog_option(argc, argv, "--gap-us", 0);
	tenant->is_poisson = prog_flag(argc, argv, "--poisson");
	tenant->makes_mistakes = prog_flag(argc, argv, "--mistakes");
	tenant->records = text_option(argc, argv, "--records");
	srand48(prog_option(argc, argv, "--seed", 1));
	return steps && work_read_steps(&tenant->work, steps) && tenant->depth >= 1 &&
	       tenant->depth <= WORK_MAX_DEPTH &&
	       !(tenant->work.is_graph && tenant->work.two_streams);
}

/* When to work: by hand from now on, else as the line on standard input says. */
static bool read_times(struct tenant *tenant, long ms)
{
	unsigned long long begin, end;
	char line[128];

	if (ms) {
		tenant->begin_ns = now_ns();
		tenant->end_ns = tenant->begin_ns + (uint64_t)ms * 1000000;
		return true;
	}
	if (!fgets(line, sizeof(line), stdin) || sscanf(line, "go %llu %llu", &begin, &end) != 2)
		return false;
	tenant->begin_ns = begin;
	tenant->end_ns = end;
	return true;
}

int main(int argc, char **argv)
{
	static struct tenant tenant;

	/* Nothing is left behind when the test is stopped. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!parse(&tenant, argc, argv)) {
		fprintf(stderr, "tenant: what steps?\n");
		return 2;
	}
	work_open(&tenant.work);
	printf("ready sms=%d\n", tenant.work.prog.nr_sms);
	(void)fflush(stdout);
	if (!read_times(&tenant, prog_option(argc, argv, "--ms", 0)))
		return 2;
	run(&tenant);
	write_records(&tenant);
	printf("done requests=%u\n", tenant.nr_done);
	(void)fflush(stdout);
	return prog_result();
}
