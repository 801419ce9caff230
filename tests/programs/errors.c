/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that the driver refuses, each behind launches that may be held back: whoever holds calls
 * must tell the error at the call, and nobody else of it.
 *
 *   errors [--rounds N]
 *
 * In each round every wrong call comes behind two launches that are right, and before one: the
 * wrong one answers with an error, the right ones with success, and all of those have run in the
 * end.
 */
#include "prog.h"

#include <stdio.h>
#include <string.h>

enum {
	NR_BLOCKS = 8,
	NR_RIGHT = 3 /* launches around a wrong call */
};

static struct prog prog;
static CUstream stream;
static CUdeviceptr words;
static CUevent event;
static uint32_t *host;

static CUresult launch(CUfunction function)
{
	uint64_t ns = 20000;
	void *params[] = {&words, &ns};

	return prog_run(&(struct prog_launch){.function = function,
					      .grid = {NR_BLOCKS, 1, 1},
					      .block = {32, 1, 1},
					      .stream = stream,
					      .params = params});
}

static CUresult small_buffer(void)
{
	uint64_t packed[1] = {words};
	size_t bytes = sizeof(packed);
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, packed, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &bytes, CU_LAUNCH_PARAM_END};

	return cu.LaunchKernel(prog.count, NR_BLOCKS, 1, 1, 32, 1, 1, 0, stream, NULL, extra);
}

static CUresult no_function(void)
{
	return launch(NULL);
}

static CUresult no_params(void)
{
	return cu.LaunchKernel(prog.count, NR_BLOCKS, 1, 1, 32, 1, 1, 0, stream, NULL, NULL);
}

static CUresult fill_nothing(void)
{
	return cu.MemsetD32Async(0x40, 1, 4, stream);
}

static CUresult fill_beyond(void)
{
	return cu.MemsetD32Async(words, 1, (size_t)1 << 40, stream);
}

static CUresult fill_rows_beyond(void)
{
	return cu.MemsetD2D32Async(words, (size_t)1 << 20, 1, 1, 1 << 20, stream);
}

static CUresult copy_to_host_from_nothing(void)
{
	return cu.MemcpyDtoHAsync(host, 0x40, sizeof(*host), stream);
}

static CUresult copy_from_host_to_nothing(void)
{
	return cu.MemcpyHtoDAsync(0x40, host, sizeof(*host), stream);
}

static CUresult copy_beyond(void)
{
	return cu.MemcpyDtoDAsync(words, words, (size_t)1 << 40, stream);
}

static CUresult no_host_function(void)
{
	return cu.LaunchHostFunc(stream, NULL, NULL);
}

static CUresult no_callback(void)
{
	return cu.StreamAddCallback(stream, NULL, NULL, 0);
}

static CUresult record_no_event(void)
{
	return cu.EventRecord(NULL, stream);
}

static CUresult wait_for_no_event(void)
{
	return cu.StreamWaitEvent(stream, NULL, 0);
}

static CUresult wait_with_flags(void)
{
	return cu.StreamWaitEvent(stream, event, 0x100);
}

static CUresult wait_for_odd_word(void)
{
	return cu.StreamWaitValue32(stream, words + 2, 0, CU_STREAM_WAIT_VALUE_GEQ);
}

static CUresult write_to_nothing(void)
{
	return cu.StreamWriteValue32(stream, 0x40, 1, 0);
}

static CUresult free_nothing(void)
{
	return cu.MemFreeAsync(0x40, stream);
}

static CUresult launch_no_graph(void)
{
	return cu.GraphLaunch(NULL, stream);
}

static CUresult upload_no_graph(void)
{
	return cu.GraphUpload(NULL, stream);
}

static const struct {
	const char *name;
	CUresult (*call)(void);
} wrong[] = {
	{"small buffer", small_buffer},
	{"no function", no_function},
	{"no parameters", no_params},
	{"fill nothing", fill_nothing},
	{"fill beyond", fill_beyond},
	{"fill rows beyond", fill_rows_beyond},
	{"copy from nothing", copy_to_host_from_nothing},
	{"copy to nothing", copy_from_host_to_nothing},
	{"copy beyond", copy_beyond},
	{"no host function", no_host_function},
	{"no callback", no_callback},
	{"record no event", record_no_event},
	{"wait for no event", wait_for_no_event},
	{"wait with flags", wait_with_flags},
	{"wait for an odd word", wait_for_odd_word},
	{"write to nothing", write_to_nothing},
	{"free nothing", free_nothing},
	{"launch no graph", launch_no_graph},
	{"upload no graph", upload_no_graph},
};

#define NR_WRONG (sizeof(wrong) / sizeof(wrong[0]))

static void try(size_t i)
{
	MUST(launch(prog.count));
	MUST(launch(prog.count));
	if (wrong[i].call() == CUDA_SUCCESS) {
		fprintf(stderr, "no error: %s\n", wrong[i].name);
		CHECK(!"an error");
	}
	MUST(launch(prog.count));
}

int main(int argc, char **argv)
{
	uint32_t nr_rounds = (uint32_t)prog_option(argc, argv, "--rounds", 5);
	void *memory = NULL;

	prog_open(&prog);
	MUST(cu.StreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	MUST(cu.EventCreate(&event, CU_EVENT_DISABLE_TIMING));
	MUST(cu.MemAllocHost(&memory, sizeof(*host)));
	host = memory;
	words = prog_words(NR_BLOCKS, 0);
	for (uint32_t round = 0; round < nr_rounds; round++) {
		for (size_t i = 0; i < NR_WRONG; i++)
			try(i);
		CHECK(cu.StreamSynchronize(stream) == CUDA_SUCCESS);
	}
	CHECK(prog_count_other(words, NR_BLOCKS, nr_rounds * NR_WRONG * NR_RIGHT) == 0);
	prog_close(&prog);
	printf("program=errors calls=%zu ok=%d\n", nr_rounds * NR_WRONG,
	       prog_result() == PROG_PASS);
	return prog_result();
}
