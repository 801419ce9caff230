/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels the simulated GPU knows from birth: those of the topology probe and those of the
 * tests.
 *
 * Each is the C meaning of a small PTX kernel (hw/probe_ptx.c, tests/programs). Parameters are read
 * with memcpy from the parameter bank. lk_fill's blocks do blockDim.x elements each, like
 * lk_saxpy's.
 */
#include "sim/kernel/registry.h"

#include <string.h>

static uint64_t read_u64(const struct sim_kernel_launch *launch, size_t offset)
{
	uint64_t value;

	memcpy(&value, (const char *)launch->params + offset, sizeof(value));
	return value;
}

static uint32_t read_u32(const struct sim_kernel_launch *launch, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)launch->params + offset, sizeof(value));
	return value;
}

static uint64_t flat_block(const struct sim_kernel_block *block)
{
	const uint32_t *dim = block->launch->grid_dim;

	return block->block_idx[0] +
	       dim[0] * (block->block_idx[1] + (uint64_t)dim[1] * block->block_idx[2]);
}

static uint32_t *first_pointer(const struct sim_kernel_block *block)
{
	return (uint32_t *)read_u64(block->launch, 0);
}

static uint64_t cost_null(const struct sim_kernel_launch *launch)
{
	(void)launch;
	return 1000;
}

/* The kernels with parameters (pointer, u64 ns). */
static uint64_t cost_from_params(const struct sim_kernel_launch *launch)
{
	uint64_t ns = read_u64(launch, 8);

	return ns ? ns : 1;
}

/* lk_spin(u64 ns) */
static uint64_t cost_spin(const struct sim_kernel_launch *launch)
{
	uint64_t ns = launch->params_bytes >= 8 ? read_u64(launch, 0) : 0;

	return ns ? ns : 1;
}

static void run_where(const struct sim_kernel_block *block)
{
	uint32_t *slot = &first_pointer(block)[flat_block(block)];

	__atomic_store_n(slot, block->smid, __ATOMIC_RELAXED);
}

static void run_count(const struct sim_kernel_block *block)
{
	(void)__atomic_fetch_add(&first_pointer(block)[flat_block(block)], 1, __ATOMIC_RELAXED);
}

static void run_seen(const struct sim_kernel_block *block)
{
	__atomic_store_n(&first_pointer(block)[block->smid], 1, __ATOMIC_RELAXED);
}

/* lk_stamp(u64 out, u64 ns): the earliest start of a block */
static void run_stamp(const struct sim_kernel_block *block)
{
	uint64_t *slot = (uint64_t *)read_u64(block->launch, 0);
	uint64_t start = block->now_ns - cost_from_params(block->launch);

	if (start < __atomic_load_n(slot, __ATOMIC_RELAXED))
		__atomic_store_n(slot, start, __ATOMIC_RELAXED);
}

/* The barrier itself is the device's (SIM_KERNEL_GRID_BARRIER); the word counts the arrivals. */
static void run_barrier(const struct sim_kernel_block *block)
{
	(void)__atomic_fetch_add(first_pointer(block), 1, __ATOMIC_RELAXED);
}

/* Elements [first, last) of a block whose thread i does element block * blockDim.x + i of n. */
static void block_range(const struct sim_kernel_block *block, uint32_t n, uint64_t *ret_first,
			uint64_t *ret_last)
{
	uint64_t threads = block->launch->block_dim[0];
	uint64_t first = block->block_idx[0] * threads;
	uint64_t last = first + threads;

	*ret_first = first < n ? first : n;
	*ret_last = last < n ? last : n;
}

/* lk_saxpy(f32 *x, f32 *y, f32 a, u32 n): y += a * x */
static void run_saxpy(const struct sim_kernel_block *block)
{
	const float *x = (const float *)read_u64(block->launch, 0);
	float *y = (float *)read_u64(block->launch, 8);
	uint32_t bits = read_u32(block->launch, 16);
	uint64_t i, last;
	float a;

	memcpy(&a, &bits, sizeof(a));
	block_range(block, read_u32(block->launch, 20), &i, &last);
	for (; i < last; i++)
		y[i] += a * x[i];
}

/* lk_fill(u32 *p, u32 value, u32 n) */
static void run_fill(const struct sim_kernel_block *block)
{
	uint32_t value = read_u32(block->launch, 8);
	uint64_t i, last;

	block_range(block, read_u32(block->launch, 12), &i, &last);
	for (; i < last; i++)
		first_pointer(block)[i] = value;
}

/* The driver's own: (u64 dst, u64 pitch, u64 width, u64 height, u32 value), a row a block. */
static void run_memset_2d(const struct sim_kernel_block *block)
{
	const struct sim_kernel_launch *launch = block->launch;
	uint64_t width = read_u64(launch, 16);
	uint32_t value = read_u32(launch, 32);

	for (uint64_t y = block->block_idx[1]; y < read_u64(launch, 24); y += launch->grid_dim[1]) {
		uint32_t *row = (uint32_t *)(read_u64(launch, 0) + y * read_u64(launch, 8));

		for (uint64_t x = 0; x < width; x++)
			row[x] = value;
	}
}

/* lithos_reader(u64 from, u64 to, u32 n): n words of 8 bytes (hw/prelude/prelude.h) */
static void run_reader(const struct sim_kernel_block *block)
{
	memcpy((void *)read_u64(block->launch, 8), (const void *)read_u64(block->launch, 0),
	       (size_t)read_u32(block->launch, 16) * 8);
}

/* clang-format off */
const struct sim_kernel builtin_kernels[] = {
	{"lk_null",            NULL,        cost_null,        0,                       0,  NULL},
	{"lk_where",           run_where,   cost_from_params, 0,                       16, NULL},
	{"lk_count",           run_count,   cost_from_params, 0,                       16, NULL},
	{"lk_saxpy",           run_saxpy,   NULL,             0,                       24, NULL},
	{"lk_barrier",         run_barrier, cost_from_params, SIM_KERNEL_GRID_BARRIER, 16, NULL},
	{"lk_fill",            run_fill,    NULL,             0,                       16, NULL},
	{"lk_spin",            NULL,        cost_spin,        0,                       8,  NULL},
	{"lk_stamp",           run_stamp,   cost_from_params, 0,                       16, NULL},
	{"lithos_probe_seen",  run_seen,    cost_from_params, 0,                       16, NULL},
	{"lithos_probe_where", run_where,   cost_from_params, 0,                       16, NULL},
	{"lithos_reader",      run_reader,  NULL,             0,                       20, NULL},
	{"lithos_sim_memset_2d", run_memset_2d, NULL,         0,                       36, NULL},
	{NULL,                 NULL,        NULL,             0,                       0,  NULL},
};
/* clang-format on */
