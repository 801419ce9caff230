/* SPDX-License-Identifier: Apache-2.0 */
/* What one program of a measurement wrote, as numbers. */
#ifndef LITHOS_CLI_BENCH_RESULTS_H
#define LITHOS_CLI_BENCH_RESULTS_H

#include "cli/bench/arrivals.h"
#include "cli/bench/bench.h"
#include "cli/bench/children.h"
#include "cli/bench/session.h"

/* One tenant in one measurement. */
struct party {
	const struct bench_tenant *tenant;
	size_t index; /* of the tenant in its scenario */
	struct session session;
	struct child child;
	struct arrivals arrivals; /* none for a job */
	struct session_times times;
	uint64_t stopped_ns;
	int is_stopped; /* it may end */
};

/* Nothing was measured. */
void results_clear(struct tenant_result *ret_result);

/* Reads result.NAME and ready.NAME; -errno and ret_why in words. */
int results_read(struct bench *bench, const struct party *party, struct tenant_result *ret_result,
		 char ret_why[BENCH_TEXT_MAX]);

/* Percentiles of what the requests took, from latency_ms. */
void results_percentiles(struct tenant_result *result);

#endif
