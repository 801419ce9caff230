/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens libcuda.so.1 and fills the table with dlsym. The name of each symbol is cuda.h's own after
 * its version macros (cuMemAlloc becomes cuMemAlloc_v2), so table and prototypes cannot disagree.
 * Every program is its test.
 */
#include "cu.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct cu_api cu;
void *cu_handle;

#define EXPANDED_NAME(name) #name
#define SYMBOL_NAME(name)   EXPANDED_NAME(name)

static const struct {
	size_t offset;
	const char *symbol;
} cu_rows[] = {
#define CU(member, name) {offsetof(struct cu_api, member), SYMBOL_NAME(name)},
#include "cu.def"
#undef CU
};

const char *cu_library = "libcuda.so.1";

int cu_open(void)
{
	cu_handle = dlopen(cu_library, RTLD_NOW | RTLD_GLOBAL);
	if (!cu_handle) {
		fprintf(stderr, "%s\n", dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(cu_rows) / sizeof(cu_rows[0]); i++) {
		void *address = dlsym(cu_handle, cu_rows[i].symbol);
		if (!address) {
			fprintf(stderr, "%s lacks %s\n", cu_library, cu_rows[i].symbol);
			return -ENOSYS;
		}
		memcpy((char *)&cu + cu_rows[i].offset, &address, sizeof(address));
	}
	return 0;
}

const char *cu_name(CUresult result)
{
	const char *name = NULL;
	if (cu.GetErrorName && cu.GetErrorName(result, &name) == CUDA_SUCCESS && name)
		return name;
	return result == CUDA_SUCCESS ? "CUDA_SUCCESS" : "CUDA_ERROR_?";
}
