/* SPDX-License-Identifier: Apache-2.0 */
/* What bench found: the JSON file and the table. */
#ifndef LITHOS_CLI_BENCH_REPORT_H
#define LITHOS_CLI_BENCH_REPORT_H

#include <stdio.h>

#include "cli/bench/bench.h"

/* Fills in what needs another system's numbers: leftover and p99 against alone of the same turn. */
void report_compare(struct bench *bench);

/* Writes the file anew, also a partial one after a failure; 0, -ENOMEM or -errno. */
int report_write(const struct bench *bench, const char *path);

/* A line a system, medians over the repetitions, and what has to be known to read them. */
int report_print(const struct bench *bench, FILE *file);

#endif
