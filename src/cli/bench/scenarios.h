/* SPDX-License-Identifier: Apache-2.0 */
/* What runs together: the tenants of each scenario, as rows. */
#ifndef LITHOS_CLI_BENCH_SCENARIOS_H
#define LITHOS_CLI_BENCH_SCENARIOS_H

#include <stddef.h>

#define BENCH_MAX_TENANTS 4

/* One program. Its quotas and rate are what holds when the command line says nothing else. */
struct bench_tenant {
	const char *name; /* of its files, and as a tenant of lithos */
	const char *what;
	const char *gpu;       /* program and arguments, words; a .py is run by Python */
	const char *sim;       /* the same on the simulated GPU */
	const char *quota;     /* under lithos; NULL: best effort */
	const char *partition; /* quota under `partition` */
	double rate;           /* requests a second; 0: a job, which works without end */
	int is_calibrated;     /* it measures its kernels once for all systems of a run */
};

/* Rows of the same name run other models; the first is what runs when none is named. */
struct bench_scenario {
	const char *name;
	const char *model;
	unsigned int defaults; /* which systems are measured when none is named: one of the below */
	struct bench_tenant tenant[BENCH_MAX_TENANTS];
};

enum {
	DEFAULTS_PAIR = 1,
	DEFAULTS_LONG = 2,
	DEFAULTS_MIX = 4,
};

extern const struct bench_scenario bench_scenarios[];
extern const size_t nr_bench_scenarios;

/* model NULL: the scenario's first. NULL: there is no such row. */
const struct bench_scenario *scenario_find(const char *name, const char *model);

size_t scenario_nr_tenants(const struct bench_scenario *scenario);

static inline int tenant_is_service(const struct bench_tenant *tenant)
{
	return tenant->rate > 0;
}

/* One service and then one job, which reports call foreground and background. */
int scenario_is_pair(const struct bench_scenario *scenario);

/* The names of all scenarios, or of the models of one, with `between` between them. */
void scenario_names(const char *of, const char *between, char *ret_text, size_t size);

#endif
