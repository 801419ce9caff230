// SPDX-License-Identifier: Apache-2.0
// Kernels whose blocks wait for nobody, though they look like it: atomics, volatile data, barriers
// within the block. The name says what the detector must answer.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cstdio>
#define K extern "C" __global__ void

K free_loop(const int *in, int *out)
{
	int sum = 0;

	for (int i = 0; i < in[1]; i++)
		sum += in[i];
	out[threadIdx.x] = sum;
}

/* Reread every time: a weak load may be, and nobody may count on it. */
K free_loop_reload(int *in, int *out)
{
	while (in[1] > in[0]) {
		out[threadIdx.x] += in[2];
		in[0] += 1;
		__syncthreads();
	}
}

K free_loop_volatile_data(volatile float *in, float *out, int n)
{
	float sum = 0;

	for (int i = 0; i < n; i++)
		sum += in[i];
	out[threadIdx.x] = sum;
}

/* The sum of volatile data ends the loop: data, not a signal. */
K free_volatile_norm(volatile float *in, float *out, float limit)
{
	__shared__ float sum;

	for (int i = 0;; i++) {
		float x = in[i * 32 + threadIdx.x], y = in[i * 64 + threadIdx.x];

		if (threadIdx.x == 0)
			sum = x * y + x;
		__syncthreads();
		if (sum > limit)
			break;
		out[i * 32 + threadIdx.x] = x;
		__syncthreads();
	}
}

K free_matrix(const float *a, const float *b, float *c, int n)
{
	__shared__ float sa[16][16], sb[16][16];
	float sum = 0;

	for (int k = 0; k < n; k += 16) {
		sa[threadIdx.y][threadIdx.x] = a[(blockIdx.y * 16 + threadIdx.y) * n + k + threadIdx.x];
		sb[threadIdx.y][threadIdx.x] = b[(k + threadIdx.y) * n + blockIdx.x * 16 + threadIdx.x];
		__syncthreads();
		for (int i = 0; i < 16; i++)
			sum += sa[threadIdx.y][i] * sb[i][threadIdx.x];
		__syncthreads();
	}
	c[(blockIdx.y * 16 + threadIdx.y) * n + blockIdx.x * 16 + threadIdx.x] = sum;
}

K free_spin_in_block(int *out)
{
	__shared__ volatile int flag;

	if (threadIdx.x == 0)
		flag = 0;
	__syncthreads();
	if (threadIdx.x == 32)
		flag = out[0] | 1;
	while (flag == 0)
		;
	out[threadIdx.x] = 1;
}

K free_lock_in_block(int *out)
{
	__shared__ int lock;

	if (threadIdx.x == 0)
		lock = 0;
	__syncthreads();
	if ((threadIdx.x & 31) == 0) {
		while (atomicCAS(&lock, 0, 1) != 0)
			;
		out[0]++;
		atomicExch(&lock, 0);
	}
}

K free_spin_block_scope(int *flag, int *out)
{
	int v;

	do
		asm volatile("ld.relaxed.cta.s32 %0, [%1];" : "=r"(v) : "l"(flag) : "memory");
	while (v == 0);
	out[threadIdx.x] = 1;
}

K free_last_block(int *count, int *out)
{
	__shared__ bool last;

	__threadfence();
	if (threadIdx.x == 0)
		last = atomicAdd(count, 1) == gridDim.x - 1;
	__syncthreads();
	if (last) {
		for (int i = 0; i < gridDim.x; i++)
			out[0] += out[i + 1];
	}
}

/* Stream-K without order: each block of a loop checks whether it was the last. */
K free_last_block_in_loop(int *count, const int *in, int *out, int n)
{
	for (int i = blockIdx.x; i < n; i += gridDim.x) {
		out[i] = in[i] * 3;
		__threadfence();
		if (atomicAdd(count + i, 1) == 7)
			out[n + i] = out[i] + out[i + 1];
	}
}

