/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch calls that the programs of tests/programs leave out: those of the first CUDA, the
 * _ptsz spelling of each, graphs uploaded and launched on per-thread streams, the older contexts.
 * Each launches --times kernels; a name of the old API says which. The caller compares what the
 * statistics and the device's trace say.
 */
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static struct {
	CUresult (*FuncSetBlockShape)(CUfunction f, int x, int y, int z);
	CUresult (*FuncSetSharedSize)(CUfunction f, unsigned int bytes);
	CUresult (*ParamSetSize)(CUfunction f, unsigned int bytes);
	CUresult (*ParamSetv)(CUfunction f, int offset, void *value, unsigned int bytes);
	CUresult (*Launch)(CUfunction f);
	CUresult (*LaunchGrid)(CUfunction f, int width, int height);
	CUresult (*LaunchGridAsync)(CUfunction f, int width, int height, CUstream stream);
	__typeof__(cuLaunchKernel) *LaunchKernel_ptsz;
	__typeof__(cuLaunchKernelEx) *LaunchKernelEx_ptsz;
	__typeof__(cuLaunchCooperativeKernel) *LaunchCooperativeKernel_ptsz;
	__typeof__(cuGraphLaunch) *GraphLaunch_ptsz;
	__typeof__(cuGraphUpload) *GraphUpload_ptsz;
} old;

static void find(const char *symbol, void *slot)
{
	void *address = dlsym(cu_handle, symbol);
	if (!CHECK(address != NULL))
		fprintf(stderr, "no %s\n", symbol);
	memcpy(slot, &address, sizeof(address));
}

static void find_all(void)
{
	find("cuFuncSetBlockShape", &old.FuncSetBlockShape);
	find("cuFuncSetSharedSize", &old.FuncSetSharedSize);
	find("cuParamSetSize", &old.ParamSetSize);
	find("cuParamSetv", &old.ParamSetv);
	find("cuLaunch", &old.Launch);
	find("cuLaunchGrid", &old.LaunchGrid);
	find("cuLaunchGridAsync", &old.LaunchGridAsync);
	find("cuLaunchKernel_ptsz", &old.LaunchKernel_ptsz);
	find("cuLaunchKernelEx_ptsz", &old.LaunchKernelEx_ptsz);
	find("cuLaunchCooperativeKernel_ptsz", &old.LaunchCooperativeKernel_ptsz);
	find("cuGraphLaunch_ptsz", &old.GraphLaunch_ptsz);
	find("cuGraphUpload_ptsz", &old.GraphUpload_ptsz);
}

struct apis {
	struct prog prog;
	CUdeviceptr counters;
	uint64_t ns;
	void *params[2];
	CUstream stream;
	unsigned int nr_blocks;
	uint32_t nr_launches;
};

static void launched(struct apis *apis, CUresult result)
{
	MUST(result);
	MUST(cu.CtxSynchronize());
	apis->nr_launches++;
}

/* One block a call of cuLaunch, a full grid of the others; parameters the old way. */
static void launch_old(struct apis *apis)
{
	CUfunction f = apis->prog.count;
	MUST(old.FuncSetBlockShape(f, 64, 1, 1));
	MUST(old.FuncSetSharedSize(f, 0));
	MUST(old.ParamSetv(f, 0, &apis->counters, sizeof(apis->counters)));
	MUST(old.ParamSetv(f, 8, &apis->ns, sizeof(apis->ns)));
	MUST(old.ParamSetSize(f, 16));
	launched(apis, old.LaunchGrid(f, (int)apis->nr_blocks, 1));
	launched(apis, old.LaunchGridAsync(f, (int)apis->nr_blocks, 1, apis->stream));
}

static void launch_ptsz(struct apis *apis)
{
	CUlaunchAttribute attribute = {.id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE,
				       .value.cooperative = 1};
	CUlaunchConfig config = {.gridDimX = apis->nr_blocks,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 64,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .attrs = &attribute,
				 .numAttrs = 1};
	CUfunction f = apis->prog.count;
	launched(apis, old.LaunchKernel_ptsz(f, apis->nr_blocks, 1, 1, 64, 1, 1, 0, NULL,
					     apis->params, NULL));
	launched(apis, old.LaunchKernelEx_ptsz(&config, f, apis->params, NULL));
	launched(apis, old.LaunchCooperativeKernel_ptsz(f, apis->nr_blocks, 1, 1, 64, 1, 1, 0, NULL,
							apis->params));
	/* Too large for any GPU, and too large for the quota alone. */
	CHECK(old.LaunchCooperativeKernel_ptsz(f, 100000, 1, 1, 1024, 1, 1, 0, NULL,
					       apis->params) ==
	      CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	config.gridDimX = (unsigned int)apis->prog.nr_sms * 2 + 1;
	config.blockDimX = 1024;
	CHECK(old.LaunchKernelEx_ptsz(&config, f, apis->params, NULL) ==
	      CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

static void launch_graph(struct apis *apis)
{
	CUDA_KERNEL_NODE_PARAMS node = {.func = apis->prog.count,
					.gridDimX = apis->nr_blocks,
					.gridDimY = 1,
					.gridDimZ = 1,
					.blockDimX = 64,
					.blockDimY = 1,
					.blockDimZ = 1,
					.kernelParams = apis->params};
	CUgraph graph;
	CUgraphNode added;
	CUgraphExec exec;
	MUST(cu.GraphCreate(&graph, 0));
	MUST(cu.GraphAddKernelNode(&added, graph, NULL, 0, &node));
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	MUST(old.GraphUpload_ptsz(exec, NULL));
	launched(apis, old.GraphLaunch_ptsz(exec, NULL));
	launched(apis, cu.GraphLaunch(exec, apis->stream));
	MUST(cu.GraphExecDestroy(exec));
	MUST(cu.GraphDestroy(graph));
}

int main(int argc, char **argv)
{
	long nr_times = prog_option(argc, argv, "--times", 3);
	struct apis apis = {.ns = 20000};
	prog_open(&apis.prog);
	find_all();
	if (prog_result() != PROG_PASS)
		return PROG_FAIL;
	MUST(cu.StreamCreate(&apis.stream, CU_STREAM_NON_BLOCKING));
	apis.nr_blocks = (unsigned int)apis.prog.nr_sms;
	apis.counters = prog_words(apis.nr_blocks, 0);
	apis.params[0] = &apis.counters;
	apis.params[1] = &apis.ns;
	for (long i = 0; i < nr_times; i++) {
		launch_old(&apis);
		launch_ptsz(&apis);
		launch_graph(&apis);
	}
	CHECK(prog_count_other(apis.counters, apis.nr_blocks, apis.nr_launches) == 0);
	/* One block, of the kernel without parameters. */
	MUST(old.FuncSetBlockShape(apis.prog.null, 32, 1, 1));
	MUST(old.ParamSetSize(apis.prog.null, 0));
	MUST(old.Launch(apis.prog.null));
	MUST(cu.CtxSynchronize());
	printf("program=apis reported_sms=%d count=%u null=1\n", apis.prog.nr_sms,
	       apis.nr_launches);
	MUST(cu.MemFree(apis.counters));
	MUST(cu.StreamDestroy(apis.stream));
	prog_close(&apis.prog);
	return prog_result();
}
