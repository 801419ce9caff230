/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that allocates or frees device memory, with the test in the driver's place: what is
 * counted after each, in which order the driver and the account hear of it, and that neither
 * failure nor a process without a daemon is counted.
 */
#include "hook_fakes.h"

#include "shim/memory/account.h"

#define ADDRESS 0x40000000u /* also fits the first version of the calls */
#define ARRAY   (void *)0x9000
#define HANDLE  5u

static struct {
	CUcontext current;
	uint64_t seen; /* what was counted while the driver worked */
	size_t bytes;
	CUarray_format format;
	unsigned int flags;
	size_t height, depth;
} rig;

/* --- the driver ------------------------------------------------------------------------------- */

static CUresult call(void)
{
	rig.seen = memory_bytes();
	return test.result;
}

static CUresult ctx_current(CUcontext *ctx)
{
	*ctx = rig.current;
	return CUDA_SUCCESS;
}

static CUresult give(CUdeviceptr *address)
{
	CUresult result = call();

	if (result == CUDA_SUCCESS)
		*address = ADDRESS;
	return result;
}

static CUresult give_v1(CUdeviceptr_v1 *address, unsigned int bytes)
{
	(void)bytes;
	*address = ADDRESS;
	return call();
}

static CUresult alloc(CUdeviceptr *address, size_t bytes)
{
	(void)bytes;
	return give(address);
}

static CUresult pitch_v1(CUdeviceptr_v1 *address, unsigned int *pitch, unsigned int width,
			 unsigned int height, unsigned int element_bytes)
{
	(void)element_bytes;
	*pitch = (width + 511) / 512 * 512;
	return give_v1(address, height);
}

static CUresult pitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height,
			 unsigned int element_bytes)
{
	(void)height;
	(void)element_bytes;
	if (test.result == CUDA_SUCCESS)
		*pitch = (width + 511) / 512 * 512;
	return give(address);
}

static CUresult managed(CUdeviceptr *address, size_t bytes, unsigned int flags)
{
	assert_int_equal(flags, CU_MEM_ATTACH_GLOBAL);
	return alloc(address, bytes);
}

static CUresult async(CUdeviceptr *address, size_t bytes, CUstream stream)
{
	assert_ptr_equal(stream, STREAM);
	return alloc(address, bytes);
}

static CUresult from_pool(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream)
{
	assert_ptr_equal(pool, (CUmemoryPool)0x33);
	return async(address, bytes, stream);
}

static CUresult take_v1(CUdeviceptr_v1 address)
{
	assert_int_equal(address, ADDRESS);
	return call();
}

static CUresult take(CUdeviceptr address)
{
	assert_int_equal(address, ADDRESS);
	return call();
}

static CUresult take_async(CUdeviceptr address, CUstream stream)
{
	assert_ptr_equal(stream, STREAM);
	return take(address);
}

static void driver_start(void)
{
	tenant.ops.ctx_current = ctx_current;
	real_cuMemAlloc = give_v1;
	real_cuMemAlloc_v2 = alloc;
	real_cuMemAllocPitch = pitch_v1;
	real_cuMemAllocPitch_v2 = pitch_v2;
	real_cuMemAllocManaged = managed;
	real_cuMemAllocAsync = real_cuMemAllocAsync_ptsz = async;
	real_cuMemAllocFromPoolAsync = real_cuMemAllocFromPoolAsync_ptsz = from_pool;
	real_cuMemFree = take_v1;
	real_cuMemFree_v2 = take;
	real_cuMemFreeAsync = real_cuMemFreeAsync_ptsz = take_async;
}

static int start(void **state)
{
	(void)setup(state);
	memset(&rig, 0, sizeof(rig));
	memory_after_fork();
	tenant.wants_share = 1;
	rig.current = NEW;
	driver_start();
	return 0;
}

/* --- by address ------------------------------------------------------------------------------- */

static CUdeviceptr_v1 address_v1;
static CUdeviceptr address;

static CUresult do_alloc(void)
{
	return hook_cuMemAlloc(&address_v1, 100);
}

static CUresult do_alloc_v2(void)
{
	return hook_cuMemAlloc_v2(&address, 100);
}

static CUresult do_pitch(void)
{
	unsigned int pitch = 0;

	return hook_cuMemAllocPitch(&address_v1, &pitch, 10, 3, 4);
}

static CUresult do_pitch_v2(void)
{
	size_t pitch = 0;

	return hook_cuMemAllocPitch_v2(&address, &pitch, 10, 3, 4);
}

