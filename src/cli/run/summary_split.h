/* SPDX-License-Identifier: Apache-2.0 */
/* How kernels are launched and why, as texts; rows as summary_add() leaves them. */
#ifndef LITHOS_CLI_RUN_SUMMARY_SPLIT_H
#define LITHOS_CLI_RUN_SUMMARY_SPLIT_H

#include <stdio.h>

#include "cli/run/summary.h"

#define SUMMARY_HOW_BYTES 32

/* "whole", "atoms x4", "claimed". */
void summary_how(const struct stats_kernel *kernel, char ret_text[SUMMARY_HOW_BYTES]);

/* "" for what needs no explanation: nobody asked, or it is short. */
const char *summary_why(const struct stats_kernel *kernel);

/* A line for each reason that some kernel has, for tables without a column for it. */
void summary_print_reasons(const struct summary *summary, FILE *file);

/* A line when blocks of some kernels run long: nothing can take the GPU from a block. */
void summary_print_long_blocks(const struct summary *summary, FILE *file);

#endif
