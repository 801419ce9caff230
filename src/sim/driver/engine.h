/* SPDX-License-Identifier: Apache-2.0 */
/* The cookie of a grid: what its blocks run, and the name it is traced under. One allocation a
 * launch. */
#ifndef LITHOS_SIM_ENGINE_H
#define LITHOS_SIM_ENGINE_H

#include "sim/driver/state.h"
#include "sim/sim_kernel.h"

struct launch_cookie {
	const struct sim_kernel *kernel; /* NULL: no body */
	struct CUctx_st *ctx;            /* outlives the grid */
	uint64_t entry;                  /* of the kernel; 0: none known yet */
	const char *fault;               /* why blocks of this launch ended the context; NULL */
	struct sim_kernel_launch launch; /* params point behind this structure */
	const char *name;                /* behind the parameters */
};

#endif