static CUresult do_managed(void)
{
	return hook_cuMemAllocManaged(&address, 100, CU_MEM_ATTACH_GLOBAL);
}

static CUresult do_async(void)
{
	return hook_cuMemAllocAsync(&address, 100, STREAM);
}

static CUresult do_async_ptsz(void)
{
	return hook_cuMemAllocAsync_ptsz(&address, 100, STREAM);
}

static CUresult do_pool(void)
{
	return hook_cuMemAllocFromPoolAsync(&address, 100, (CUmemoryPool)0x33, STREAM);
}

static CUresult do_pool_ptsz(void)
{
	return hook_cuMemAllocFromPoolAsync_ptsz(&address, 100, (CUmemoryPool)0x33, STREAM);
}

static const struct {
	CUresult (*call)(void);
	uint64_t bytes;
	int outlives; /* the context */
} allocations[] = {
	{do_alloc, 100, 0},      {do_alloc_v2, 100, 0}, {do_pitch, 1536, 0},
	{do_pitch_v2, 1536, 0},  {do_managed, 100, 0},  {do_async, 100, 1},
	{do_async_ptsz, 100, 1}, {do_pool, 100, 1},     {do_pool_ptsz, 100, 1},
};

static CUresult undo(void)
{
	return hook_cuMemFree(ADDRESS);
}

static CUresult undo_v2(void)
{
	return hook_cuMemFree_v2(ADDRESS);
}

static CUresult undo_async(void)
{
	return hook_cuMemFreeAsync(ADDRESS, STREAM);
}

static CUresult undo_async_ptsz(void)
{
	return hook_cuMemFreeAsync_ptsz(ADDRESS, STREAM);
}

static CUresult (*const frees[])(void) = {undo, undo_v2, undo_async, undo_async_ptsz};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static void allocate_and_free(size_t i, CUresult (*free_call)(void))
{
	test.result = CUDA_SUCCESS;
	assert_int_equal(allocations[i].call(), CUDA_SUCCESS);
	assert_int_equal(rig.seen, 0);
	assert_int_equal(memory_bytes(), allocations[i].bytes);
	/* Gone before the driver frees it, back when the driver does not. */
	test.result = CUDA_ERROR_INVALID_VALUE;
	assert_int_equal(free_call(), CUDA_ERROR_INVALID_VALUE);
	assert_int_equal(rig.seen, 0);
	assert_int_equal(memory_bytes(), allocations[i].bytes);
	test.result = CUDA_SUCCESS;
	assert_int_equal(free_call(), CUDA_SUCCESS);
	assert_int_equal(memory_bytes(), 0);
}

static void test_every_pair(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(allocations); i++) {
		for (size_t j = 0; j < NR(frees); j++)
			allocate_and_free(i, frees[j]);
	}
}

static void test_failure_counts_nothing(void **state)
{
	(void)state;
	test.result = CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < NR(allocations); i++)
		assert_int_equal(allocations[i].call(), CUDA_ERROR_OUT_OF_MEMORY);
	assert_int_equal(memory_bytes(), 0);
	assert_int_equal(hook_cuMemAlloc_v2(NULL, 100), CUDA_ERROR_OUT_OF_MEMORY);
}

static void test_no_daemon(void **state)
{
	(void)state;
	tenant.wants_share = 0;
	for (size_t i = 0; i < NR(allocations); i++)
		assert_int_equal(allocations[i].call(), CUDA_SUCCESS);
	assert_int_equal(memory_bytes(), 0);
	for (size_t j = 0; j < NR(frees); j++)
		assert_int_equal(frees[j](), CUDA_SUCCESS);
}

static void test_contexts(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(allocations); i++) {
		assert_int_equal(allocations[i].call(), CUDA_SUCCESS);
		memory_context_gone((CUcontext)1);
		assert_int_equal(memory_bytes(), allocations[i].bytes);
		memory_context_gone(NEW);
		assert_int_equal(memory_bytes(),
				 allocations[i].outlives ? allocations[i].bytes : 0);
		(void)undo_v2();
	}
}

/* --- physical memory -------------------------------------------------------------------------- */

static CUresult create(CUmemGenericAllocationHandle *handle, size_t bytes,
		       const CUmemAllocationProp *prop, unsigned long long flags)
{
	assert_non_null(prop);
	assert_int_equal(flags, 0);
	rig.bytes = bytes;
	*handle = HANDLE;
	return call();
}

