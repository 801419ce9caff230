/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe's kernels, loaded into the current context, and the edit that its launches get.
 * One user: the thread that opened it.
 */
#ifndef LITHOS_HW_PROBE_KERNEL_H
#define LITHOS_HW_PROBE_KERNEL_H

#include <stdint.h>

#include <cuda.h>

#include <lithos/tpcset.h>

struct driver_ops;

/* What the calling thread's next launches get written into their descriptors. */
struct probe_edit {
	struct tpcset disable;    /* empty: no mask */
	uint64_t release_address; /* 0: no record */
	uint32_t release_payload;
	int cc_major;
	uint32_t nr_calls; /* events seen */
	uint32_t qmd_version;
	int error; /* -ENOTSUP: a version that may not be used */
};

struct probe_kernel {
	const struct driver_ops *ops;
	CUmodule module;
	CUfunction seen;
	CUfunction where;
	CUstream stream;
	unsigned int shared_bytes; /* so much that an SM holds one block */
	uint32_t nr_sms;
};

/* 0, -EIO. probe_kernel_close may be called after a failure, and on a zeroed struct. */
int probe_kernel_open(const struct driver_ops *ops, CUdevice device, struct probe_kernel *kernel);
void probe_kernel_close(struct probe_kernel *kernel);

/* Launches `blocks` one-warp blocks that store to `out`, with this edit. 0, -EIO, or edit->error.
 */
int probe_launch(const struct probe_kernel *kernel, CUfunction func, CUdeviceptr out,
		 uint32_t blocks, struct probe_edit *edit);

/* As probe_launch with `where`, in clusters; -ENOTSUP when the device or driver refuses the size.
 */
int probe_launch_clusters(const struct probe_kernel *kernel, CUdeviceptr out, uint32_t blocks,
			  uint32_t cluster, struct probe_edit *edit);

#endif
