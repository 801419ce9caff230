/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory of one process in another: what is written is seen, handles that mean nothing are
 * refused, and an owner that raises its epoch stops the borrower's kernel, which reports.
 */
#include "sim_shared.h"

#include <dlfcn.h>

#include "hw/driver.h"
#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "hw/tools_hook.h"

#define WORDS 3000u /* more than two pages, and no whole number of them */

enum {
	EXPORTED,
	OPENED,
	FREED,
	DONE,
	LAUNCHED
};

/* Where the handle is handed over; no rows are written in these tests. */
static CUipcMemHandle *handle_place(void)
{
	return (CUipcMemHandle *)&shared->row[0];
}

static uint32_t word_at(CUdeviceptr words, unsigned int i)
{
	uint32_t value = 0;

	GOOD(cuMemcpyDtoH(&value, words + 4 * i, 4));
	return value;
}

static size_t used_bytes(void)
{
	size_t free_bytes, total;

	GOOD(cuMemGetInfo(&free_bytes, &total));
	return total - free_bytes;
}

static void check_refusals(CUdeviceptr words)
{
	CUipcMemHandle handle, garbage;
	CUdeviceptr pooled, opened;

	GOOD(cuMemAllocAsync(&pooled, 64, NULL));
	CHECK(cuIpcGetMemHandle(&handle, pooled) == CUDA_ERROR_INVALID_VALUE);
	CHECK(cuIpcGetMemHandle(&handle, words + WORDS * 4) == CUDA_ERROR_INVALID_VALUE);
	CHECK(cuIpcCloseMemHandle(words) == CUDA_ERROR_INVALID_VALUE);
	GOOD(cuIpcGetMemHandle(&handle, words));
	CHECK(cuIpcOpenMemHandle(&opened, handle, 0) == CUDA_ERROR_INVALID_VALUE);
	CHECK(cuIpcOpenMemHandle(&opened, handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ==
	      CUDA_ERROR_INVALID_CONTEXT);
	memset(&garbage, 0x5a, sizeof(garbage));
	CHECK(cuIpcOpenMemHandle(&opened, garbage, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ==
	      CUDA_ERROR_INVALID_VALUE);
}

static void exporter(unsigned int number)
{
	struct guest guest;
	CUdeviceptr words, second;

	(void)number;
	guest_open(&guest);
	GOOD(cuMemAlloc(&words, WORDS * 4));
	GOOD(cuMemAlloc(&second, 4));
	GOOD(cuMemsetD32(words, 7, WORDS));
	GOOD(cuMemsetD32(second, 9, 1));
	GOOD(cuCtxSynchronize());
	check_refusals(words);
	GOOD(cuIpcGetMemHandle(handle_place(), words + 8));
	CHECK(word_at(words, WORDS - 1) == 7);
	flag_add(EXPORTED);
	CHECK(flag_wait(OPENED, 1));
	CHECK(word_at(words, 1) == 11);
	CHECK(word_at(words, 0) == 7);
	CHECK(word_at(second, 0) == 9);
	GOOD(cuMemFree(words));
	flag_add(FREED);
	CHECK(flag_wait(DONE, 1));
}

static void importer(unsigned int number)
{
	struct guest guest;
	CUdeviceptr words, again, base;
	CUipcMemHandle stale;
	size_t before, bytes;

	(void)number;
	CHECK(flag_wait(EXPORTED, 1));
	guest_open(&guest);
	before = used_bytes();
	GOOD(cuIpcOpenMemHandle(&words, *handle_place(), CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	GOOD(cuIpcOpenMemHandle(&again, *handle_place(), CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CHECK(again == words && used_bytes() == before);
	GOOD(cuMemGetAddressRange(&base, &bytes, words + 4));
	CHECK(base == words && bytes == WORDS * 4);
	CHECK(word_at(words, 0) == 7 && word_at(words, WORDS - 1) == 7);
	GOOD(cuStreamWriteValue32(guest.stream, words + 4, 11, 0));
	GOOD(cuStreamSynchronize(guest.stream));
	CHECK(cuMemFree(words) == CUDA_ERROR_INVALID_VALUE);
	CHECK(cuIpcGetMemHandle(&stale, words) == CUDA_ERROR_INVALID_VALUE);
	flag_add(OPENED);
	CHECK(flag_wait(FREED, 1));
	CHECK(word_at(words, 1) == 11);
	GOOD(cuIpcCloseMemHandle(again));
	CHECK(word_at(words, 1) == 11);
	GOOD(cuIpcCloseMemHandle(words));
	CHECK(cuIpcCloseMemHandle(words) == CUDA_ERROR_INVALID_VALUE);
	CHECK(cuIpcOpenMemHandle(&words, *handle_place(), CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS) ==
	      CUDA_ERROR_INVALID_HANDLE);
	flag_add(DONE);
}

static void test_memory_is_shared(void **state)
{
	pid_t first = child(exporter, 0);

	(void)state;
	child_ends_well(child(importer, 0));
	child_ends_well(first);
}

/* --- an epoch --------------------------------------------------------------------------------- */

static struct {
	struct prelude prelude;
	struct prelude_slot *slot;
	CUdeviceptr slot_address;
	int redirects;
} claim;

static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_of(event->qmd, 9);
	struct qmd_grid grid;

	if (prelude_hook(event) || !claim.redirects)
		return;
	CHECK(layout && !qmd_decode_grid(layout, event->qmd, &grid));
	claim.slot->entry = grid.entry;
	CHECK(!prelude_redirect(layout, event->qmd, claim.prelude.entry[PRELUDE_CLAIM],
				claim.slot_address));
}

static void *lookup(void *cookie, const char *symbol)
{
	(void)cookie;
	return dlsym(RTLD_DEFAULT, symbol);
}

#define NR_BLOCKS 40u
#define BLOCK_NS  (300 * 1000000ull)
#define CALM      UINT32_MAX /* it overflows when it moves */

/* One launch of a kernel of 40 blocks on one SM and few slots: seconds, unless it is stopped. */
static void borrower(unsigned int number)
{
	struct driver_ops ops;
	const char *missing;
	struct guest guest;
	CUdeviceptr words, epoch;
	void *host;

	(void)number;
	guest_open(&guest);
	CHECK(flag_wait(EXPORTED, 1));
	GOOD(cuIpcOpenMemHandle(&epoch, *handle_place(), CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS));
	CHECK(!driver_ops_load(&ops, lookup, NULL, &missing));
	CHECK(!tools_hook_subscribe(ops.export_table, on_event));
	GOOD(cuMemAllocHost(&host, sizeof(*claim.slot) + sizeof(uint32_t)));
	claim.slot = host;
	GOOD(cuMemHostGetDevicePointer(&claim.slot_address, host, 0));
	CHECK(!prelude_open(&ops, 9, 0, claim.slot, claim.slot_address, &claim.prelude));
	uint32_t *report = (uint32_t *)(claim.slot + 1);
	*report = 0;
	GOOD(cuMemAlloc(&words, (NR_BLOCKS + 2) * 4));
	GOOD(cuMemsetD32(words, 0, NR_BLOCKS + 2));
	GOOD(cuCtxSynchronize());
	*claim.slot = (struct prelude_slot){.state = words + PRELUDE_HEADER_BYTES,
					    .flag = {epoch, epoch},
					    .calm = {CALM, CALM},
					    .first = 4,
					    .run = 4,
					    .lead = 4,
					    .report = claim.slot_address + sizeof(*claim.slot)};
	claim.redirects = 1;
	/* So much shared memory that an SM of the 16 holds one block: three waves. */
	GOOD(cuFuncSetAttribute(guest.func, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				200 * 1024));
	struct log_params values = {shared, BLOCK_NS, 1};
	void *params[] = {&values.log, &values.ns, &values.tag};

	GOOD(cuLaunchKernel(guest.func, NR_BLOCKS, 1, 1, 32, 1, 1, 200 * 1024, guest.stream, params,
			    NULL));
	guest_settle();
	flag_add(LAUNCHED);
	GOOD(cuStreamSynchronize(guest.stream));
	for (unsigned int i = 0; i < NR_BLOCKS; i++)
		CHECK(word_at(words, 2 + i) == (i < 16 ? 4 : 7));
	CHECK(__atomic_load_n(report, __ATOMIC_RELAXED) == 4);
	GOOD(cuIpcCloseMemHandle(epoch));
}

static void owner(unsigned int number)
{
	struct guest guest;
	CUdeviceptr epoch;

	(void)number;
	guest_open(&guest);
	GOOD(cuMemAlloc(&epoch, 4));
	GOOD(cuMemsetD32(epoch, CALM, 1));
	GOOD(cuCtxSynchronize());
	GOOD(cuIpcGetMemHandle(handle_place(), epoch));
	flag_add(EXPORTED);
	CHECK(flag_wait(LAUNCHED, 1));
	GOOD(cuStreamWriteValue32(guest.stream, epoch, CALM + 1, 0));
	GOOD(cuStreamSynchronize(guest.stream));
}

static void test_owner_stops_borrower(void **state)
{
	pid_t second = child(owner, 0);

	(void)state;
	mps_start();
	child_ends_well(child(borrower, 0));
	child_ends_well(second);
	/* The handle lies in the first row; blocks of the first wave wrote theirs after it. */
	assert_int_equal(atomic_load(&shared->nr), 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SHARED_TEST(test_memory_is_shared),
		SHARED_TEST(test_owner_stops_borrower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