static CUresult retain(CUmemGenericAllocationHandle *handle, void *of)
{
	assert_ptr_equal(of, (void *)(uintptr_t)ADDRESS);
	*handle = HANDLE;
	return call();
}

static CUresult release(CUmemGenericAllocationHandle handle)
{
	assert_int_equal(handle, HANDLE);
	return call();
}

static CUresult map(CUdeviceptr to, size_t bytes, size_t offset,
		    CUmemGenericAllocationHandle handle, unsigned long long flags)
{
	assert_int_equal(to, ADDRESS);
	assert_int_equal(bytes, rig.bytes);
	assert_int_equal(offset + flags, 0);
	return release(handle);
}

static CUresult unmap(CUdeviceptr from, size_t bytes)
{
	assert_int_equal(bytes, rig.bytes);
	return take(from);
}

static void make(CUmemLocationType where)
{
	const CUmemAllocationProp prop = {.location.type = where};
	CUmemGenericAllocationHandle handle;

	real_cuMemCreate = create;
	real_cuMemRetainAllocationHandle = retain;
	real_cuMemRelease = release;
	real_cuMemMap = map;
	real_cuMemUnmap = unmap;
	assert_int_equal(hook_cuMemCreate(&handle, 4096, &prop, 0), test.result);
}

static void test_physical(void **state)
{
	CUmemGenericAllocationHandle handle;

	(void)state;
	make(CU_MEM_LOCATION_TYPE_DEVICE);
	assert_int_equal(memory_bytes(), 4096);
	assert_int_equal(hook_cuMemMap(ADDRESS, 4096, 0, HANDLE, 0), CUDA_SUCCESS);
	assert_int_equal(hook_cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)ADDRESS),
			 CUDA_SUCCESS);
	assert_int_equal(hook_cuMemRelease(HANDLE), CUDA_SUCCESS);
	assert_int_equal(hook_cuMemRelease(HANDLE), CUDA_SUCCESS);
	memory_context_gone(NEW);
	assert_int_equal(memory_bytes(), 4096);
	assert_int_equal(hook_cuMemUnmap(ADDRESS, 4096), CUDA_SUCCESS);
	assert_int_equal(memory_bytes(), 0);
}

static void test_physical_failures(void **state)
{
	CUmemGenericAllocationHandle handle;

	(void)state;
	test.result = CUDA_ERROR_OUT_OF_MEMORY;
	make(CU_MEM_LOCATION_TYPE_DEVICE);
	assert_int_equal(memory_bytes(), 0);
	test.result = CUDA_SUCCESS;
	make(CU_MEM_LOCATION_TYPE_HOST);
	assert_int_equal(memory_bytes(), 0);
	make(CU_MEM_LOCATION_TYPE_DEVICE);
	test.result = CUDA_ERROR_INVALID_VALUE;
	(void)hook_cuMemMap(ADDRESS, 4096, 0, HANDLE, 0);
	(void)hook_cuMemRetainAllocationHandle(&handle, (void *)(uintptr_t)ADDRESS);
	(void)hook_cuMemUnmap(ADDRESS, 4096);
	(void)hook_cuMemRelease(HANDLE);
	assert_int_equal(rig.seen, 0);
	assert_int_equal(memory_bytes(), 4096);
	test.result = CUDA_SUCCESS;
	(void)hook_cuMemRelease(HANDLE);
	assert_int_equal(memory_bytes(), 0);
}

/* --- arrays ----------------------------------------------------------------------------------- */

static CUresult array_v1(CUarray *array, const CUDA_ARRAY_DESCRIPTOR_v1 *descriptor)
{
	assert_non_null(descriptor);
	*array = ARRAY;
	return call();
}

static CUresult array_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *descriptor)
{
	assert_non_null(descriptor);
	*array = ARRAY;
	return call();
}

static CUresult array_3d_v1(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR_v1 *descriptor)
{
	assert_non_null(descriptor);
	*array = ARRAY;
	return call();
}

static CUresult array_3d_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor)
{
	assert_non_null(descriptor);
	*array = ARRAY;
	return call();
}

static CUresult mipmapped(CUmipmappedArray *array, const CUDA_ARRAY3D_DESCRIPTOR *descriptor,
			  unsigned int nr_levels)
{
	assert_non_null(descriptor);
	assert_true(nr_levels > 0);
	*array = ARRAY;
	return call();
}

static CUresult array_take(CUarray array)
{
	assert_ptr_equal(array, ARRAY);
	return call();
}

