/* SPDX-License-Identifier: Apache-2.0 */
/* Opens libcuda.so.1 and fills the table with dlsym. */
#include "api.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct order_api api;

#define EXPANDED_NAME(name) #name
#define SYMBOL_NAME(name)   EXPANDED_NAME(name)

static const struct {
	size_t offset;
	const char *symbol;
} rows[] = {
#define API(member, name) {offsetof(struct order_api, member), SYMBOL_NAME(name)},
#include "api.def"
#undef API
};

int api_open(void)
{
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_GLOBAL);

	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return -ENOENT;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *address = dlsym(library, rows[i].symbol);

		if (!address) {
			fprintf(stderr, "libcuda.so.1 lacks %s\n", rows[i].symbol);
			return -ENOSYS;
		}
		memcpy((char *)&api + rows[i].offset, &address, sizeof(address));
	}
	return 0;
}
