/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel that computes for a given time.
 *
 * A loop that reads the clock until the time is over would be simple, but it is not what kernels
 * do: it issues little, and a block that was displaced or slowed down would still end on time. So
 * every thread does rounds of 32 dependent multiply-adds on registers. A block of 1,024 threads
 * fills the four schedulers of an SM, so two blocks on one SM take twice as long each; the rounds
 * for a wanted time are therefore measured with as many blocks as will be resident.
 *
 * Calibration: the least of many times of a launch of some milliseconds, less the least time of an
 * empty one. The least, because a neighbour that runs meanwhile, a low clock and a busy CPU can
 * only add. 8,192 rounds in 2,310 us, 10 us empty: 0.281 us a round, 178 rounds are 50 us.
 *
 * Systems are compared with each other, so all their measurements must run the same work: who
 * calibrates first leaves the number in a file for the programs after it.
 *
 * On the simulated GPU sim_kernels.c says how long a round takes.
 * What it does badly: a GPU that lowers its clock under load later runs longer blocks than it was
 * asked for. Tested by tests/integration/bench_long.bats.
 */
#include "bench/long/fma.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "bench/tenant/session.h"

#define MEASURED_ROUNDS 8192
#define NR_TRIES        50
#define MAX_ROUNDS      (1u << 30)

/* x -> x / 2 + 1 goes to 2, so the store never happens; the compiler does not know. */
#define FMA1  "	fma.rn.f32 %f1, %f1, 0f3F000000, 0f3F800000;\n"
#define FMA8  FMA1 FMA1 FMA1 FMA1 FMA1 FMA1 FMA1 FMA1
#define FMA32 FMA8 FMA8 FMA8 FMA8

static const char ptx[] = ".version 7.8\n"
			  ".target sm_75\n"
			  ".address_size 64\n"
			  ".visible .entry lithos_fma(.param .u64 p_out, .param .u32 p_rounds)\n{\n"
			  "	.reg .pred %p<3>;\n"
			  "	.reg .b32 %r<3>;\n"
			  "	.reg .f32 %f<2>;\n"
			  "	.reg .b64 %rd<3>;\n"
			  "	ld.param.u64 %rd1, [p_out];\n"
			  "	ld.param.u32 %r1, [p_rounds];\n"
			  "	mov.u32 %r2, %tid.x;\n"
			  "	cvt.rn.f32.u32 %f1, %r2;\n"
			  "	setp.eq.u32 %p1, %r1, 0;\n"
			  "	@%p1 bra DONE;\n"
			  "ROUND:\n" FMA32 "	sub.u32 %r1, %r1, 1;\n"
			  "	setp.ne.u32 %p1, %r1, 0;\n"
			  "	@%p1 bra ROUND;\n"
			  "	setp.geu.f32 %p2, %f1, 0f00000000;\n"
			  "	@%p2 bra DONE;\n"
			  "	cvta.to.global.u64 %rd2, %rd1;\n"
			  "	st.global.f32 [%rd2], %f1;\n"
			  "DONE:\n"
			  "	ret;\n}\n";

void fma_open(struct fma *fma, const struct gpu *gpu)
{
	fma->gpu = gpu;
	fma->kernel = gpu_kernel(ptx, "lithos_fma");
	fma->out = gpu_memory(sizeof(float));
}

void fma_launch(const struct fma *fma, unsigned int nr_blocks, uint32_t rounds)
{
	CUdeviceptr out = fma->out;
	void *params[] = {&out, &rounds};

	gpu_launch(fma->gpu, fma->kernel, nr_blocks, params);
}

static uint64_t least_ns(const struct fma *fma, unsigned int nr_blocks, uint32_t rounds)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < NR_TRIES; i++) {
		uint64_t begin = clock_now_ns();
		uint64_t took;

		fma_launch(fma, nr_blocks, rounds);
		gpu_wait(fma->gpu);
		took = clock_now_ns() - begin;
		least = took < least ? took : least;
	}
	return least;
}

uint32_t fma_calibrate(const struct fma *fma, const struct long_shape *shape)
{
	uint64_t full = least_ns(fma, shape->nr_resident, MEASURED_ROUNDS);
	uint64_t empty = least_ns(fma, shape->nr_resident, 0);
	double round_ns;
	double rounds;

	if (full <= empty)
		return 1;
	round_ns = (double)(full - empty) / MEASURED_ROUNDS;
	rounds = (double)shape->block_ns / round_ns + 0.5;
	if (rounds < 1)
		return 1;
	return rounds < MAX_ROUNDS ? (uint32_t)rounds : MAX_ROUNDS;
}

static int read_rounds(const char *path, uint32_t *ret_rounds)
{
	FILE *file = fopen(path, "re");
	uint32_t rounds = 0;
	int fields;

	if (file == NULL)
		return -errno;
	fields = fscanf(file, "rounds %" SCNu32, &rounds);
	(void)fclose(file);
	if (fields != 1 || rounds == 0 || rounds > MAX_ROUNDS)
		return -EPROTO;
	*ret_rounds = rounds;
	return 0;
}

static int write_rounds(const char *path, uint32_t rounds)
{
	char new_path[SESSION_PATH_MAX];
	FILE *file;
	int failed;

	if (snprintf(new_path, sizeof(new_path), "%s.new", path) >= (int)sizeof(new_path))
		return -ENAMETOOLONG;
	file = fopen(new_path, "we");
	if (file == NULL)
		return -errno;
	(void)fprintf(file, "rounds %" PRIu32 "\n", rounds);
	failed = ferror(file);
	if (fclose(file) != 0 || failed)
		return -EIO;
	return rename(new_path, path) == 0 ? 0 : -errno;
}

int fma_calibrate_once(const struct fma *fma, const struct long_shape *shape, const char *path,
		       uint32_t *ret_rounds)
{
	uint32_t rounds;
	int r = read_rounds(path, ret_rounds);

	if (r != -ENOENT)
		return r;
	rounds = fma_calibrate(fma, shape);
	r = write_rounds(path, rounds);
	if (r == 0)
		*ret_rounds = rounds;
	return r;
}
