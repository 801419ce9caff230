/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirected launches on the simulated driver, as a tool makes them: the preludes open as on
 * hardware, a launch goes where its descriptor says, replays of a graph read the slot again, claims
 * obey epochs and report, the reader reads machine code that says what a kernel does, and a launch
 * that is sent where nothing lies ends its context and no other.
 */
#include "sim_program.h"

#include <dlfcn.h>
#include <stdio.h>

#include "hw/code/gang.h"
#include "hw/driver.h"
#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "hw/tools_hook.h"

int lithos_sim_nr_faults(void);

static struct world {
	CUcontext ctx;
	CUmodule module;
	CUstream stream;
	CUdeviceptr words;
	CUdeviceptr slot_address;
	struct prelude_slot *slot;
	struct prelude prelude;
	struct driver_ops ops;
} world;

/* What the next launch's descriptor becomes. */
static struct {
	uint64_t program; /* 0: as it is */
	uint64_t slot_address;
	uint64_t entry; /* out: the kernel's own */
} edit;

static void on_event(const struct qmd_event *event)
{
	const struct qmd_layout *layout = qmd_layout_of(event->qmd, 9);
	struct qmd_grid grid;

	if (prelude_hook(event))
		return;
	assert_non_null(layout);
	assert_int_equal(qmd_decode_grid(layout, event->qmd, &grid), 0);
	edit.entry = grid.entry;
	if (edit.program && edit.slot_address)
		assert_int_equal(
			prelude_redirect(layout, event->qmd, edit.program, edit.slot_address), 0);
	else if (edit.program)
		assert_int_equal(qmd_set(layout, event->qmd, QMD_PROGRAM_ADDRESS_LOWER, 0,
					 (uint32_t)edit.program),
				 0);
}

static void *lookup(void *cookie, const char *symbol)
{
	(void)cookie;
	return dlsym(RTLD_DEFAULT, symbol);
}

/* A context of its own for each test: some of them lose it. */
static int setup(void **state)
{
	const char *missing;
	void *host;

	(void)state;
	memset(&edit, 0, sizeof(edit));
	OK(cuInit(0));
	OK(program_ctx_new(&world.ctx));
	OK(cuModuleLoadData(&world.module, program_ptx));
	OK(cuStreamCreate(&world.stream, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&world.words, PROGRAM_WORDS * 4));
	OK(cuMemsetD32(world.words, 0, PROGRAM_WORDS));
	OK(cuMemAllocHost(&host, sizeof(*world.slot)));
	world.slot = host;
	OK(cuMemHostGetDevicePointer(&world.slot_address, host, 0));
	assert_int_equal(driver_ops_load(&world.ops, lookup, NULL, &missing), 0);
	assert_int_equal(tools_hook_subscribe(world.ops.export_table, on_event), 0);
	assert_int_equal(
		prelude_open(&world.ops, 9, 0, world.slot, world.slot_address, &world.prelude), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	tools_hook_unsubscribe();
	OK(cuCtxDestroy(world.ctx));
	return 0;
}

static void launch_clusters(const char *name, unsigned int blocks, unsigned int cluster)
{
	CUdeviceptr words = world.words;
	uint64_t ns = 1000;
	void *params[] = {&words, &ns};
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
				       .value.clusterDim = {cluster, 1, 1}};
	CUlaunchConfig config = {.gridDimX = blocks,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 32,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .hStream = world.stream,
				 .attrs = &attribute,
				 .numAttrs = cluster > 1};
	CUfunction func;

	OK(cuModuleGetFunction(&func, world.module, name));
	OK(cuLaunchKernelEx(&config, func, params, NULL));
}

static void launch(const char *name, unsigned int blocks)
{
	launch_clusters(name, blocks, 1);
}

static uint32_t word(unsigned int i)
{
	uint32_t value;

	OK(cuMemcpyDtoH(&value, world.words + 4 * i, 4));
	return value;
}

/* The address of a kernel's code, from a launch of it. */
static uint64_t entry_of(const char *name)
{
	edit.program = 0;
	launch(name, 1);
	OK(cuStreamSynchronize(world.stream));
	return edit.entry;
}

static void gate_kernel(uint32_t lo, uint32_t count, uint64_t entry)
{
	*world.slot = (struct prelude_slot){.lo = lo, .count = count, .entry = entry};
	edit.program = world.prelude.entry[PRELUDE_GATE];
	edit.slot_address = world.slot_address;
	launch("lk_count", 8);
	edit.program = 0;
}