static CUresult mipmapped_take(CUmipmappedArray array)
{
	assert_ptr_equal(array, ARRAY);
	return call();
}

static void arrays_start(void)
{
	real_cuArrayCreate = array_v1;
	real_cuArrayCreate_v2 = array_v2;
	real_cuArray3DCreate = array_3d_v1;
	real_cuArray3DCreate_v2 = array_3d_v2;
	real_cuMipmappedArrayCreate = mipmapped;
	real_cuArrayDestroy = array_take;
	real_cuMipmappedArrayDestroy = mipmapped_take;
}

/* Counted, kept when the driver refuses to destroy it, and gone. */
static void assert_array(uint64_t bytes)
{
	assert_int_equal(memory_bytes(), bytes);
	test.result = CUDA_ERROR_INVALID_HANDLE;
	(void)hook_cuArrayDestroy(ARRAY);
	assert_int_equal(memory_bytes(), bytes);
	test.result = CUDA_SUCCESS;
	(void)hook_cuArrayDestroy(ARRAY);
	assert_int_equal(memory_bytes(), 0);
}

static void test_arrays(void **state)
{
	CUDA_ARRAY_DESCRIPTOR_v1 v1 = {10, 4, CU_AD_FORMAT_FLOAT, 2};
	CUDA_ARRAY_DESCRIPTOR v2 = {10, 0, CU_AD_FORMAT_HALF, 4};
	CUDA_ARRAY3D_DESCRIPTOR_v1 d1 = {10, 4, 3, CU_AD_FORMAT_UNSIGNED_INT8, 1, 0};
	CUDA_ARRAY3D_DESCRIPTOR d2 = {16, 16, 0, CU_AD_FORMAT_BC7_UNORM, 4, 0};
	CUarray array;

	(void)state;
	arrays_start();
	(void)hook_cuArrayCreate(&array, &v1);
	assert_array(10 * 4 * 4 * 2);
	(void)hook_cuArrayCreate_v2(&array, &v2);
	assert_array(10 * 2 * 4);
	(void)hook_cuArray3DCreate(&array, &d1);
	assert_array(10 * 4 * 3);
	(void)hook_cuArray3DCreate_v2(&array, &d2);
	assert_array(16 * 16);
	d2.Flags = CUDA_ARRAY3D_SPARSE;
	(void)hook_cuArray3DCreate_v2(&array, &d2);
	assert_array(0);
	(void)hook_cuArrayCreate_v2(&array, &v2);
	memory_context_gone(NEW);
	assert_array(0);
	test.result = CUDA_ERROR_OUT_OF_MEMORY;
	(void)hook_cuArrayCreate(&array, &v1);
	(void)hook_cuArrayCreate_v2(&array, &v2);
	(void)hook_cuArray3DCreate(&array, &d1);
	d2.Flags = 0;
	(void)hook_cuArray3DCreate_v2(&array, &d2);
	assert_array(0);
}

static void test_mipmapped(void **state)
{
	CUDA_ARRAY3D_DESCRIPTOR descriptor = {8, 4, 6, CU_AD_FORMAT_FLOAT, 1, 0};
	CUmipmappedArray array;

	(void)state;
	arrays_start();
	(void)hook_cuMipmappedArrayCreate(&array, &descriptor, 4);
	assert_int_equal(memory_bytes(), 4 * (8 * 4 * 6 + 4 * 2 * 3 + 2 * 1 * 1 + 1));
	(void)hook_cuMipmappedArrayDestroy(ARRAY);
	assert_int_equal(memory_bytes(), 0);
	descriptor.Flags = CUDA_ARRAY3D_LAYERED;
	(void)hook_cuMipmappedArrayCreate(&array, &descriptor, 2);
	assert_int_equal(memory_bytes(), 4 * (8 * 4 * 6 + 4 * 2 * 6));
	test.result = CUDA_ERROR_INVALID_HANDLE;
	(void)hook_cuMipmappedArrayDestroy(ARRAY);
	assert_int_equal(memory_bytes(), 4 * (8 * 4 * 6 + 4 * 2 * 6));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_every_pair, start),
		cmocka_unit_test_setup(test_failure_counts_nothing, start),
		cmocka_unit_test_setup(test_no_daemon, start),
		cmocka_unit_test_setup(test_contexts, start),
		cmocka_unit_test_setup(test_physical, start),
		cmocka_unit_test_setup(test_physical_failures, start),
		cmocka_unit_test_setup(test_arrays, start),
		cmocka_unit_test_setup(test_mipmapped, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