K free_tiles(int *count, int n, int *out)
{
	__shared__ int tile;

	for (;;) {
		if (threadIdx.x == 0)
			tile = atomicAdd(count, 1);
		__syncthreads();
		if (tile >= n)
			break;
		out[tile * 32 + threadIdx.x] *= 3;
		__syncthreads();
	}
}

K free_tiles_by_thread(int *count, int n, int *out)
{
	for (int tile; (tile = atomicAdd(count, 1)) < n;)
		out[tile] *= 3;
}

K free_histogram(unsigned int *bins, const unsigned char *in, int n)
{
	for (int i = threadIdx.x; i < n; i += blockDim.x)
		atomicAdd(bins + in[i], 1u);
}

K free_cas_float_max(float *to, float x)
{
	int *word = (int *)to;
	int seen, old = *word;

	do {
		seen = old;
		old = atomicCAS(word, seen, __float_as_int(fmaxf(x, __int_as_float(seen))));
	} while (seen != old);
}

K free_cas_float_max_early(float *to, float x)
{
	int *word = (int *)to;
	int old = *word;

	while (x > __int_as_float(old)) {
		int seen = old;

		old = atomicCAS(word, seen, __float_as_int(x));
		if (old == seen)
			break;
	}
}

K free_cas_double_multiply(double *to, double x)
{
	unsigned long long *word = (unsigned long long *)to;
	unsigned long long seen, old = *word;

	do {
		seen = old;
		old = atomicCAS(word, seen, __double_as_longlong(x * __longlong_as_double(seen)));
	} while (seen != old);
}

K free_cas_in_loop(float *to, const float *x, int n)
{
	for (int i = threadIdx.x; i < n; i += 32) {
		int *word = (int *)to + i % 7;
		int seen, old = *word;

		do {
			seen = old;
			old = atomicCAS(word, seen, __float_as_int(fminf(x[i], __int_as_float(seen))));
		} while (seen != old);
	}
}

K free_cas_half_word(unsigned short *to, unsigned short x)
{
	unsigned short old = *to, seen;

	do {
		seen = old;
		old = atomicCAS(to, seen, (unsigned short)(seen * 3 + x));
	} while (seen != old);
}

K free_add_half(__half *to, __half x)
{
	atomicAdd(to + threadIdx.x, x);
}

K free_add_bfloat(__nv_bfloat162 *to, __nv_bfloat162 x)
{
	atomicAdd(to + threadIdx.x, x);
}

K free_stack_push(unsigned long long *head, unsigned long long *next)
{
	unsigned long long seen, old = *head;

	do {
		seen = old;
		next[threadIdx.x] = seen;
		old = atomicCAS(head, seen, (unsigned long long)threadIdx.x);
	} while (old != seen);
}

K free_divide(double *a, int n)
{
	for (int i = 0; i < n; i++)
		a[i] = sqrt(a[i + 1]) / a[i];
}

K free_switch(int *o, int n)
{
	for (int i = 0; i < n; i++)
		switch (o[i]) {
		case 0: o[1] *= 3; break;
		case 1: o[2] = o[3] / 7; break;
		case 2: o[4] = __clz(o[1]); break;
		case 3: o[9] = o[1] * o[2]; break;
		case 4: o[8] = 9; break;
		case 5: o[77] = o[12]; break;
		case 6: o[5] += o[6]; break;
		case 7: o[3] = o[0] % 11; break;
		}
}

K free_clock(long long ticks, int *out)
{
	long long end = clock64() + ticks;

	while (clock64() < end)
		__nanosleep(50);
	out[threadIdx.x] = 1;
}

typedef int (*function)(int);

K unsure_call_through_pointer(function *table, int *out, int n)
{
	for (int i = 0; i < n; i++)
		out[i] = table[i](out[i]);
}

K unsure_print(int *out, int n)
{
	if (out[n] == 5)
		printf("%d\n", n);
}