static void only_our_image_is_loaded(void **state)
{
	size_t bytes;
	const void *image = prelude_image(9, 0, &bytes);
	uint8_t *other = malloc(bytes);
	CUmodule module;

	(void)state;
	assert_non_null(other);
	memcpy(other, image, bytes);
	OK(cuModuleLoadData(&module, other));
	OK(cuModuleUnload(module));
	other[bytes - 1] ^= 1;
	assert_int_equal(cuModuleLoadData(&module, other), CUDA_ERROR_NO_BINARY_FOR_GPU);
	free(other);
	for (int kind = 0; kind < PRELUDE_NR; kind++)
		assert_int_not_equal(world.prelude.entry[kind], 0);
	assert_int_equal(cuModuleLoadData(&module, prelude_image(8, 0, &bytes)),
			 CUDA_ERROR_NO_BINARY_FOR_GPU);
}

static void gate_lets_a_range_run(void **state)
{
	uint64_t entry = entry_of("lk_count");

	(void)state;
	gate_kernel(2, 3, entry);
	OK(cuStreamSynchronize(world.stream));
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(word(i), (i == 0) + (i >= 2 && i < 5));
}

/* PROGRAM_ADDRESS, and the slot's entry, decide which kernel runs. */
static void launch_goes_where_it_is_sent(void **state)
{
	uint64_t entry = entry_of("lk_count");

	(void)state;
	assert_int_equal(word(0), 1);
	edit.program = entry;
	edit.slot_address = 0;
	launch("lk_where", 4);
	edit.program = 0;
	OK(cuStreamSynchronize(world.stream));
	assert_int_equal(word(0), 2);
	assert_int_equal(word(3), 1);
	entry = entry_of("lk_where");
	OK(cuMemsetD32(world.words, 0xffffffff, PROGRAM_WORDS));
	gate_kernel(0, 8, entry);
	OK(cuStreamSynchronize(world.stream));
	assert_true(word(7) < 132);
}

/* Fills are not waited for by streams of other kinds. */
static void fill(unsigned int first, uint32_t value, unsigned int n)
{
	OK(cuMemsetD32(world.words + 4 * first, value, n));
	OK(cuCtxSynchronize());
}

/* Words, header and epochs lie behind those that blocks count in. */
#define AT_EPOCH (PROGRAM_WORDS - 16)
#define AT_STATE (PROGRAM_WORDS - 12)

/* A claimed launch of 8 blocks, which tells its report in the slot. */
static void claim_kernel(uint32_t first, uint32_t run, uint32_t calm, unsigned int cluster)
{
	CUdeviceptr epoch = world.words + 4 * AT_EPOCH;

	*world.slot = (struct prelude_slot){.entry = edit.entry,
					    .state = world.words + 4 * AT_STATE,
					    .flag = {epoch, epoch + 4},
					    .calm = {0, calm},
					    .first = first,
					    .run = run,
					    .lead = run,
					    .report = world.slot_address};
	edit.program = world.prelude.entry[cluster > 1 ? PRELUDE_CLAIM_CLUSTER : PRELUDE_CLAIM];
	edit.slot_address = world.slot_address;
	launch_clusters("lk_count", 8, cluster);
	edit.program = 0;
	OK(cuStreamSynchronize(world.stream));
}

static void assert_counts(uint32_t expected)
{
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(word(i), expected);
}

static void claims_go_and_report(void **state)
{
	(void)state;
	(void)entry_of("lk_count");
	for (unsigned int cluster = 1; cluster <= 4; cluster *= 2) {
		const uint32_t stays = cluster > 1 ? 100 : 0; /* words of no first block */

		fill(0, 0, PROGRAM_WORDS);
		fill(AT_STATE, 100, 8);
		fill(AT_EPOCH + 1, 7, 1);
		claim_kernel(200, 200, 6, cluster);
		assert_counts(0);
		assert_int_equal(world.slot->lo, 200);
		assert_int_equal(word(AT_STATE - 2), 200);
		assert_int_equal(word(AT_STATE), 203);
		assert_int_equal(word(AT_STATE + 1), stays ? stays : 203);
		/* Told once is enough: the slot's report is as it was filled in. */
		claim_kernel(200, 200, 6, cluster);
		assert_int_equal(world.slot->lo, 0);
		/* Disarmed up to 204. */
		fill(AT_STATE - 1, 204, 1);
		claim_kernel(200, 204, 6, cluster);
		assert_counts(1);
		assert_int_equal(world.slot->lo, 0);
		/* Nothing is left for another launch of the work, which has nothing to report. */
		claim_kernel(200, 208, 6, cluster);
		assert_counts(1);
		assert_int_equal(world.slot->lo, 0);
		/* The next work: not disarmed, and the epoch is calm. */
		claim_kernel(212, 212, 7, cluster);
		assert_counts(2);
		assert_int_equal(word(AT_STATE), 212);
		assert_int_equal(word(AT_STATE + 1), stays ? stays : 212);
	}
}

