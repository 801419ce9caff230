/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Medians and worst repetitions of the numbers that a measurement has.
 *
 * Every number is taken by itself: the median p99 and the median rate may come from different
 * repetitions, and so may the worst ones. The worst of three is told beside the median, because a
 * sharing that fails in one of three runs has a good median. A failed measurement contributes
 * nothing.
 * Tested by tests/unit/bench_report.c.
 */
#include "cli/bench/report/medians.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench/numbers.h"

static const struct {
	const char *key;
	size_t offset;
	int is_better_more;
} numbers[NR_NUMBERS] = {
	[NUMBER_P50_MS] = {"p50_ms", offsetof(struct tenant_result, p50_ms), 0},
	[NUMBER_P95_MS] = {"p95_ms", offsetof(struct tenant_result, p95_ms), 0},
	[NUMBER_P99_MS] = {"p99_ms", offsetof(struct tenant_result, p99_ms), 0},
	[NUMBER_P50_RATIO] = {"p50_ratio", offsetof(struct tenant_result, p50_ratio), 0},
	[NUMBER_P99_RATIO] = {"p99_ratio", offsetof(struct tenant_result, p99_ratio), 0},
	[NUMBER_RATE] = {"rate", offsetof(struct tenant_result, rate), 1},
	[NUMBER_RATE_RATIO] = {"rate_ratio", offsetof(struct tenant_result, rate_ratio), 1},
	[NUMBER_UNFINISHED] = {"unfinished", 0, 0},
	[NUMBER_REQUESTS] = {"requests", 0, 1},
	[NUMBER_SERVICE_MS] = {"service_ms", offsetof(struct tenant_result, service_ms), 0},
};

const char *number_key(int number)
{
	if (number < NR_NUMBERS)
		return numbers[number].key;
	return number == NUMBER_RATE_SUM ? "rate_sum" : "leftover_ratio";
}

double number_of(const struct measurement *m, size_t tenant, int number)
{
	const struct tenant_result *result = &m->tenant[tenant];
	double value;

	switch (number) {
	case NUMBER_RATE_SUM:
		return m->rate_sum;
	case NUMBER_LEFTOVER:
		return m->leftover_ratio;
	case NUMBER_REQUESTS:
		return result->latency_ms != NULL ? (double)result->nr_requests : (double)NAN;
	case NUMBER_UNFINISHED:
		return result->latency_ms != NULL ? (double)result->nr_unfinished : (double)NAN;
	default:
		memcpy(&value, (const char *)result + numbers[number].offset, sizeof(value));
		return value;
	}
}

/* The number in every repetition of the system that did not fail; NULL when memory is short. */
static double *collect(const struct bench *bench, const struct bench_system *system, size_t tenant,
		       int number, size_t *ret_nr)
{
	double *values = calloc(bench->nr_measurements + 1, sizeof(*values));

	*ret_nr = 0;
	for (size_t i = 0; values != NULL && i < bench->nr_measurements; i++) {
		const struct measurement *m = &bench->measurements[i];

		if (m->system == system && !m->has_failed)
			values[(*ret_nr)++] = number_of(m, tenant, number);
	}
	return values;
}

double number_median(const struct bench *bench, const struct bench_system *system, size_t tenant,
		     int number)
{
	size_t nr;
	double *values = collect(bench, system, tenant, number, &nr);
	double result = values != NULL ? median(values, nr) : (double)NAN;

	free(values);
	return result;
}

double number_worst(const struct bench *bench, const struct bench_system *system, size_t tenant,
		    int number)
{
	int is_better_more = number >= NR_NUMBERS || numbers[number].is_better_more;
	size_t nr;
	double *values = collect(bench, system, tenant, number, &nr);
	double worst = (double)NAN;

	for (size_t i = 0; values != NULL && i < nr; i++) {
		if (isnan(worst) || (is_better_more ? values[i] < worst : values[i] > worst))
			worst = values[i];
	}
	free(values);
	return worst;
}
