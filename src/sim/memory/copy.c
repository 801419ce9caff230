/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies and fills: the calls become operations in a stream.
 *
 * Addresses are checked at the call. Pageable host memory cannot be read later, since the program
 * may reuse it when the call returns: an asynchronous copy from or to it waits for its end, as the
 * real driver's staging does. Calls without a stream run in the null stream and wait.
 *
 * Tested by tests/unit/sim_driver_streams.c, sim_driver_memory.c.
 */
#include "sim/driver/op.h"
#include "sim/kernel/launch.h"
#include "sim/memory/memory.h"

enum side {
	SIDE_DEVICE,
	SIDE_HOST,
	SIDE_ANY
};

static CUresult check_side(enum side side, const void *address, size_t bytes, int *ret_pageable)
{
	*ret_pageable = memory_is_pageable_locked(address);
	if (side == SIDE_DEVICE)
		return memory_check_locked((CUdeviceptr)address, bytes);
	return address ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static int is_on_host(const void *address)
{
	const struct allocation *row = memory_find_locked((uintptr_t)address);

	return !row || row->kind >= MEMORY_HOST;
}

static size_t span(size_t pitch, size_t width, size_t height)
{
	return height ? pitch * (height - 1) + width : 0;
}

struct copy_call {
	struct op_copy copy;
	enum side dst_side;
	enum side src_side;
	CUstream stream;
	int waits; /* the call itself is synchronous */
};

static CUresult copy_locked(struct CUstream_st *stream, const struct copy_call *call)
{
	struct op op = {.kind = OP_COPY, .copy = call->copy};
	const struct op_copy *copy = &call->copy;
	int dst_pageable, src_pageable;
	CUresult r;

	if (!copy->width || !copy->height)
		return CUDA_SUCCESS;
	r = check_side(call->dst_side, copy->dst, span(copy->dst_pitch, copy->width, copy->height),
		       &dst_pageable);
	if (!r)
		r = check_side(call->src_side, copy->src,
			       span(copy->src_pitch, copy->width, copy->height), &src_pageable);
	if (r)
		return r;
	if (stream->capture && call->waits)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	op.copy.crosses_bus = is_on_host(copy->dst) || is_on_host(copy->src);
	r = op_submit_locked(stream, &op);
	if (!r && !stream->capture && (call->waits || dst_pageable || src_pageable))
		r = stream_wait_idle_locked(stream);
	return r;
}

static CUresult copy_call(const struct copy_call *call)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(call->stream, &stream);

	return r ? r : leave(copy_locked(stream, call));
}

static struct op_copy line(void *dst, const void *src, size_t bytes)
{
	return (struct op_copy){.dst = dst, .src = src, .width = bytes, .height = 1};
}

static CUresult copy_line(struct op_copy copy, enum side dst_side, enum side src_side,
			  CUstream stream, int waits)
{
	return copy_call(&(struct copy_call){copy, dst_side, src_side, stream, waits});
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
	return copy_line(line((void *)dstDevice, srcHost, ByteCount), SIDE_DEVICE, SIDE_HOST, NULL,
			 1);
}

