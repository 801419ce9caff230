/* SPDX-License-Identifier: Apache-2.0 */
/* What bench found: the JSON file and the table. */
#ifndef LITHOS_CLI_BENCH_REPORT_H
#define LITHOS_CLI_BENCH_REPORT_H

#include <stdio.h>

#include "cli/bench/bench.h"

/* Fills in what needs another system's numbers: ratios against alone of the same repetition. */
void report_compare(struct bench *bench);

/* Whether a p99 rests on too few requests: by the plan, or because fewer came. */
int report_is_short(const struct bench *bench);

/* Whether it will be possible to write the file: 0 or -errno. */
int report_check(const char *path);

/* Writes the file anew, also a partial one after a failure; 0, -ENOMEM or -errno. */
int report_write(const struct bench *bench, const char *path);

/* A line for each tenant of each system, and what has to be known to read them. */
int report_print(const struct bench *bench, FILE *file);

/* One line a measurement, as soon as it is there. */
void report_print_one(const struct bench *bench, const struct measurement *m, FILE *file);

#endif
