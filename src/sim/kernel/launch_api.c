/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch calls: their parameters become one operation (launch.c).
 *
 * Of the launch attributes, cluster dimension, cooperative and programmatic stream serialization
 * reach the descriptor; the others are accepted and change nothing here.
 */
#include "sim/driver/engine.h"
#include "sim/kernel/launch.h"

#include <string.h>

/* Reads the parameters and launches; the lock is held on entry and given back. */
static CUresult launch_and_leave(struct CUstream_st *stream, struct op_kernel *op,
				 const struct launch_params *params)
{
	struct op owner = {.kind = OP_KERNEL};
	CUresult r = kernel_params_read(op, params);

	if (!r) {
		r = launch_op_locked(stream, op);
		owner.kernel = *op;
		op_free(&owner);
	}
	return leave(r);
}

static CUresult launch(const CUlaunchConfig *config, CUfunction f, struct op_kernel *op,
		       const struct launch_params *params)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(config->hStream, &stream);

	if (r)
		return r;
	r = func_of_locked(f, &op->func);
	if (r)
		return leave(r);
	op->grid[0] = config->gridDimX;
	op->grid[1] = config->gridDimY;
	op->grid[2] = config->gridDimZ;
	op->block[0] = config->blockDimX;
	op->block[1] = config->blockDimY;
	op->block[2] = config->blockDimZ;
	op->dynamic_shared = config->sharedMemBytes;
	for (int i = 0; i < 3; i++) {
		uint32_t fixed = op->func->entry->cluster[0] ? op->func->entry->cluster[i] : 1;

		if (!op->cluster[i])
			op->cluster[i] = fixed;
	}
	return launch_and_leave(stream, op, params);
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
			unsigned int gridDimZ, unsigned int blockDimX, unsigned int blockDimY,
			unsigned int blockDimZ, unsigned int sharedMemBytes, CUstream hStream,
			void **kernelParams, void **extra)
{
	struct op_kernel op = {.func = NULL};
	CUlaunchConfig config = {gridDimX,  gridDimY,       gridDimZ, blockDimX, blockDimY,
				 blockDimZ, sharedMemBytes, hStream,  NULL,      0};

	return launch(&config, f, &op, &(struct launch_params){kernelParams, extra});
}

CUresult cuLaunchCooperativeKernel(CUfunction f, unsigned int gridDimX, unsigned int gridDimY,
				   unsigned int gridDimZ, unsigned int blockDimX,
				   unsigned int blockDimY, unsigned int blockDimZ,
				   unsigned int sharedMemBytes, CUstream hStream,
				   void **kernelParams)
{
	struct op_kernel op = {.cooperative = 1};
	CUlaunchConfig config = {gridDimX,  gridDimY,       gridDimZ, blockDimX, blockDimY,
				 blockDimZ, sharedMemBytes, hStream,  NULL,      0};

	return launch(&config, f, &op, &(struct launch_params){kernelParams, NULL});
}

static void read_attribute(const CUlaunchAttribute *attribute, struct op_kernel *op)
{
	switch ((int)attribute->id) {
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		op->cluster[0] = attribute->value.clusterDim.x;
		op->cluster[1] = attribute->value.clusterDim.y;
		op->cluster[2] = attribute->value.clusterDim.z;
		break;
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		op->cooperative = attribute->value.cooperative != 0;
		break;
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
		op->overlaps_previous =
			attribute->value.programmaticStreamSerializationAllowed != 0;
		break;
	default:
		break;
	}
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction f, void **kernelParams,
			  void **extra)
{
	struct op_kernel op = {.func = NULL};

	if (!config || (config->numAttrs && !config->attrs))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < config->numAttrs; i++)
		read_attribute(&config->attrs[i], &op);
	if (op.overlaps_previous && sim.faults.no_programmatic)
		return CUDA_ERROR_NOT_SUPPORTED;
	return launch(config, f, &op, &(struct launch_params){kernelParams, extra});
}

