/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills (cuMemset*).
 *
 * Two-dimensional fills of 32-bit words go through a kernel of the driver's own, with a descriptor
 * the tools see, as on hardware (measured: cuMemsetD2D32Async launches one, cuMemsetD32Async of
 * 1,000 words does not). Without a stream they run in the null stream; like the real ones they do
 * not wait.
 */
#include "sim/kernel/launch.h"
#include "sim/memory/memory.h"

static CUresult fill_locked(struct CUstream_st *stream, const struct op_set *set)
{
	size_t row = set->width * set->element;
	CUresult r;

	if (!set->width || !set->height)
		return CUDA_SUCCESS;
	if ((uintptr_t)set->dst % set->element || (set->height > 1 && set->pitch < row) ||
	    set->pitch % set->element)
		return CUDA_ERROR_INVALID_VALUE;
	r = memory_check_locked((CUdeviceptr)set->dst, set->pitch * (set->height - 1) + row);
	if (r)
		return r;
	if (set->element == 4 && set->height > 1 && !stream->capture)
		return launch_memset_2d_locked(stream, set);
	return op_submit_locked(stream, &(struct op){.kind = OP_SET, .set = *set});
}

static CUresult fill(struct op_set set, CUstream handle)
{
	struct CUstream_st *stream;
	CUresult r = enter_stream(handle, &stream);

	return r ? r : leave(fill_locked(stream, &set));
}

static struct op_set line(CUdeviceptr dst, uint32_t value, uint32_t element, size_t n)
{
	return (struct op_set){
		.dst = (void *)dst, .value = value, .element = element, .width = n, .height = 1};
}

static struct op_set rectangle(struct op_set set, size_t pitch, size_t height)
{
	set.pitch = pitch;
	set.height = height;
	return set;
}

CUresult cuMemsetD8_v2(CUdeviceptr dstDevice, unsigned char uc, size_t N)
{
	return fill(line(dstDevice, uc, 1, N), NULL);
}

CUresult cuMemsetD2D8_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned char uc, size_t Width,
			 size_t Height)
{
	return fill(rectangle(line(dstDevice, uc, 1, Width), dstPitch, Height), NULL);
}

CUresult cuMemsetD8_v2_ptds(CUdeviceptr dstDevice, unsigned char uc, size_t N)
{
	return fill(line(dstDevice, uc, 1, N), CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD2D8_v2_ptds(CUdeviceptr dstDevice, size_t dstPitch, unsigned char uc,
			      size_t Width, size_t Height)
{
	return fill(rectangle(line(dstDevice, uc, 1, Width), dstPitch, Height),
		    CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD8Async(CUdeviceptr dstDevice, unsigned char uc, size_t N, CUstream hStream)
{
	return fill(line(dstDevice, uc, 1, N), hStream);
}

CUresult cuMemsetD2D8Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned char uc, size_t Width,
			   size_t Height, CUstream hStream)
{
	return fill(rectangle(line(dstDevice, uc, 1, Width), dstPitch, Height), hStream);
}

CUresult cuMemsetD16_v2(CUdeviceptr dstDevice, unsigned short us, size_t N)
{
	return fill(line(dstDevice, us, 2, N), NULL);
}

CUresult cuMemsetD2D16_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned short us, size_t Width,
			  size_t Height)
{
	return fill(rectangle(line(dstDevice, us, 2, Width), dstPitch, Height), NULL);
}

CUresult cuMemsetD16_v2_ptds(CUdeviceptr dstDevice, unsigned short us, size_t N)
{
	return fill(line(dstDevice, us, 2, N), CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD2D16_v2_ptds(CUdeviceptr dstDevice, size_t dstPitch, unsigned short us,
			       size_t Width, size_t Height)
{
	return fill(rectangle(line(dstDevice, us, 2, Width), dstPitch, Height),
		    CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD16Async(CUdeviceptr dstDevice, unsigned short us, size_t N, CUstream hStream)
{
	return fill(line(dstDevice, us, 2, N), hStream);
}

CUresult cuMemsetD2D16Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned short us, size_t Width,
			    size_t Height, CUstream hStream)
{
	return fill(rectangle(line(dstDevice, us, 2, Width), dstPitch, Height), hStream);
}

CUresult cuMemsetD32_v2(CUdeviceptr dstDevice, unsigned int ui, size_t N)
{
	return fill(line(dstDevice, ui, 4, N), NULL);
}

CUresult cuMemsetD2D32_v2(CUdeviceptr dstDevice, size_t dstPitch, unsigned int ui, size_t Width,
			  size_t Height)
{
	return fill(rectangle(line(dstDevice, ui, 4, Width), dstPitch, Height), NULL);
}

CUresult cuMemsetD32_v2_ptds(CUdeviceptr dstDevice, unsigned int ui, size_t N)
{
	return fill(line(dstDevice, ui, 4, N), CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD2D32_v2_ptds(CUdeviceptr dstDevice, size_t dstPitch, unsigned int ui,
			       size_t Width, size_t Height)
{
	return fill(rectangle(line(dstDevice, ui, 4, Width), dstPitch, Height),
		    CU_STREAM_PER_THREAD);
}

CUresult cuMemsetD32Async(CUdeviceptr dstDevice, unsigned int ui, size_t N, CUstream hStream)
{
	return fill(line(dstDevice, ui, 4, N), hStream);
}

CUresult cuMemsetD2D32Async(CUdeviceptr dstDevice, size_t dstPitch, unsigned int ui, size_t Width,
			    size_t Height, CUstream hStream)
{
	return fill(rectangle(line(dstDevice, ui, 4, Width), dstPitch, Height), hStream);
}
