/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuBLAS may be told of more SMs than there are.
 *
 * Its products on Hopper (nvjet_*) are persistent: one block for each SM it knows of, each of which computes
 * tile after tile. On all SMs of a GPU that is one wave, up to 1.4 ms long in a training of a Llama-type
 * model, and nothing can take an SM back before its end. Told of seven times as many SMs, the same product
 * comes in seven waves of shorter blocks: an owner that comes back has its first SM after one of them, and the
 * rest can be told to go (docs/splitting.md). With a whole program told so, an owner's wait on an H200 fell from
 * 0.21 ms to 0.11 ms, and the training was as fast as before (results/README.md, 2026-11-29, "Told of more").
 *
 * Not by default: cuBLAS takes the number for the size of the GPU and chooses smaller tiles for it, so small
 * products get slower, and results differ by rounding. tests/device/told.py tells what a number costs.
 *
 * Only cuBLAS is told so (LITHOS_TOLD_SMS tells the whole program). A program that launches one block an SM
 * and has them wait for each other would hang; cuDNN's cooperative kernels would not fit and be refused.
 * cuBLAS' products wait for nobody, or, where they accumulate in parts, for blocks of a lower number, which the
 * hardware starts first; none of 150 hung.
 *
 * Who asks is known from the return address. cuBLAS has the CUDA runtime linked in, so its questions come
 * from libcublas.so and libcublasLt.so themselves; it asks when a handle is created. What was linked
 * statically into a program is not recognized, and told what the program is. These questions are rare.
 *
 * cuBLAS makes the grids of kernels with clusters of what cuOccupancyMaxActiveClusters says. A count that this
 * does not agree with made them up to four times slower, so the answers about occupancy are cuBLAS' own, too
 * (hook_device.c). These are asked for often: a verdict is kept per address, and a library that is loaded
 * where cuBLAS was unloaded may get cuBLAS' answers.
 *
 * Tested by tests/integration/shim_quota.bats.
 */
#include "shim/told/cublas.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "shim/told/read.h"

#define NR_KNOWN  64u
#define FILE_NAME "libcublas" /* libcublas.so.13, libcublasLt.so.13 */

static struct {
	struct told told;
	int has_told;
	/* addresses, shifted by one, with 1 for those of cuBLAS */
	_Atomic uint64_t known[NR_KNOWN];
} cublas;

int cublas_read_told(const char *text)
{
	int r = told_read("LITHOS_TOLD_CUBLAS", text, &cublas.told);

	cublas.has_told = r > 0;
	return r;
}

static int is_in_cublas(const void *address)
{
	const char *slash;
	Dl_info info;

	if (!dladdr(address, &info) || !info.dli_fname)
		return 0;
	slash = strrchr(info.dli_fname, '/');
	return strncmp(slash ? slash + 1 : info.dli_fname, FILE_NAME, strlen(FILE_NAME)) == 0;
}

int cublas_has(const void *address)
{
	uint64_t key = (uint64_t)(uintptr_t)address << 1;
	_Atomic uint64_t *known = &cublas.known[hash_pointer(address) % NR_KNOWN];
	uint64_t verdict;

	if (!cublas.has_told)
		return 0;
	verdict = atomic_load_explicit(known, memory_order_relaxed);
	if ((verdict & ~1ull) != key) {
		verdict = key | (uint64_t)is_in_cublas(address);
		atomic_store_explicit(known, verdict, memory_order_relaxed);
	}
	return (int)(verdict & 1);
}

uint32_t cublas_told_sms(uint32_t nr_sms, uint32_t told)
{
	return told_sms(&cublas.told, nr_sms, told);
}
