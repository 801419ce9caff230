/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From what a program wrote to its numbers.
 *
 * A service writes which request it completed when, a job when each iteration began and ended. A
 * request counts when it arrived in the window, whenever it was answered; a rate is of what was
 * completed inside. So a service that falls behind shows in both, and one that keeps up has the
 * rate of its arrivals.
 *
 * What a program wrote is not believed blindly: indices that the schedule does not have, and
 * answers before their question, fail the measurement.
 * Tested by tests/unit/bench_report.c and tests/integration/bench.bats.
 */
#include "cli/bench/results.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/numbers.h"

void results_clear(struct tenant_result *ret_result)
{
	*ret_result = (struct tenant_result){.p50_ms = NAN,
					     .p95_ms = NAN,
					     .p99_ms = NAN,
					     .service_ms = NAN,
					     .rate = NAN,
					     .p50_ratio = NAN,
					     .p99_ratio = NAN,
					     .rate_ratio = NAN};
}

void results_percentiles(struct tenant_result *result)
{
	size_t nr = result->nr_requests;
	double *sorted = calloc(nr ? nr : 1, sizeof(*sorted));

	if (sorted == NULL)
		return;
	if (nr)
		memcpy(sorted, result->latency_ms, nr * sizeof(*sorted));
	sort_values(sorted, nr);
	result->p50_ms = percentile_sorted(sorted, nr, 0.50);
	result->p95_ms = percentile_sorted(sorted, nr, 0.95);
	result->p99_ms = percentile_sorted(sorted, nr, 0.99);
	free(sorted);
}

static struct span window_of(const struct party *party)
{
	return (struct span){(int64_t)(party->times.begin_ns - party->times.start_ns),
			     (int64_t)(party->times.end_ns - party->times.start_ns)};
}

/* Completion times by index of the arrival; 0 where there is none. */
static int completions(const struct party *party, int64_t *completed_ns)
{
	const struct arrivals *arrivals = &party->arrivals;
	struct span *pairs = NULL;
	size_t nr = 0;
	int r = session_read_result(&party->session, party->tenant->name, &pairs, &nr);

	for (size_t i = 0; i < nr && r == 0; i++) {
		int64_t index = pairs[i].begin_ns;

		if (index < 0 || (size_t)index >= arrivals->nr ||
		    pairs[i].end_ns < arrivals->at_ns[index])
			r = -EPROTO;
		else
			completed_ns[index] = pairs[i].end_ns;
	}
	free(pairs);
	return r;
}

static void add_latency(const struct party *party, size_t index, int64_t completed_ns,
			struct tenant_result *result)
{
	int64_t at_ns = party->arrivals.at_ns[index];

	if (at_ns < window_of(party).begin_ns)
		return;
	if (!completed_ns) {
		result->nr_unfinished++;
		completed_ns = (int64_t)(party->stopped_ns - party->times.start_ns);
	}
	result->latency_ms[result->nr_requests++] = (double)(completed_ns - at_ns) / 1e6;
}

static int read_service(const struct party *party, struct tenant_result *result)
{
	struct span window = window_of(party);
	size_t nr = party->arrivals.nr, nr_inside = 0;
	int64_t *completed_ns = calloc(nr + 1, sizeof(*completed_ns));
	int r = -ENOMEM;

	result->latency_ms = calloc(nr + 1, sizeof(*result->latency_ms));
	if (completed_ns != NULL && result->latency_ms != NULL)
		r = completions(party, completed_ns);
	for (size_t i = 0; r == 0 && i < nr; i++) {
		add_latency(party, i, completed_ns[i], result);
		nr_inside += completed_ns[i] >= window.begin_ns && completed_ns[i] < window.end_ns;
	}
	free(completed_ns);
	if (r < 0)
		return r;
	result->rate = (double)nr_inside * 1e9 / (double)(window.end_ns - window.begin_ns);
	results_percentiles(result);
	return 0;
}

static int read_job(const struct party *party, struct tenant_result *result)
{
	struct span *iterations = NULL;
	size_t nr = 0;
	int r = session_read_result(&party->session, party->tenant->name, &iterations, &nr);

	if (r < 0)
		return r;
	result->rate = rate_in_window(iterations, nr, window_of(party));
	free(iterations);
	return 0;
}

int results_read(struct bench *bench, const struct party *party, struct tenant_result *ret_result,
		 char ret_why[BENCH_TEXT_MAX])
{
	int is_service = tenant_is_service(party->tenant);
	int r = is_service ? read_service(party, ret_result) : read_job(party, ret_result);

	if (r == 0)
		r = session_read_ready(&party->session, party->tenant->name, &bench->facts);
	if (r < 0)
		(void)snprintf(ret_why, BENCH_TEXT_MAX, "results of %s: %s", party->tenant->name,
			       strerror(-r));
	else if (is_service)
		ret_result->service_ms = bench->facts.service_ms;
	return r;
}