static void gates_count_by_the_cluster(void **state)
{
	(void)state;
	(void)entry_of("lk_count");
	fill(0, 0, PROGRAM_WORDS);
	/* Of the clusters at 0, 2, 4 and 6 the range holds the first blocks of two. */
	*world.slot = (struct prelude_slot){.lo = 1, .count = 4, .entry = edit.entry};
	edit.program = world.prelude.entry[PRELUDE_GATE_CLUSTER];
	edit.slot_address = world.slot_address;
	launch_clusters("lk_count", 8, 2);
	edit.program = 0;
	OK(cuStreamSynchronize(world.stream));
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(word(i), i >= 2 && i < 6);
}

static struct code_answer read_code(const char *name)
{
	enum {
		BYTES = 0x8000
	}; /* far behind the kernel's end */
	uint64_t from = entry_of(name), to;
	uint32_t nr_words = BYTES / 8;
	void *params[] = {&from, &to, &nr_words}, *host;
	struct code_answer answer;

	OK(cuMemAllocHost(&host, BYTES));
	OK(cuMemHostGetDevicePointer((CUdeviceptr *)&to, host, 0));
	OK(cuLaunchKernel(world.prelude.reader, 1, 1, 1, 256, 1, 1, 0, world.stream, params, NULL));
	OK(cuStreamSynchronize(world.stream));
	assert_int_equal(code_find_gang(&(struct code_input){host, BYTES, 9, 0}, &answer), 0);
	OK(cuMemFreeHost(host));
	return answer;
}

static void code_says_who_waits(void **state)
{
	struct code_answer answer = read_code("lk_count");

	(void)state;
	assert_int_equal(answer.verdict, CODE_FREE);
	answer = read_code("lk_barrier");
	assert_int_equal(answer.verdict, CODE_GANG);
	assert_int_equal(answer.reason, CODE_STRONG_LOAD);
	assert_int_equal(answer.offset, 0x30);
}

static void replays_read_the_slot_again(void **state)
{
	uint64_t entry = entry_of("lk_count");
	CUgraphExec exec;
	CUgraph graph;

	(void)state;
	OK(cuMemsetD32(world.words, 0, PROGRAM_WORDS));
	OK(cuStreamBeginCapture(world.stream, CU_STREAM_CAPTURE_MODE_GLOBAL));
	launch("lk_count", 8);
	OK(cuStreamEndCapture(world.stream, &graph));
	OK(cuGraphInstantiate(&exec, graph, 0));
	edit.program = world.prelude.entry[PRELUDE_GATE];
	edit.slot_address = world.slot_address;
	for (uint32_t i = 0; i < 8; i++) {
		*world.slot = (struct prelude_slot){.lo = i, .count = i + 1, .entry = entry};
		OK(cuGraphLaunch(exec, world.stream));
		OK(cuStreamSynchronize(world.stream));
	}
	edit.program = 0;
	/* Block b ran in replays i with i <= b <= 2i. */
	for (uint32_t b = 0; b < 8; b++)
		assert_int_equal(word(b), b - (b + 1) / 2 + 1);
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphDestroy(graph));
}

/* The context answers `error` from now on; another one is well. */
static void assert_lost(CUresult error, int nr_faults)
{
	CUcontext other;
	CUdeviceptr words;

	assert_int_equal(cuStreamSynchronize(world.stream), error);
	assert_int_equal(lithos_sim_nr_faults(), nr_faults + 1);
	assert_int_equal(cuCtxSynchronize(), error);
	assert_int_equal(cuMemAlloc(&words, 4), error);
	assert_int_equal(cuStreamQuery(world.stream), error);
	OK(program_ctx_new(&other));
	OK(cuMemAlloc(&words, 4));
	OK(cuCtxSynchronize());
	OK(cuCtxDestroy(other));
	assert_int_equal(lithos_sim_nr_hung(), 0);
}

static void unknown_entry_is_a_fault(void **state)
{
	int nr_faults = lithos_sim_nr_faults();
	uint64_t entry = entry_of("lk_count");

	(void)state;
	gate_kernel(0, 8, entry + 16);
	assert_lost(CUDA_ERROR_INVALID_PC, nr_faults);
}

static void unknown_program_is_a_fault(void **state)
{
	int nr_faults = lithos_sim_nr_faults();

	(void)state;
	edit.program = entry_of("lk_count") + 16;
	edit.slot_address = 0;
	launch("lk_count", 8);
	assert_lost(CUDA_ERROR_INVALID_PC, nr_faults);
}

