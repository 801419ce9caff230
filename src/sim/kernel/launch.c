/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launching.
 *
 * Every launch makes a real descriptor, announces it to the tools in the launching thread, and
 * submits what they left of it. The lock is released for the announcement, because the subscriber
 * may call the driver; two threads that launch into one stream have no order among them anyway. The
 * parameters are copied at the call, as CUDA promises.
 *
 * Tested by tests/unit/sim_driver_graphs.c, sim_driver_streams.c.
 */
#include "sim/kernel/launch.h"

#include <stdlib.h>
#include <string.h>

#include "hw/qmd.h"
#include "sim/driver/engine.h"
#include "sim/entry/tools.h"
#include "sim/graph/capture.h"
#include "sim/kernel/code.h"

#define MAX_GRID_YZ          65535u
#define MAX_CLUSTER          16u
#define MAX_PORTABLE_CLUSTER 8u

static uint64_t product(const uint32_t dim[3])
{
	return (uint64_t)dim[0] * dim[1] * dim[2];
}

uint32_t kernel_nr_clusters(uint32_t cluster_blocks)
{
	uint32_t sms[CHIP_MAX_GPCS] = {0};
	uint32_t n = 0;

	for (uint32_t sm = 0; sm < sim.chip.nr_sms; sm++)
		sms[sim.chip.gpc_of_sm[sm]]++;
	for (uint32_t gpc = 0; gpc < sim.chip.nr_gpcs; gpc++)
		n += sms[gpc] / cluster_blocks;
	return n;
}

