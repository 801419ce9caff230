/* SPDX-License-Identifier: Apache-2.0 */
/* Pools and stream-ordered allocation, what pointers are, and copies of rectangles. */
#include "sim_program.h"

static struct program program;

static int setup(void **state)
{
	(void)state;
	program_open(&program);
	return 0;
}

static uint64_t pool_value(CUmemoryPool pool, CUmemPool_attribute attribute)
{
	uint64_t value = 0;

	OK(cuMemPoolGetAttribute(pool, attribute, &value));
	return value;
}

static CUmemoryPool pool_new(void)
{
	CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
				.location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemoryPool pool;

	OK(cuMemPoolCreate(&pool, &props));
	return pool;
}

static void test_a_pool_counts_its_memory(void **state)
{
	CUmemoryPool pool = pool_new();
	uint64_t zero = 0;
	CUdeviceptr p;

	(void)state;
	OK(cuMemAllocFromPoolAsync(&p, 5000, pool, program.stream));
	assert_int_equal(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 5000);
	assert_int_equal(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemFreeAsync(p, program.stream));
	OK(cuStreamSynchronize(program.stream));
	assert_int_equal(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	assert_int_equal(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 5000);
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &zero));
	assert_int_equal(pool_value(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH), 0);
	assert_int_equal(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &zero),
			 CUDA_ERROR_INVALID_VALUE);
	OK(cuMemPoolTrimTo(pool, 0));
	OK(cuMemPoolDestroy(pool));
	assert_int_equal(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
}

static void test_settings_of_a_pool(void **state)
{
	CUmemoryPool pool = pool_new();
	uint64_t threshold = 1 << 20;
	int off = 0, on = -1;

	(void)state;
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &threshold));
	assert_int_equal(pool_value(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD), threshold);
	OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &on));
	assert_int_equal(on, 1);
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &off));
	OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_REUSE_ALLOW_OPPORTUNISTIC, &on));
	assert_int_equal(on, 0);
	OK(cuMemPoolDestroy(pool));
}

static void test_the_device_has_a_current_pool(void **state)
{
	CUmemoryPool ours = pool_new();
	CUmemoryPool standard, now;
	CUdeviceptr p;

	(void)state;
	OK(cuDeviceGetDefaultMemPool(&standard, 0));
	OK(cuDeviceGetMemPool(&now, 0));
	assert_ptr_equal(now, standard);
	OK(cuDeviceSetMemPool(0, ours));
	OK(cuMemAllocAsync(&p, 100, program.stream));
	assert_int_equal(pool_value(ours, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 100);
	assert_int_equal(pool_value(standard, CU_MEMPOOL_ATTR_USED_MEM_CURRENT), 0);
	OK(cuMemFreeAsync(p, program.stream));
	OK(cuStreamSynchronize(program.stream));
	OK(cuMemPoolDestroy(ours));
	OK(cuDeviceGetMemPool(&now, 0));
	assert_ptr_equal(now, standard);
	assert_int_equal(cuMemPoolDestroy(standard), CUDA_ERROR_INVALID_VALUE);
}

/* Memory that is freed in a stream is there for what was queued before. */
static void test_free_comes_in_stream_order(void **state)
{
	uint32_t word = 0;
	CUdeviceptr p;

	(void)state;
	OK(cuMemAllocAsync(&p, 4, program.stream));
	OK(program_launch(&program, "lk_count", 1, program.stream, 1000000));
	OK(cuMemsetD32Async(p, 77, 1, program.stream));
	OK(cuMemcpyDtoDAsync(program.words + 400, p, 4, program.stream));
	OK(cuMemFreeAsync(p, program.stream));
	OK(cuStreamSynchronize(program.stream));
	OK(cuMemcpyDtoH(&word, program.words + 400, 4));
	assert_int_equal(word, 77);
	assert_int_equal(cuMemFreeAsync(p, program.stream), CUDA_ERROR_INVALID_VALUE);
}

static unsigned int type_of(CUdeviceptr p)
{
	unsigned int type = 0;

	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
	return type;
}

static void test_attributes_of_device_memory(void **state)
{
	CUcontext ctx = NULL;
	CUdeviceptr start = 0, p = program.words + 12;
	unsigned int managed = 1;
	size_t size = 0;
	int device = -1;
	void *host;

	(void)state;
	assert_int_equal(type_of(p), CU_MEMORYTYPE_DEVICE);
	OK(cuPointerGetAttribute(&ctx, CU_POINTER_ATTRIBUTE_CONTEXT, p));
	assert_ptr_equal(ctx, program.ctx);
	OK(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, p));
	assert_int_equal(start, program.words);
	OK(cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, p));
	assert_int_equal(size, PROGRAM_WORDS * 4);
	OK(cuPointerGetAttribute(&device, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, p));
	assert_int_equal(device, 0);
	OK(cuPointerGetAttribute(&managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, p));
	assert_int_equal(managed, 0);
	assert_int_equal(cuPointerGetAttribute(&host, CU_POINTER_ATTRIBUTE_HOST_POINTER, p),
			 CUDA_ERROR_INVALID_VALUE);
}

