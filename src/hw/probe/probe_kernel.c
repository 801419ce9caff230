/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launching probe kernels with an edited descriptor.
 *
 * The edit travels from the launching function to the hook in a thread-local pointer, because the
 * driver calls the hook synchronously in the launching thread; launches of other threads meanwhile
 * see NULL and are left to the caller. One block per SM is forced with shared memory, so that a
 * grid of a few blocks per SM visits every SM that its mask leaves.
 *
 * Tested through topo_probe on the simulated GPU and on hardware by `lithos doctor`.
 */
#include "hw/probe/probe_kernel.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hw/driver.h"
#include "hw/probe/probe_ptx.h"
#include "hw/qmd.h"
#include "hw/qmd_allow.h"
#include "hw/tools_hook.h"
#include "hw/topo_probe.h"

#define PROBE_BLOCK_NS 3000u
#define PROBE_RELEASE  1u

static _Thread_local struct probe_edit *current_edit __attribute__((tls_model("initial-exec")));

static void probe_edit_apply(struct probe_edit *edit, uint32_t *qmd)
{
	const struct qmd_layout *layout = qmd_layout_of(qmd, edit->cc_major);
	struct tpcset allowed = tpcset_not(edit->disable);

	edit->nr_calls++;
	if (!layout || !qmd_may_use(layout)) {
		edit->error = -ENOTSUP;
		return;
	}
	edit->qmd_version = layout->version;
	if (!tpcset_is_empty(&edit->disable) && qmd_restrict(layout, qmd, &allowed))
		edit->error = -ENOTSUP;
	if (edit->release_address && qmd_arm_release(layout, qmd, PROBE_RELEASE,
						     edit->release_address, edit->release_payload))
		edit->error = -ENOTSUP;
}

int probe_hook_edit(const struct qmd_event *event)
{
	if (!current_edit)
		return 0;
	probe_edit_apply(current_edit, event->qmd);
	return 1;
}

static int attribute(const struct driver_ops *ops, CUdevice device, CUdevice_attribute what)
{
	int value = 0;

	return ops->device_attribute(&value, what, device) == CUDA_SUCCESS ? value : 0;
}

/* More than half of an SM's shared memory, so that two blocks never share one. */
static unsigned int one_block_shared_bytes(const struct driver_ops *ops, CUdevice device)
{
	int per_sm =
		attribute(ops, device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR);
	int optin = attribute(ops, device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
	int want = per_sm / 2 + 1024;

	return (unsigned int)(want < optin ? want : optin);
}

static CUresult function_open(struct probe_kernel *kernel, const char *name, CUfunction *ret_func)
{
	CUresult err = kernel->ops->module_function(ret_func, kernel->module, name);

	if (err)
		return err;
	(void)kernel->ops->func_set_attribute(
		*ret_func, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
	return kernel->ops->func_set_attribute(*ret_func,
					       CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
					       (int)kernel->shared_bytes);
}

int probe_kernel_open(const struct driver_ops *ops, CUdevice device, struct probe_kernel *kernel)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel->ops = ops;
	kernel->shared_bytes = one_block_shared_bytes(ops, device);
	kernel->nr_sms = (uint32_t)attribute(ops, device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	if (ops->module_load(&kernel->module, probe_ptx) ||
	    function_open(kernel, "lithos_probe_seen", &kernel->seen) ||
	    function_open(kernel, "lithos_probe_where", &kernel->where) ||
	    ops->stream_create(&kernel->stream, CU_STREAM_NON_BLOCKING))
		return -EIO;
	return 0;
}

void probe_kernel_close(struct probe_kernel *kernel)
{
	if (kernel->stream)
		(void)kernel->ops->stream_destroy(kernel->stream);
	if (kernel->module)
		(void)kernel->ops->module_unload(kernel->module);
	memset(kernel, 0, sizeof(*kernel));
}

int probe_launch(const struct probe_kernel *kernel, CUfunction func, CUdeviceptr out,
		 uint32_t blocks, struct probe_edit *edit)
{
	uint64_t ns = PROBE_BLOCK_NS;
	void *params[] = {&out, &ns};
	CUresult err;

	current_edit = edit;
	err = kernel->ops->launch(func, blocks, 1, 1, 32, 1, 1, kernel->shared_bytes,
				  kernel->stream, params, NULL);
	current_edit = NULL;
	return err ? -EIO : edit->error;
}

int probe_launch_clusters(const struct probe_kernel *kernel, CUdeviceptr out, uint32_t blocks,
			  uint32_t cluster, struct probe_edit *edit)
{
	uint64_t ns = PROBE_BLOCK_NS;
	void *params[] = {&out, &ns};
	CUlaunchAttribute attr = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
	CUlaunchConfig config = {
		.gridDimX = blocks,
		.gridDimY = 1,
		.gridDimZ = 1,
		.blockDimX = 32,
		.blockDimY = 1,
		.blockDimZ = 1,
		.sharedMemBytes = kernel->shared_bytes,
		.hStream = kernel->stream,
		.attrs = &attr,
		.numAttrs = 1,
	};
	int nr_clusters = 0;
	CUresult err;

	attr.value.clusterDim.x = cluster;
	attr.value.clusterDim.y = 1;
	attr.value.clusterDim.z = 1;
	/* A cluster that fits nowhere would hang; the driver knows whether one does. */
	if (kernel->ops->max_clusters(&nr_clusters, kernel->where, &config) || nr_clusters < 1)
		return -ENOTSUP;
	current_edit = edit;
	err = kernel->ops->launch_ex(&config, kernel->where, params, NULL);
	current_edit = NULL;
	return err ? -ENOTSUP : edit->error;
}
