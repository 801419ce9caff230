/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel launches: from parameters to a descriptor, to the tools, to the device. */
#ifndef LITHOS_SIM_LAUNCH_H
#define LITHOS_SIM_LAUNCH_H

#include "sim/driver/op.h"
#include "sim/kernel/module.h"
#include "sim/kernel/qmd_build.h"

/* A program's parameters, in either of the two forms it may hand them over. */
struct launch_params {
	void **pointers; /* kernelParams */
	void **extra;
};

/* Checks the launch against the function's limits and the chip's. */
CUresult kernel_check_locked(const struct op_kernel *op);

/* Fills op->params from the program's. The caller frees them with op_free. */
CUresult kernel_params_read(struct op_kernel *op, const struct launch_params *params);

void kernel_qmd_locked(const struct op_kernel *op, int in_graph,
		       uint32_t ret_qmd[QMD_BUILD_BYTES / 4]);

/* Clusters of so many blocks that the chip holds at one block per SM. */
uint32_t kernel_nr_clusters(uint32_t cluster_blocks);

/* Blocks of this launch that one SM holds. */
uint32_t kernel_blocks_per_sm_locked(const struct op_kernel *op);

/* The descriptor as it is now goes to the device. */
CUresult kernel_submit_locked(struct CUstream_st *stream, const struct op_kernel *op,
			      const uint32_t *qmd);

/*
 * A whole launch: check, capture or build the descriptor, announce it with the lock released,
 * submit. Called with the lock held; returns with it held.
 */
CUresult launch_op_locked(struct CUstream_st *stream, const struct op_kernel *op);

/* The kernel the driver itself uses for 2-D fills of 32-bit words. */
#define MEMSET_KERNEL_NAME "lithos_sim_memset_2d"
CUresult launch_memset_2d_locked(struct CUstream_st *stream, const struct op_set *set);

#endif
