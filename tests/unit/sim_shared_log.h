/* SPDX-License-Identifier: Apache-2.0 */
/* What processes on one simulated GPU write down together, in memory they share. */
#ifndef LITHOS_TEST_SIM_SHARED_LOG_H
#define LITHOS_TEST_SIM_SHARED_LOG_H

#include <stdatomic.h>
#include <stdint.h>

#define LOG_ROWS  65536u
#define LOG_FLAGS 128

/* A block that ended. */
struct log_row {
	uint32_t tag;
	uint32_t smid;
	uint64_t end_ns;
	uint64_t cost_ns;
};

struct log {
	_Atomic uint32_t nr;
	_Atomic uint32_t flag[LOG_FLAGS]; /* for the processes to wait for each other */
	struct log_row row[LOG_ROWS];
};

/* lk_log(u64 log, u64 ns, u64 tag): each block adds a row. */
struct log_params {
	struct log *log;
	uint64_t ns;
	uint64_t tag;
};

#endif
