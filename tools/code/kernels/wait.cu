// SPDX-License-Identifier: Apache-2.0
// Kernels whose blocks wait for other blocks. The name says what the detector must answer; those
// called gang_careful_* wait for nobody, and are taken for gangs all the same (docs/gang-detector.md).
#define K extern "C" __global__ void

K gang_spin_volatile(volatile int *flag, int *out)
{
	while (*flag == 0)
		;
	out[threadIdx.x] = 1;
}

K gang_spin_acquire(int *flag, int *out)
{
	int v;

	do
		asm volatile("ld.acquire.gpu.s32 %0, [%1];" : "=r"(v) : "l"(flag) : "memory");
	while (v == 0);
	out[threadIdx.x] = 1;
}

K gang_spin_acquire_system(int *flag, int *out)
{
	int v;

	do
		asm volatile("ld.acquire.sys.s32 %0, [%1];" : "=r"(v) : "l"(flag) : "memory");
	while (v < 3);
	out[threadIdx.x] = 1;
}

K gang_spin_relaxed_sleep(long long *flag, int *out)
{
	long long v;

	for (;;) {
		asm volatile("ld.relaxed.gpu.global.s64 %0, [%1];" : "=l"(v) : "l"(flag) : "memory");
		if (v > 7)
			break;
		__nanosleep(100);
	}
	out[threadIdx.x] = 1;
}

K gang_spin_cg_load(int *flag, int *out)
{
	while (__ldcg(flag) == 0)
		__threadfence();
	out[threadIdx.x] = 1;
}

K gang_poll_add_zero(int *count, int n, int *out)
{
	while (atomicAdd(count, 0) < n)
		;
	out[0] = 1;
}

K gang_poll_or(int *count, int n, int *out)
{
	while (atomicOr(count, 0) < n)
		__nanosleep(20);
	out[0] = 1;
}

K gang_poll_cas(int *flag, int *out)
{
	while (atomicCAS(flag, 7, 7) != 7)
		;
	out[0] = 1;
}

K gang_lock_cas(int *lock, int *out)
{
	while (atomicCAS(lock, 0, 1) != 0)
		;
	out[0]++;
	__threadfence();
	atomicExch(lock, 0);
}

K gang_lock_exchange(int *lock, int *out)
{
	while (atomicExch(lock, 1))
		;
	out[0]++;
	__threadfence();
	atomicExch(lock, 0);
}

K gang_lock_cas_64(unsigned long long *lock, int *out)
{
	while (atomicCAS(lock, 0ull, 1ull) != 0)
		__nanosleep(10);
	out[0]++;
	__threadfence();
	atomicExch(lock, 0ull);
}

K gang_lock_masked(unsigned int *word, int *out)
{
	unsigned int seen, old = *word;

	/* Takes the top bit, and waits while another block has it. */
	do {
		seen = old & 0x7fffffffu;
		old = atomicCAS(word, seen, seen | 0x80000000u);
	} while (old != seen);
	out[0]++;
	__threadfence();
	atomicAnd(word, 0x7fffffffu);
}

K gang_lock_ticket(unsigned int *next, volatile unsigned int *serving, int *out)
{
	unsigned int mine = atomicAdd(next, 1u);

	while (*serving != mine)
		;
	out[0]++;
	__threadfence();
	*serving = mine + 1;
}

K gang_lock_semaphore(int *tokens, int *out)
{
	while (atomicAdd(tokens, -1) <= 0)
		atomicAdd(tokens, 1);
	out[0]++;
	atomicAdd(tokens, 1);
}

K gang_wait_for_change_by_cas(int *word, int *out)
{
	int seen, old = *word;

	do {
		seen = old;
		old = atomicCAS(word, seen, seen);
	} while (old == seen);
	out[0] = old;
}

K gang_grid_barrier(unsigned int *arrived, volatile unsigned int *generation, int *data)
{
	data[blockIdx.x * blockDim.x + threadIdx.x] *= 2;
	__threadfence();
	__syncthreads();
	if (threadIdx.x == 0) {
		unsigned int now = *generation;

		if (atomicAdd(arrived, 1u) == gridDim.x - 1) {
			*arrived = 0;
			__threadfence();
			*generation = now + 1;
		} else {
			while (*generation == now)
				;
		}
	}
	__syncthreads();
	data[threadIdx.x] += data[blockDim.x + threadIdx.x];
}