CUresult cuLaunchKernelEx_ptsz(const CUlaunchConfig *config, CUfunction f, void **kernelParams,
			       void **extra)
{
	CUlaunchConfig copy;

	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	copy = *config;
	if (!copy.hStream)
		copy.hStream = CU_STREAM_PER_THREAD;
	return cuLaunchKernelEx(&copy, f, kernelParams, extra);
}

CUresult cuLaunchHostFunc(CUstream hStream, CUhostFn fn, void *userData)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(hStream, &stream);

	if (r)
		return r;
	if (!fn)
		return leave(CUDA_ERROR_INVALID_VALUE);
	return leave(op_submit_locked(
		stream, &(struct op){.kind = OP_HOST, .host = {.fn = fn, .user = userData}}));
}

/* The calls from before cuLaunchKernel: the function itself keeps block shape and parameters. */
static CUresult enter_func(CUfunction handle, struct CUfunc_st **ret_func)
{
	CUresult r = enter();

	if (r)
		return r;
	r = func_of_locked(handle, ret_func);
	return r ? leave(r) : CUDA_SUCCESS;
}

CUresult cuFuncSetBlockShape(CUfunction hfunc, int x, int y, int z)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, &func);

	if (r)
		return r;
	func->legacy_block[0] = (uint32_t)x;
	func->legacy_block[1] = (uint32_t)y;
	func->legacy_block[2] = (uint32_t)z;
	return leave(CUDA_SUCCESS);
}

CUresult cuFuncSetSharedSize(CUfunction hfunc, unsigned int bytes)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, &func);

	if (r)
		return r;
	func->legacy_shared = bytes;
	return leave(CUDA_SUCCESS);
}

CUresult cuParamSetSize(CUfunction hfunc, unsigned int numbytes)
{
	return hfunc && numbytes <= FUNC_LEGACY_PARAMS_BYTES ? CUDA_SUCCESS
							     : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuParamSetv(CUfunction hfunc, int offset, void *ptr, unsigned int numbytes)
{
	struct CUfunc_st *func;
	CUresult r = enter_func(hfunc, &func);

	if (r)
		return r;
	if (offset < 0 || !ptr || numbytes > FUNC_LEGACY_PARAMS_BYTES ||
	    (unsigned int)offset > FUNC_LEGACY_PARAMS_BYTES - numbytes)
		return leave(CUDA_ERROR_INVALID_VALUE);
	memcpy(func->legacy_params + offset, ptr, numbytes);
	return leave(CUDA_SUCCESS);
}

CUresult cuParamSeti(CUfunction hfunc, int offset, unsigned int value)
{
	return cuParamSetv(hfunc, offset, &value, sizeof(value));
}

CUresult cuParamSetf(CUfunction hfunc, int offset, float value)
{
	return cuParamSetv(hfunc, offset, &value, sizeof(value));
}

CUresult cuLaunchGridAsync(CUfunction f, int grid_width, int grid_height, CUstream hStream)
{
	struct CUfunc_st *func;
	size_t size = FUNC_LEGACY_PARAMS_BYTES;
	CUlaunchConfig config = {.gridDimZ = 1, .hStream = hStream};
	uint8_t params[FUNC_LEGACY_PARAMS_BYTES];
	CUresult r = enter_func(f, &func);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, params, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
			 CU_LAUNCH_PARAM_END};

	if (r)
		return r;
	config.gridDimX = (unsigned int)grid_width;
	config.gridDimY = (unsigned int)grid_height;
	config.blockDimX = func->legacy_block[0];
	config.blockDimY = func->legacy_block[1];
	config.blockDimZ = func->legacy_block[2];
	config.sharedMemBytes = func->legacy_shared;
	memcpy(params, func->legacy_params, sizeof(params));
	(void)leave(CUDA_SUCCESS);
	return cuLaunchKernelEx(&config, f, NULL, extra);
}

CUresult cuLaunchGrid(CUfunction f, int grid_width, int grid_height)
{
	return cuLaunchGridAsync(f, grid_width, grid_height, NULL);
}

CUresult cuLaunch(CUfunction f)
{
	return cuLaunchGrid(f, 1, 1);
}
