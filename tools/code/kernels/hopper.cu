// SPDX-License-Identifier: Apache-2.0
// From compute capability 9.0 on: transactions, asynchronous copies, clusters. What blocks of one
// cluster do to one another is told by the launch, and is no gang in the detector's sense.
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define K extern "C" __global__ void

__device__ void wait_parity(unsigned int barrier, unsigned int parity)
{
	unsigned int done;

	do
		asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; "
			     "selp.u32 %0, 1, 0, p; }"
			     : "=r"(done) : "r"(barrier), "r"(parity) : "memory");
	while (!done);
}

/* sm_120's compiler checks the address and calls the driver when it is wrong, through a pointer. */
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1200
#define free_bulk_copy_pipeline unsure_bulk_copy_pipeline
#endif
K free_bulk_copy_pipeline(const float *in, float *out, int n)
{
	__shared__ alignas(128) float tile[2][256];
	__shared__ alignas(8) unsigned long long full[2];
	unsigned int barriers = (unsigned int)__cvta_generic_to_shared(full);
	unsigned int tiles = (unsigned int)__cvta_generic_to_shared(tile);
	float sum = 0;

	if (threadIdx.x == 0) {
		asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(barriers));
		asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(barriers + 8));
	}
	__syncthreads();
	for (int i = 0; i < n; i++) {
		unsigned int at = i & 1;

		if (threadIdx.x == 0) {
			asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], 1024;" ::"r"(
				barriers + 8 * at) : "memory");
			asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
				     "[%0], [%1], 1024, [%2];" ::"r"(tiles + 1024 * at),
				     "l"(in + 256 * i), "r"(barriers + 8 * at) : "memory");
		}
		wait_parity(barriers + 8 * at, (i >> 1) & 1);
		sum += tile[at][threadIdx.x];
		__syncthreads();
	}
	out[threadIdx.x] = sum;
}

K __cluster_dims__(2, 1, 1) free_cluster_barrier(int *out, int n)
{
	__shared__ int mine;

	for (int i = 0; i < n; i++) {
		mine = out[i];
		asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
		out[threadIdx.x] += mine;
	}
}

K gang_spin_acquire_cluster(int *flag, int *out)
{
	int v;

	do
		asm volatile("ld.acquire.cluster.s32 %0, [%1];" : "=r"(v) : "l"(flag) : "memory");
	while (v == 0);
	out[threadIdx.x] = 1;
}

/* A stream-K tail: a pipeline, and then the turn of this block. */
K gang_pipeline_with_turn(const float *in, float *out, int *turn, int n)
{
	__shared__ alignas(8) unsigned long long full;
	unsigned int barrier = (unsigned int)__cvta_generic_to_shared(&full);
	int v;

	if (threadIdx.x == 0)
		asm volatile("mbarrier.init.shared.b64 [%0], 1;" ::"r"(barrier));
	__syncthreads();
	for (int i = 0; i < n; i++)
		wait_parity(barrier, i & 1);
	do
		asm volatile("ld.relaxed.gpu.s32 %0, [%1];" : "=r"(v) : "l"(turn) : "memory");
	while (v != (int)blockIdx.x);
	out[threadIdx.x] += in[threadIdx.x];
}
#endif