static CUresult check_cluster(const struct op_kernel *op)
{
	uint64_t blocks = product(op->cluster);
	const int *attribute = op->func->attribute;

	if (!blocks || blocks > MAX_CLUSTER)
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	if (blocks > MAX_PORTABLE_CLUSTER &&
	    !attribute[CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED])
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	for (int i = 0; i < 3; i++) {
		if (op->grid[i] % op->cluster[i])
			return CUDA_ERROR_INVALID_VALUE;
	}
	return kernel_nr_clusters((uint32_t)blocks) ? CUDA_SUCCESS
						    : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

CUresult kernel_check_locked(const struct op_kernel *op)
{
	const int *attribute = op->func->attribute;
	CUresult r;

	if (!product(op->grid) || op->grid[0] > INT32_MAX || op->grid[1] > MAX_GRID_YZ ||
	    op->grid[2] > MAX_GRID_YZ)
		return CUDA_ERROR_INVALID_VALUE;
	if (!product(op->block) || op->block[2] > 64 ||
	    product(op->block) > (uint64_t)attribute[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK])
		return CUDA_ERROR_INVALID_VALUE;
	if (op->dynamic_shared >
	    (uint32_t)attribute[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES])
		return CUDA_ERROR_INVALID_VALUE;
	r = check_cluster(op);
	if (r || !op->cooperative)
		return r;
	if (product(op->grid) > (uint64_t)kernel_blocks_per_sm_locked(op) * sim.chip.nr_sms)
		return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	return CUDA_SUCCESS;
}

static CUresult read_extra(struct op_kernel *op, void **extra)
{
	const void *buffer = NULL;
	const size_t *size = NULL;

	for (; *extra != CU_LAUNCH_PARAM_END; extra += 2) {
		if (*extra == CU_LAUNCH_PARAM_BUFFER_POINTER)
			buffer = extra[1];
		else if (*extra == CU_LAUNCH_PARAM_BUFFER_SIZE)
			size = extra[1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (!buffer || !size || *size < op->params_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(op->params, buffer, op->params_bytes);
	return CUDA_SUCCESS;
}

static CUresult read_pointers(struct op_kernel *op, void **pointers)
{
	const struct ptx_entry *entry = op->func->entry;

	for (uint32_t i = 0; i < entry->nr_params; i++) {
		if (!pointers[i])
			return CUDA_ERROR_INVALID_VALUE;
		memcpy((char *)op->params + entry->param[i].offset, pointers[i],
		       entry->param[i].size);
	}
	return CUDA_SUCCESS;
}

CUresult kernel_params_read(struct op_kernel *op, const struct launch_params *params)
{
	CUresult r = CUDA_SUCCESS;

	op->params_bytes = op->func->entry->param_bytes;
	if (op->params_bytes && !params->pointers == !params->extra)
		return CUDA_ERROR_INVALID_VALUE;
	/* One byte at least, so that NULL means no memory. */
	op->params = calloc(1, op->params_bytes + 1);
	if (!op->params)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (op->params_bytes && params->extra)
		r = read_extra(op, params->extra);
	else if (op->params_bytes)
		r = read_pointers(op, params->pointers);
	if (r) {
		free(op->params);
		op->params = NULL;
	}
	return r;
}

static struct qmd_spec spec_of(const struct op_kernel *op)
{
	struct qmd_spec spec = {
		.cooperative = op->cooperative,
		.overlaps_previous = op->overlaps_previous,
		.registers = (uint32_t)op->func->attribute[CU_FUNC_ATTRIBUTE_NUM_REGS],
		.shared_bytes = op->func->entry->shared_bytes + op->dynamic_shared,
		.entry = op->func->address,
		.version = QMD_BUILD_VERSION,
	};

	memcpy(spec.grid, op->grid, sizeof(spec.grid));
	memcpy(spec.block, op->block, sizeof(spec.block));
	memcpy(spec.cluster, op->cluster, sizeof(spec.cluster));
	return spec;
}

void kernel_qmd_locked(const struct op_kernel *op, int in_graph,
		       uint32_t ret_qmd[QMD_BUILD_BYTES / 4])
{
	static uint32_t nr_built;
	struct qmd_spec spec = spec_of(op);

	spec.in_graph = in_graph;
	nr_built++;
	spec.correlation = nr_built;
	if (sim.faults.qmd_version)
		spec.version = (uint8_t)sim.faults.qmd_version;
	qmd_build(&spec, &sim.chip.limits, ret_qmd);
}

uint32_t kernel_blocks_per_sm_locked(const struct op_kernel *op)
{
	uint32_t qmd[QMD_BUILD_BYTES / 4];
	struct qmd_spec spec = spec_of(op);
	struct qmd_grid grid;

	qmd_build(&spec, &sim.chip.limits, qmd);
	if (qmd_decode_grid(qmd_layout_by_name("V04_00"), qmd, &grid))
		return 0;
	return occupancy_blocks_per_sm(&sim.chip.limits, &grid);
}

static struct launch_cookie *cookie_new(const struct op_kernel *op)
{
	const char *name = op->func->entry->name;
	struct launch_cookie *cookie =
		malloc(sizeof(*cookie) + op->params_bytes + strlen(name) + 1);
	char *behind;

	if (!cookie)
		return NULL;
	behind = (char *)(cookie + 1);
	memset(cookie, 0, sizeof(*cookie));
	cookie->kernel = op->func->kernel;
	cookie->ctx = op->func->module->ctx;
	cookie->launch.params = behind;
	cookie->launch.params_bytes = op->params_bytes;
	memcpy(cookie->launch.grid_dim, op->grid, sizeof(op->grid));
	memcpy(cookie->launch.block_dim, op->block, sizeof(op->block));
	if (op->params_bytes)
		memcpy(behind, op->params, op->params_bytes);
	memcpy(behind + op->params_bytes, name, strlen(name) + 1);
	cookie->name = behind + op->params_bytes;
	return cookie;
}

static int block_may_end(const struct sim_grid *grid, const uint32_t index[3], uint32_t smid,
			 uint64_t now_ns)
{
	const struct launch_cookie *cookie = grid->cookie;

	/* Redirected, it may be another kernel that runs. */
	return cookie->ctx->fault || !cookie->kernel || !cookie->kernel->may_end ||
	       cookie->kernel->may_end(&(struct sim_kernel_block){
		       .launch = &cookie->launch,
		       .block_idx = {index[0], index[1], index[2]},
		       .smid = smid,
		       .now_ns = now_ns,
	       });
}

CUresult kernel_submit_locked(struct CUstream_st *stream, const struct op_kernel *op,
			      const uint32_t *qmd)
{
	struct launch_cookie *cookie = cookie_new(op);
	const struct sim_kernel *kernel = op->func->kernel;
	struct sim_launch launch = {.qmd = qmd, .cost_ns = SIM_DEFAULT_COST_NS, .cookie = cookie};
	CUresult r = cookie ? stream_order_locked(stream) : CUDA_ERROR_OUT_OF_MEMORY;

	if (r) {
		free(cookie);
		return r;
	}
	memcpy(launch.grid_dim, op->grid, sizeof(launch.grid_dim));
	launch.program = code_of_locked(op->func, qmd, cookie);
	if (kernel && kernel->cost_ns)
		launch.cost_ns = kernel->cost_ns(&cookie->launch);
	if (kernel && kernel->may_end)
		launch.may_end = block_may_end;
	launch.waits_for_all = kernel && kernel->flags & SIM_KERNEL_GRID_BARRIER;
	if (gpu_submit_locked(stream->queue, &launch)) {
		free(cookie);
		return CUDA_ERROR_LAUNCH_FAILED;
	}
	engine_kick_locked();
	return CUDA_SUCCESS;
}

static int launch_must_fail_locked(void)
{
	return ++sim.nr_launches == sim.faults.launch_error;
}

CUresult launch_op_locked(struct CUstream_st *stream, const struct op_kernel *op)
{
	uint32_t qmd[QMD_BUILD_BYTES / 4];
	CUresult r = kernel_check_locked(op);

	if (r)
		return r;
	if (stream->capture)
		return capture_op_locked(stream, &(struct op){.kind = OP_KERNEL, .kernel = *op});
	if (launch_must_fail_locked())
		return CUDA_ERROR_LAUNCH_FAILED;
	kernel_qmd_locked(op, 0, qmd);
	(void)leave(CUDA_SUCCESS);
	tools_announce(stream->ctx, op->func->module, op->func, qmd);
	(void)pthread_mutex_lock(&sim.lock);
	return kernel_submit_locked(stream, op, qmd);
}

/* Memory fills by the driver's own kernel, one row a block as far as the grid reaches. */
static CUresult memset_func_locked(struct CUctx_st *ctx, struct CUfunc_st **ret_func)
{
	static const char text[] =
		".version 7.0\n.target sm_90\n.address_size 64\n.entry " MEMSET_KERNEL_NAME
		"(.param .u64 dst, .param .u64 pitch, .param .u64 width,"
		" .param .u64 height, .param .u32 value)\n{\n\tret;\n}\n";
	CUresult r = CUDA_SUCCESS;

	if (!ctx->internal)
		r = module_new_locked(ctx, text, &ctx->internal);
	if (!r)
		*ret_func = &ctx->internal->funcs[0];
	return r;
}

CUresult launch_memset_2d_locked(struct CUstream_st *stream, const struct op_set *set)
{
	struct {
		uint64_t dst, pitch, width, height, value;
	} params = {(uintptr_t)set->dst, set->pitch, set->width, set->height, set->value};
	struct op_kernel op = {
		.grid = {1, set->height < MAX_GRID_YZ ? (uint32_t)set->height : MAX_GRID_YZ, 1},
		.block = {32, 1, 1},
		.cluster = {1, 1, 1},
		.params = &params,
	};
	CUresult r = memset_func_locked(stream->ctx, &op.func);

	if (r)
		return r;
	op.params_bytes = op.func->entry->param_bytes;
	return launch_op_locked(stream, &op);
}
