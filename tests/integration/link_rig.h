/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the tenant's side share: a program under the shim, the daemon beside it
 * (link_daemon.h), and where launches went, read from the simulated GPU's trace. One case a run,
 * named on the command line: a process attaches once.
 */
#ifndef LITHOS_TESTS_LINK_RIG_H
#define LITHOS_TESTS_LINK_RIG_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "link_daemon.h"
#include "prog.h"

#define PATIENCE_S 60.0
#define MS         1000000ull

static struct {
	char folder[64], socket[100], trace[100];
	struct link_daemon daemon;
	struct prog prog;
	CUfunction spin;
	CUdeviceptr word;
} test;

/* --- the chip ------------------------------------------------------------------------------- */

/* TPCs of the simulated H100. */
static inline struct tpcset chip(void)
{
	static const uint8_t range[][2] = {{0, 3},   {9, 16},  {18, 25}, {27, 34},
					   {36, 43}, {45, 52}, {54, 71}, {75, 75},
					   {78, 78}, {81, 81}, {83, 83}};
	struct tpcset set = {{0}};

	for (size_t i = 0; i < sizeof(range) / sizeof(range[0]); i++)
		set = tpcset_or(set, link_bits(range[i][0], range[i][1]));
	return set;
}

static const struct tpcset none;

/* --- the trace ------------------------------------------------------------------------------ */

static inline struct tpcset hex_set(const char *text)
{
	struct tpcset set;

	for (int w = 0; w < TPCSET_WORDS; w++) {
		char digits[9] = {0};
		memcpy(digits, text + (size_t)8 * (size_t)(TPCSET_WORDS - 1 - w), 8);
		set.w[w] = (uint32_t)strtoul(digits, NULL, 16);
	}
	return set;
}

struct grids {
	uint32_t nr, nr_probes, nr_hung;
	struct tpcset last;    /* TPCs that the last one was allowed */
	struct tpcset allowed; /* by any */
	uint32_t nr_bad;       /* allowed nothing of the chip */
};

static inline int is_of_splitting(const char *line)
{
	return !strncmp(line, "kernel=lithos_gate", 18) ||
	       !strncmp(line, "kernel=lithos_claim", 19) ||
	       !strncmp(line, "kernel=lithos_reader", 20);
}

static inline void grid_add(struct grids *grids, const char *line)
{
	const char *disabled = strstr(line, "disabled=");
	struct tpcset allowed = tpcset_and(tpcset_not(hex_set(disabled + 9)), chip());

	if (!strncmp(line, "kernel=lithos_probe", 19)) {
		grids->nr_probes++;
		return;
	}
	/* On a slow machine kernels look long, and splitting them is prepared. */
	if (is_of_splitting(line)) {
		grids->allowed = tpcset_or(grids->allowed, allowed);
		return;
	}
	grids->nr++;
	grids->nr_hung += strstr(line, "hang=1") != NULL;
	grids->nr_bad += (uint32_t)tpcset_is_empty(&allowed);
	grids->last = allowed;
	grids->allowed = tpcset_or(grids->allowed, allowed);
}

/* What ran since `from`, a place in the trace that is moved on. */
static inline struct grids grids_since(long *from)
{
	FILE *file = fopen(test.trace, "r");
	struct grids grids = {0};
	char line[512];

	if (!file)
		return grids;
	(void)fseek(file, *from, SEEK_SET);
	while (fgets(line, sizeof(line), file))
		grid_add(&grids, line);
	*from = ftell(file);
	(void)fclose(file);
	return grids;
}

static long trace_end;

/* --- launching ------------------------------------------------------------------------------ */

static inline double now_s(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline void nap(void)
{
	(void)nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* Waits for a condition; every use is a check. */
#define EVENTUALLY(condition)                                                                      \
	do {                                                                                       \
		double until_s = now_s() + PATIENCE_S;                                             \
		while (!(condition) && now_s() < until_s)                                          \
			nap();                                                                     \
		CHECK(condition);                                                                  \
	} while (0)

static inline void launch(CUfunction function, uint64_t ns, unsigned int blocks)
{
	void *spin[] = {&ns}, *count[] = {&test.word, &ns};
	struct prog_launch grid = {.function = function,
				   .grid = {blocks, 1, 1},
				   .block = {32, 1, 1},
				   .params = function == test.spin ? spin : count};

	MUST(prog_run(&grid));
}

/* One ordinary grid, to its end: the TPCs it was allowed. */
static inline struct tpcset where(void)
{
	launch(test.prog.count, 1000, 16);
	MUST(cu.CtxSynchronize());
	return grids_since(&trace_end).last;
}

/* After the first context: before it, a quota in the environment says. */
static inline int told_sms(void)
{
	int nr_sms = 0;

	MUST(cu.DeviceGetAttribute(&nr_sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
				   test.prog.device));
	return nr_sms;
}

static inline int is_there(struct tpcset expected)
{
	struct tpcset found = where();

	return tpcset_equal(&found, &expected);
}

static inline void open_program(void)
{
	prog_open(&test.prog);
	MUST(cu.ModuleGetFunction(&test.spin, test.prog.module, "lk_spin"));
	test.word = prog_words(1, 0);
	(void)grids_since(&trace_end);
}

static inline uint32_t is_active(void)
{
	return __atomic_load_n(&test.daemon.line->active, __ATOMIC_SEQ_CST);
}

static inline void surroundings(void)
{
	(void)snprintf(test.folder, sizeof(test.folder), "/tmp/lithos-link-XXXXXX");
	CHECK(mkdtemp(test.folder) != NULL);
	(void)snprintf(test.socket, sizeof(test.socket), "%s/sock", test.folder);
	(void)snprintf(test.trace, sizeof(test.trace), "%s/trace", test.folder);
	/* The shim reads its environment when libcuda.so.1 is opened: prog_open(). */
	(void)setenv("LITHOS_TOKEN", LINK_TOKEN, 1);
	(void)setenv("LITHOS_SOCKET", test.socket, 1);
	(void)setenv("LITHOS_SIM_TRACE", test.trace, 1);
}

static inline void clean_up(void)
{
	char path[128];

	for (int i = 0; i < 3; i++) {
		static const char *const name[] = {"sock", "trace", "topology"};
		(void)snprintf(path, sizeof(path), "%.60s/%s", test.folder, name[i]);
		(void)unlink(path);
	}
	(void)rmdir(test.folder);
}

struct link_case {
	const char *name;
	void (*run)(void);
};

static inline int run_case(const struct link_case *cases, size_t nr, const char *name)
{
	surroundings();
	for (size_t i = 0; i < nr; i++) {
		if (strcmp(cases[i].name, name) != 0)
			continue;
		cases[i].run();
		clean_up();
		return prog_result();
	}
	fprintf(stderr, "no such case\n");
	return PROG_FAIL;
}

#endif
