/* SPDX-License-Identifier: Apache-2.0 */
/* One measurement: one system in one repetition. */
#ifndef LITHOS_CLI_BENCH_MEASURE_H
#define LITHOS_CLI_BENCH_MEASURE_H

#include "cli/bench/bench.h"

/*
 * Runs the scenario under the system. A failure is in ret_measurement (has_failed, why), which is
 * always filled. Nothing that was started is left afterwards.
 */
void measure(struct bench *bench, const struct bench_system *system, unsigned int repetition,
	     struct measurement *ret_measurement);

#endif