static void test_attributes_of_host_memory(void **state)
{
	static uint32_t plain[16], registered[1024];
	CUdeviceptr managed, seen = 0;
	unsigned int is_managed = 0;
	void *pinned;

	(void)state;
	OK(cuMemHostAlloc(&pinned, 64, 0));
	assert_int_equal(type_of((CUdeviceptr)pinned), CU_MEMORYTYPE_HOST);
	OK(cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_DEVICE_POINTER, (CUdeviceptr)pinned));
	assert_int_equal(seen, (CUdeviceptr)pinned);
	OK(cuMemFreeHost(pinned));
	OK(cuMemHostRegister(registered, sizeof(registered), 0));
	assert_int_equal(type_of((CUdeviceptr)&registered[5]), CU_MEMORYTYPE_HOST);
	OK(cuMemHostUnregister(registered));
	OK(cuMemAllocManaged(&managed, 64, CU_MEM_ATTACH_GLOBAL));
	OK(cuPointerGetAttribute(&is_managed, CU_POINTER_ATTRIBUTE_IS_MANAGED, managed));
	assert_int_equal(is_managed, 1);
	OK(cuMemFree(managed));
	assert_int_equal(
		cuPointerGetAttribute(&seen, CU_POINTER_ATTRIBUTE_BUFFER_ID, (CUdeviceptr)plain),
		CUDA_ERROR_INVALID_VALUE);
}

static void test_unknown_pointers_have_no_attributes(void **state)
{
	static uint32_t plain[16];
	CUpointer_attribute asked[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
				       CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
				       CU_POINTER_ATTRIBUTE_CONTEXT};
	unsigned int type = 9;
	int device = 9;
	CUcontext ctx = program.ctx;
	void *data[] = {&type, &device, &ctx};

	(void)state;
	OK(cuPointerGetAttributes(3, asked, data, (CUdeviceptr)plain));
	assert_int_equal(type, 0);
	assert_int_equal(device, -2);
	assert_null(ctx);
	OK(cuPointerGetAttributes(3, asked, data, program.words));
	assert_int_equal(type, CU_MEMORYTYPE_DEVICE);
	assert_int_equal(device, 0);
	assert_ptr_equal(ctx, program.ctx);
}

#define WIDTH  5
#define HEIGHT 4
#define PITCH  16

/* A rectangle of words from (2, 1) of rows of 16 on the host to (3, 2) of rows of 32. */
static CUDA_MEMCPY2D rectangle(const uint32_t *host)
{
	return (CUDA_MEMCPY2D){.srcXInBytes = 2 * sizeof(uint32_t),
			       .srcY = 1,
			       .srcMemoryType = CU_MEMORYTYPE_HOST,
			       .srcHost = host,
			       .srcPitch = PITCH * sizeof(uint32_t),
			       .dstXInBytes = 3 * sizeof(uint32_t),
			       .dstY = 2,
			       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			       .dstDevice = program.words,
			       .dstPitch = 2 * PITCH * sizeof(uint32_t),
			       .WidthInBytes = WIDTH * sizeof(uint32_t),
			       .Height = HEIGHT};
}

static void check_rectangle(const uint32_t *host)
{
	uint32_t got[PITCH * 2 * (HEIGHT + 3)];

	OK(cuMemcpyDtoH(got, program.words, sizeof(got)));
	for (unsigned int y = 0; y < HEIGHT + 3; y++) {
		for (unsigned int x = 0; x < 2 * PITCH; x++) {
			int inside = y >= 2 && y < 2 + HEIGHT && x >= 3 && x < 3 + WIDTH;
			uint32_t expected = inside ? host[(y - 1) * PITCH + x - 1] : 0;

			assert_int_equal(got[y * 2 * PITCH + x], expected);
		}
	}
}

static void test_rectangles(void **state)
{
	uint32_t host[PITCH * (HEIGHT + 1)] = {0};
	CUDA_MEMCPY2D copy = rectangle(host);

	(void)state;
	for (unsigned int i = 0; i < PITCH * (HEIGHT + 1); i++)
		host[i] = 1000 + i;
	OK(cuMemsetD32(program.words, 0, PROGRAM_WORDS));
	OK(cuMemcpy2D(&copy));
	check_rectangle(host);
	OK(cuMemsetD32(program.words, 0, PROGRAM_WORDS));
	OK(cuMemcpy2DUnaligned(&copy));
	check_rectangle(host);
	OK(cuMemsetD32(program.words, 0, PROGRAM_WORDS));
	OK(cuCtxSynchronize());
	OK(cuMemcpy2DAsync(&copy, program.stream));
	OK(cuStreamSynchronize(program.stream));
	check_rectangle(host);
}

static void test_bad_rectangles(void **state)
{
	uint32_t host[PITCH * (HEIGHT + 1)] = {0};
	CUDA_MEMCPY2D wide = rectangle(host), array = wide, far = wide;

	(void)state;
	wide.WidthInBytes = PITCH * sizeof(uint32_t);
	assert_int_equal(cuMemcpy2D(&wide), CUDA_ERROR_INVALID_VALUE);
	array.dstMemoryType = CU_MEMORYTYPE_ARRAY;
	assert_int_equal(cuMemcpy2D(&array), CUDA_ERROR_NOT_SUPPORTED);
	far.dstY = PROGRAM_WORDS;
	assert_int_equal(cuMemcpy2D(&far), CUDA_ERROR_INVALID_VALUE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_pool_counts_its_memory),
		cmocka_unit_test(test_settings_of_a_pool),
		cmocka_unit_test(test_the_device_has_a_current_pool),
		cmocka_unit_test(test_free_comes_in_stream_order),
		cmocka_unit_test(test_attributes_of_device_memory),
		cmocka_unit_test(test_attributes_of_host_memory),
		cmocka_unit_test(test_unknown_pointers_have_no_attributes),
		cmocka_unit_test(test_rectangles),
		cmocka_unit_test(test_bad_rectangles),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