static void prelude_of_another_context_is_a_fault(void **state)
{
	uint64_t gate = world.prelude.entry[PRELUDE_GATE];
	int nr_faults = lithos_sim_nr_faults();
	struct world first = world;
	uint64_t entry;

	(void)state;
	tools_hook_unsubscribe();
	(void)setup(state);
	entry = entry_of("lk_count");
	world.prelude.entry[PRELUDE_GATE] = gate;
	gate_kernel(0, 8, entry);
	assert_lost(CUDA_ERROR_INVALID_PC, nr_faults);
	OK(cuCtxDestroy(world.ctx));
	world = first;
}

static void unbound_bank_is_a_fault(void **state)
{
	int nr_faults = lithos_sim_nr_faults();

	(void)state;
	edit.program = world.prelude.entry[PRELUDE_GATE];
	edit.slot_address = 0;
	launch("lk_count", 8);
	assert_lost(CUDA_ERROR_ILLEGAL_ADDRESS, nr_faults);
}

static void slot_of_freed_memory_is_a_fault(void **state)
{
	int nr_faults = lithos_sim_nr_faults();
	uint64_t entry = entry_of("lk_count");
	struct prelude_slot slot = {.count = 8, .entry = entry};

	(void)state;
	/* Aligned as a slot must be, and never allocated by the driver. */
	edit.program = world.prelude.entry[PRELUDE_GATE];
	edit.slot_address = ((uintptr_t)&slot + 63) / 64 * 64;
	launch("lk_count", 8);
	assert_lost(CUDA_ERROR_ILLEGAL_ADDRESS, nr_faults);
}

static void claim_without_words_is_a_fault(void **state)
{
	int nr_faults = lithos_sim_nr_faults();
	uint64_t entry = entry_of("lk_count");

	(void)state;
	*world.slot = (struct prelude_slot){.entry = entry,
					    .state = world.words + 4 * (PROGRAM_WORDS - 4),
					    .flag = {world.words, world.words},
					    .first = 4,
					    .run = 4,
					    .lead = 4,
					    .report = world.words};
	edit.program = world.prelude.entry[PRELUDE_CLAIM];
	edit.slot_address = world.slot_address;
	launch("lk_count", 8); /* words for four of eight blocks */
	assert_lost(CUDA_ERROR_ILLEGAL_ADDRESS, nr_faults);
}

/* Every address of a claim is looked at, not only the words'. */
static void claim_of_bad_addresses_is_a_fault(void **state)
{
	const size_t at[] = {
		offsetof(struct prelude_slot, state), offsetof(struct prelude_slot, flag),
		offsetof(struct prelude_slot, flag) + 8, offsetof(struct prelude_slot, report)};

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		int nr_faults = lithos_sim_nr_faults();
		/* The words' allocation begins here: there is no header. */
		uint64_t bad = i ? 0x1000 : world.words;

		if (i) {
			(void)teardown(state);
			(void)setup(state);
		}
		*world.slot = (struct prelude_slot){.entry = entry_of("lk_count"),
						    .state = world.words + 8,
						    .flag = {world.words, world.words},
						    .first = 4,
						    .run = 4,
						    .lead = 4,
						    .report = world.words};
		memcpy((char *)world.slot + at[i], &bad, sizeof(bad));
		edit.program = world.prelude.entry[PRELUDE_CLAIM];
		edit.slot_address = world.slot_address;
		launch("lk_count", 8);
		assert_lost(CUDA_ERROR_ILLEGAL_ADDRESS, nr_faults);
	}
}

#define PRELUDE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PRELUDE_TEST(only_our_image_is_loaded),
		PRELUDE_TEST(gate_lets_a_range_run),
		PRELUDE_TEST(gates_count_by_the_cluster),
		PRELUDE_TEST(claims_go_and_report),
		PRELUDE_TEST(code_says_who_waits),
		PRELUDE_TEST(launch_goes_where_it_is_sent),
		PRELUDE_TEST(replays_read_the_slot_again),
		PRELUDE_TEST(unknown_entry_is_a_fault),
		PRELUDE_TEST(unknown_program_is_a_fault),
		PRELUDE_TEST(prelude_of_another_context_is_a_fault),
		PRELUDE_TEST(unbound_bank_is_a_fault),
		PRELUDE_TEST(slot_of_freed_memory_is_a_fault),
		PRELUDE_TEST(claim_without_words_is_a_fault),
		PRELUDE_TEST(claim_of_bad_addresses_is_a_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
