/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many SMs, and clusters at once, the program is told of, and a library whose file is called libcublas*, and one
 * that is called otherwise: the same code, beside this program. Printed as name=number.
 */
#include "prog.h"

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "asks_library.h"

struct library {
	__typeof__(library_sms) *sms;
	__typeof__(library_clusters) *clusters;
};

/* 0 when it is there and has both functions. */
static int library_open(struct library *library, const char *name)
{
	char self[PATH_MAX] = "", path[PATH_MAX + 64];
	void *handle;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/%s", dirname(self), name);
	handle = dlopen(path, RTLD_NOW);
	if (!handle)
		return -1;
	*(void **)&library->sms = dlsym(handle, "library_sms");
	*(void **)&library->clusters = dlsym(handle, "library_clusters");
	return library->sms && library->clusters ? 0 : -1;
}

int main(void)
{
	struct prog prog;
	struct library cublas = {0}, other = {0};
	CUlaunchAttribute attribute;
	CUlaunchConfig pair = prog_one_cluster(&attribute, 2);

	prog_open(&prog);
	if (library_open(&cublas, "libcublas_asks.so") ||
	    library_open(&other, "libother_asks.so")) {
		(void)CHECK(!"both libraries");
		return prog_result();
	}
	printf("sms=%d cublas=%d other=%d cublas_clusters=%d other_clusters=%d\n", prog.nr_sms,
	       cublas.sms(cu.DeviceGetAttribute, prog.device),
	       other.sms(cu.DeviceGetAttribute, prog.device),
	       cublas.clusters(cu.OccupancyMaxClusters, prog.count, &pair),
	       other.clusters(cu.OccupancyMaxClusters, prog.count, &pair));
	prog_close(&prog);
	return prog_result();
}