/* As cooperative groups do it: the top bit flips when all have arrived. */
K gang_grid_sync(unsigned int *barrier, int *data, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		data[blockIdx.x * blockDim.x + threadIdx.x] += data[threadIdx.x] + i;
		__syncthreads();
		if (threadIdx.x == 0) {
			unsigned int add = blockIdx.x == 0 ? 0x80000000u - (gridDim.x - 1) : 1u;
			unsigned int old, now;

			__threadfence();
			old = atomicAdd(barrier, add);
			do
				asm volatile("ld.acquire.gpu.u32 %0, [%1];" : "=r"(now) : "l"(barrier)
					     : "memory");
			while (((old ^ now) & 0x80000000u) == 0);
		}
		__syncthreads();
	}
}

/* One thread polls, the value reaches the others through shared memory. */
K gang_poll_through_shared(volatile int *flag, int *out)
{
	__shared__ int ready;

	do {
		__syncthreads();
		if (threadIdx.x == 0)
			ready = *flag;
		__syncthreads();
	} while (ready == 0);
	out[threadIdx.x] = 1;
}

K gang_poll_through_barrier(volatile int *flags, int n, int *out)
{
	int waiting;

	do {
		int mine = threadIdx.x < n ? flags[threadIdx.x] : 1;

		waiting = __syncthreads_or(mine == 0);
	} while (waiting);
	out[threadIdx.x] = 1;
}

K gang_poll_through_vote(volatile int *flags, int *out)
{
	while (__any_sync(~0u, flags[threadIdx.x] == 0))
		;
	out[threadIdx.x] = 1;
}

K gang_poll_through_shuffle(volatile int *flag, int *out)
{
	int v;

	do {
		v = 0;
		if ((threadIdx.x & 31) == 0)
			v = *flag;
		v = __shfl_sync(~0u, v, 0);
	} while (v == 0);
	out[threadIdx.x] = v;
}

/* Only control carries the value: the exit tests a counter that is raised when the flag is seen. */
K gang_by_control_only(volatile int *flag, int *out, int n)
{
	int seen = 0, tries = 0;

	while (seen < n) {
		if (*flag == tries)
			seen = seen * 3 + out[seen];
		tries++;
	}
	out[threadIdx.x] = tries;
}

__device__ int warp_sum(int v)
{
	for (int i = 16; i > 0; i /= 2)
		v += __shfl_xor_sync(~0u, v, i);
	return v;
}

/* Bounded in the number of blocks, not in time. */
K gang_look_back(volatile unsigned long long *state, const int *in, int *out)
{
	__shared__ int before;
	int sum = warp_sum(in[blockIdx.x * 32 + threadIdx.x]);

	if (threadIdx.x == 0) {
		int at = blockIdx.x - 1, total = 0;

		state[blockIdx.x] = 1ull << 32 | (unsigned int)sum;
		while (at >= 0) {
			unsigned long long seen = state[at];

			if (seen >> 32 == 0)
				continue;
			total += (int)seen;
			if (seen >> 32 == 2)
				break;
			at--;
		}
		before = total;
		state[blockIdx.x] = 2ull << 32 | (unsigned int)(total + sum);
	}
	__syncthreads();
	out[blockIdx.x * 32 + threadIdx.x] = before + sum;
}

/* Split-K: parts are added up in order. */
K gang_split_k_semaphore(int *semaphore, float *out, const float *in, int part)
{
	float sum = 0;

	for (int i = 0; i < part; i++)
		sum += in[(blockIdx.x * part + i) * 32 + threadIdx.x];
	if (threadIdx.x == 0) {
		int v;

		do
			asm volatile("ld.global.acquire.gpu.b32 %0, [%1];" : "=r"(v) : "l"(semaphore)
				     : "memory");
		while (v != (int)blockIdx.x);
	}
	__syncthreads();
	out[threadIdx.x] += sum;
	__syncthreads();
	if (threadIdx.x == 0)
		asm volatile("st.global.release.gpu.b32 [%0], %1;" ::"l"(semaphore),
			     "r"(blockIdx.x + 1) : "memory");
}

__device__ __noinline__ int poll(volatile int *flags, int n)
{
	int all = 1;

	for (int i = 0; i < n; i++)
		all &= flags[i * 32];
	return all;
}

K gang_poll_in_function(volatile int *flags, int n, int *out)
{
	while (poll(flags, n) == 0)
		;
	out[0] = poll(flags, 2);
}

/* Reads how much there is to do past the L1 cache; nobody is waited for. */
K gang_careful_bound_by_cg_load(const int *count, int *out)
{
	for (int i = 0; i < __ldcg(count); i++)
		out[i] += i;
}
