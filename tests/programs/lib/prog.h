/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program shares: a device with our kernels loaded, checks, and the exit code.
 *
 * Exit codes: 0 passed, 1 failed, 77 skipped (no driver or no device). Each program prints one line
 * of key=value on stdout; what went wrong goes to stderr.
 */
#ifndef LITHOS_TESTS_PROG_H
#define LITHOS_TESTS_PROG_H

#include "cu.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	PROG_PASS = 0,
	PROG_FAIL = 1,
	PROG_SKIP = 77
};

struct prog {
	CUdevice device;
	CUcontext context; /* the primary context, current in the thread that called prog_open */
	CUmodule module;
	CUfunction null, where, count, saxpy, barrier, fill;
	int nr_sms; /* as CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT tells */
};

/* A launch in the fewest words: the grid, the block, the stream and the parameters. */
struct prog_launch {
	CUfunction function;
	unsigned int grid[3];
	unsigned int block[3];
	CUstream stream;
	void **params;
};

/* kernels.ptx, NUL-terminated. */
extern const char prog_ptx[];

/* Opens driver, device 0, primary context and module. Ends the program with 77 where there is no
 * GPU. */
void prog_open(struct prog *prog);
void prog_close(struct prog *prog);

/* Looks the six kernels up in a module. */
void prog_functions(struct prog *prog, CUmodule module);

/* Counts a failure and says where; returns the condition. */
bool prog_check(bool condition, const char *what, int line);
/* Ends the program when a call that later steps need has failed. */
void prog_must(CUresult result, const char *what, int line);

#define CHECK(condition) prog_check((condition), #condition, __LINE__)
#define MUST(call)       prog_must((call), #call, __LINE__)

/* PROG_PASS or PROG_FAIL, by the failures counted; with a line on stderr naming the program. */
int prog_result(void);

/* Value of `--name N` on the command line, or fallback; prog_flag: whether `--name` is there. */
long prog_option(int argc, char **argv, const char *name, long fallback);
bool prog_flag(int argc, char **argv, const char *name);

/* One cluster of so many blocks of 1,024 threads. The attribute is the caller's, and the
 * configuration points to it. */
CUlaunchConfig prog_one_cluster(CUlaunchAttribute *attribute, unsigned int nr_blocks);

CUresult prog_run(const struct prog_launch *launch);

/* Device memory of n words, cleared to `value`. */
CUdeviceptr prog_words(size_t n, uint32_t value);
/* A fresh host copy of n words; the caller frees it. */
uint32_t *prog_read(CUdeviceptr from, size_t n);
/* How many of the n words differ from `expected`. */
size_t prog_count_other(CUdeviceptr from, size_t n, uint32_t expected);

#endif
