/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated driver needs of a PTX text: kernels with their parameters, and global
 * variables. */
#ifndef LITHOS_SIM_PTX_H
#define LITHOS_SIM_PTX_H

#include <stddef.h>
#include <stdint.h>

#define PTX_NAME_MAX   512
#define PTX_MAX_PARAMS 128

struct ptx_param {
	uint32_t offset;
	uint32_t size;
};

struct ptx_entry {
	char name[PTX_NAME_MAX];
	uint32_t nr_params;
	struct ptx_param param[PTX_MAX_PARAMS];
	uint32_t param_bytes;
	uint32_t shared_bytes; /* static */
	uint32_t max_threads;  /* of .maxntid or .reqntid; 0: none */
	uint32_t cluster[3];   /* of .reqnctapercluster; 0: none */
};

struct ptx_global {
	char name[PTX_NAME_MAX];
	uint32_t size;
};

struct ptx_module {
	struct ptx_entry *entry;
	size_t nr_entries;
	struct ptx_global *global;
	size_t nr_globals;
};

/* 0, -EINVAL when it is no PTX text or ends in the middle, -ENOMEM. Release with ptx_free. */
int ptx_parse(const char *text, struct ptx_module *ret_module);
void ptx_free(struct ptx_module *module);

#endif