CUresult cuMemcpyHtoD_v2_ptds(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount)
{
	return copy_line(line((void *)dstDevice, srcHost, ByteCount), SIDE_DEVICE, SIDE_HOST,
			 CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpyDtoH_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
	return copy_line(line(dstHost, (void *)srcDevice, ByteCount), SIDE_HOST, SIDE_DEVICE, NULL,
			 1);
}

CUresult cuMemcpyDtoH_v2_ptds(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount)
{
	return copy_line(line(dstHost, (void *)srcDevice, ByteCount), SIDE_HOST, SIDE_DEVICE,
			 CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
	return copy_line(line((void *)dstDevice, (void *)srcDevice, ByteCount), SIDE_DEVICE,
			 SIDE_DEVICE, NULL, 1);
}

CUresult cuMemcpyDtoD_v2_ptds(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount)
{
	return copy_line(line((void *)dstDevice, (void *)srcDevice, ByteCount), SIDE_DEVICE,
			 SIDE_DEVICE, CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpy(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
	return copy_line(line((void *)dst, (void *)src, ByteCount), SIDE_ANY, SIDE_ANY, NULL, 1);
}

CUresult cuMemcpy_ptds(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount)
{
	return copy_line(line((void *)dst, (void *)src, ByteCount), SIDE_ANY, SIDE_ANY,
			 CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount,
			      CUstream hStream)
{
	return copy_line(line((void *)dstDevice, srcHost, ByteCount), SIDE_DEVICE, SIDE_HOST,
			 hStream, 0);
}

CUresult cuMemcpyDtoHAsync_v2(void *dstHost, CUdeviceptr srcDevice, size_t ByteCount,
			      CUstream hStream)
{
	return copy_line(line(dstHost, (void *)srcDevice, ByteCount), SIDE_HOST, SIDE_DEVICE,
			 hStream, 0);
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr dstDevice, CUdeviceptr srcDevice, size_t ByteCount,
			      CUstream hStream)
{
	return copy_line(line((void *)dstDevice, (void *)srcDevice, ByteCount), SIDE_DEVICE,
			 SIDE_DEVICE, hStream, 0);
}

CUresult cuMemcpyAsync(CUdeviceptr dst, CUdeviceptr src, size_t ByteCount, CUstream hStream)
{
	return copy_line(line((void *)dst, (void *)src, ByteCount), SIDE_ANY, SIDE_ANY, hStream, 0);
}

static CUresult side_of(CUmemorytype type, enum side *ret_side)
{
	switch ((int)type) {
	case CU_MEMORYTYPE_HOST:
		*ret_side = SIDE_HOST;
		return CUDA_SUCCESS;
	case CU_MEMORYTYPE_DEVICE:
		*ret_side = SIDE_DEVICE;
		return CUDA_SUCCESS;
	case CU_MEMORYTYPE_UNIFIED:
		*ret_side = SIDE_ANY;
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_NOT_SUPPORTED; /* arrays */
	}
}

static CUresult copy_2d(const CUDA_MEMCPY2D *p, CUstream stream, int waits)
{
	struct copy_call call = {.stream = stream, .waits = waits};
	const char *src;
	char *dst;
	CUresult r = p ? side_of(p->srcMemoryType, &call.src_side) : CUDA_ERROR_INVALID_VALUE;

	if (!r)
		r = side_of(p->dstMemoryType, &call.dst_side);
	if (r)
		return r;
	src = call.src_side == SIDE_HOST ? p->srcHost : (const void *)p->srcDevice;
	dst = call.dst_side == SIDE_HOST ? p->dstHost : (void *)p->dstDevice;
	call.copy.src_pitch = p->srcPitch ? p->srcPitch : p->WidthInBytes;
	call.copy.dst_pitch = p->dstPitch ? p->dstPitch : p->WidthInBytes;
	if (p->WidthInBytes + p->srcXInBytes > call.copy.src_pitch ||
	    p->WidthInBytes + p->dstXInBytes > call.copy.dst_pitch)
		return CUDA_ERROR_INVALID_VALUE;
	call.copy.src = src + p->srcY * call.copy.src_pitch + p->srcXInBytes;
	call.copy.dst = dst + p->dstY * call.copy.dst_pitch + p->dstXInBytes;
	call.copy.width = p->WidthInBytes;
	call.copy.height = p->Height;
	return copy_call(&call);
}

CUresult cuMemcpy2D_v2(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, NULL, 1);
}

CUresult cuMemcpy2D_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpy2DUnaligned_v2(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, NULL, 1);
}

CUresult cuMemcpy2DUnaligned_v2_ptds(const CUDA_MEMCPY2D *pCopy)
{
	return copy_2d(pCopy, CU_STREAM_PER_THREAD, 1);
}

CUresult cuMemcpy2DAsync_v2(const CUDA_MEMCPY2D *pCopy, CUstream hStream)
{
	return copy_2d(pCopy, hStream, 0);
}
