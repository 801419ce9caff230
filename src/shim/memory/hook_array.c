/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays and mipmapped arrays. Their layout is the driver's secret, so their size is an estimate:
 * the texels of all levels, without padding. Sparse arrays and those whose memory is mapped later
 * have none of their own.
 *
 * What it does badly: block-compressed formats count as one byte a texel (some take half of that),
 * and planar video formats as one byte a texel and channel.
 *
 * Tested by tests/unit/memory_hooks.c.
 */
#include <stddef.h>

#include "shim/memory/account.h"
#include "shim/slots.h"
#include "shim/tenant.h"

#define MAX_LEVELS 32u

struct extent {
	uint64_t width, height, depth;
};

static uint64_t at_least_1(uint64_t n)
{
	return n ? n : 1;
}

static uint64_t channel_bytes(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
	case CU_AD_FORMAT_UNORM_INT16X1:
	case CU_AD_FORMAT_UNORM_INT16X2:
	case CU_AD_FORMAT_UNORM_INT16X4:
	case CU_AD_FORMAT_SNORM_INT16X1:
	case CU_AD_FORMAT_SNORM_INT16X2:
	case CU_AD_FORMAT_SNORM_INT16X4:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 1;
	}
}

static int is_compressed(CUarray_format format)
{
	return format >= CU_AD_FORMAT_BC1_UNORM && format <= CU_AD_FORMAT_BC7_UNORM_SRGB;
}

static uint64_t texel_bytes(CUarray_format format, unsigned int nr_channels)
{
	return is_compressed(format) ? 1 : channel_bytes(format) * at_least_1(nr_channels);
}

static uint64_t extent_texels(const struct extent *extent)
{
	return at_least_1(extent->width) * at_least_1(extent->height) * at_least_1(extent->depth);
}

/* Layers do not become fewer from level to level. */
static uint64_t levels_bytes(const CUDA_ARRAY3D_DESCRIPTOR *descriptor, unsigned int nr_levels)
{
	int has_layers = (descriptor->Flags & (CUDA_ARRAY3D_LAYERED | CUDA_ARRAY3D_CUBEMAP)) != 0;
	struct extent extent = {descriptor->Width, descriptor->Height, descriptor->Depth};
	uint64_t texels = 0;

	for (unsigned int i = 0; i < nr_levels && i < MAX_LEVELS; i++) {
		texels += extent_texels(&extent);
		extent.width /= 2;
		extent.height /= 2;
		if (!has_layers)
			extent.depth /= 2;
	}
	return texels * texel_bytes(descriptor->Format, descriptor->NumChannels);
}

static void created(enum memory_kind kind, const void *array, uint64_t bytes)
{
	CUcontext ctx = NULL;

	if (!tenant.wants_share)
		return;
	if (tenant.ops.ctx_current(&ctx) != CUDA_SUCCESS)
		ctx = NULL;
	memory_allocated(kind, (uintptr_t)array, bytes, ctx);
}

static int has_memory(unsigned int flags)
{
	return !(flags & (CUDA_ARRAY3D_SPARSE | CUDA_ARRAY3D_DEFERRED_MAPPING));
}

/* --- creation --- */

/* Of an array without depth; the two versions of its descriptor have fields of the same names. */
#define FLAT_BYTES(descriptor)                                                                     \
	levels_bytes(&(const CUDA_ARRAY3D_DESCRIPTOR){.Width = (descriptor)->Width,                \
						      .Height = (descriptor)->Height,              \
						      .Format = (descriptor)->Format,              \
						      .NumChannels = (descriptor)->NumChannels},   \
		     1)

CUresult hook_cuArrayCreate(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor)
{
	CUresult result = real_cuArrayCreate(array, descriptor);

	if (result == CUDA_SUCCESS)
		created(MEMORY_ARRAY, *array, FLAT_BYTES(descriptor));
	return result;
}

CUresult hook_cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
	CUresult result = real_cuArrayCreate_v2(array, descriptor);

	if (result == CUDA_SUCCESS)
		created(MEMORY_ARRAY, *array, FLAT_BYTES(descriptor));
	return result;
}

CUresult hook_cuArray3DCreate(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor)
{
	CUresult result = real_cuArray3DCreate(array, descriptor);
	CUDA_ARRAY3D_DESCRIPTOR all;

	if (result != CUDA_SUCCESS || !has_memory(descriptor->Flags))
		return result;
	all = (CUDA_ARRAY3D_DESCRIPTOR){descriptor->Width,       descriptor->Height,
					descriptor->Depth,       descriptor->Format,
					descriptor->NumChannels, descriptor->Flags};
	created(MEMORY_ARRAY, *array, levels_bytes(&all, 1));
	return result;
}

CUresult hook_cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
	CUresult result = real_cuArray3DCreate_v2(array, descriptor);

	if (result != CUDA_SUCCESS || !has_memory(descriptor->Flags))
		return result;
	created(MEMORY_ARRAY, *array, levels_bytes(descriptor, 1));
	return result;
}

CUresult hook_cuMipmappedArrayCreate(CUmipmappedArray *array,
				     const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
				     unsigned int nr_levels)
{
	CUresult result = real_cuMipmappedArrayCreate(array, descriptor, nr_levels);

	if (result != CUDA_SUCCESS || !has_memory(descriptor->Flags))
		return result;
	created(MEMORY_MIPMAPPED, *array, levels_bytes(descriptor, nr_levels));
	return result;
}

/* --- destruction --- */

static struct memory_entry destroying(enum memory_kind kind, const void *array)
{
	if (!tenant.wants_share)
		return (struct memory_entry){.kind = MEMORY_NONE};
	return memory_freeing(kind, (uintptr_t)array);
}

CUresult hook_cuArrayDestroy(CUarray array)
{
	struct memory_entry was = destroying(MEMORY_ARRAY, array);
	CUresult result = real_cuArrayDestroy(array);

	if (result != CUDA_SUCCESS)
		memory_not_freed(&was);
	return result;
}

CUresult hook_cuMipmappedArrayDestroy(CUmipmappedArray array)
{
	struct memory_entry was = destroying(MEMORY_MIPMAPPED, array);
	CUresult result = real_cuMipmappedArrayDestroy(array);

	if (result != CUDA_SUCCESS)
		memory_not_freed(&was);
	return result;
}
