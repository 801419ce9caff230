/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology probe.
 *
 * Problem: which mask bit is which TPC differs from chip to chip, and a mask that leaves no TPC
 * hangs the GPU. Idea: never enable what might not exist. Each of the 128 bits is disabled alone, a
 * grid of three one-block-per-SM waves records where its blocks ran, and the SMs that are missing
 * compared with an unmasked grid are the bit's TPC. At least all TPCs but one are always there, so
 * the probe cannot hang, whatever the chip. Then clusters of 16, 8, 6 and 4 blocks are launched and
 * the SMs of each cluster noted: they share a GPC (several sizes, so that no TPC of a GPC is always
 * left out). topo_build.c turns both into a topology and rejects contradictions, which is also the
 * proof that the hardware obeys the mask at all.
 *
 * Cost on an H200: 1.6 ms for the 129 grids, plus the compilation of the kernel. What it does
 * badly: an SM that another process keeps busy for the whole launch looks disabled; the result is
 * then rejected and the probe repeated, and fails after three tries.
 *
 * Tested by tests/integration/topo_probe.c on simulated chips, and on hardware by `lithos doctor`.
 */
#include "hw/topo_probe.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "hw/driver.h"
#include "hw/probe/probe_kernel.h"
#include "hw/topo_build.h"
#include "hw/topology.h"

#define NR_TRIES       3
#define WAVES          3u
#define ROW_WORDS      TOPOLOGY_MAX_SMS
#define NR_ROWS        (TPCSET_BITS + 1u) /* one a bit, one with nothing disabled */
#define CLUSTER_BLOCKS 2048u
#define MAX_EDGES      ((size_t)4 * CLUSTER_BLOCKS)

/* Everything one try needs; about 600 KiB, on the heap. */
struct probe {
	struct probe_kernel kernel;
	const struct driver_ops *ops;
	int cc_major;
	CUdeviceptr memory; /* NR_ROWS rows of ROW_WORDS words, then CLUSTER_BLOCKS words */
	uint32_t row[NR_ROWS][ROW_WORDS];
	uint32_t where[CLUSTER_BLOCKS];
	struct topology_obs obs;
	struct topology_edge edge[MAX_EDGES];
	size_t nr_edges;
};

static CUdeviceptr row_address(const struct probe *probe, uint32_t row)
{
	return probe->memory + (uint64_t)row * sizeof(probe->row[0]);
}

static int launch_row(struct probe *probe, uint32_t row)
{
	struct probe_edit edit = {.cc_major = probe->cc_major};
	int err;

	if (row < TPCSET_BITS)
		tpcset_add(&edit.disable, row);
	err = probe_launch(&probe->kernel, probe->kernel.seen, row_address(probe, row),
			   probe->kernel.nr_sms * WAVES, &edit);
	if (err)
		return err;
	return edit.nr_calls ? 0 : -ENOSYS;
}

static int run_rows(struct probe *probe)
{
	const struct driver_ops *ops = probe->ops;
	CUstream stream = probe->kernel.stream;

	if (ops->memset_d32_async(probe->memory, 0, sizeof(probe->row) / 4, stream))
		return -EIO;
	for (uint32_t row = 0; row < NR_ROWS; row++) {
		int err = launch_row(probe, row);
		if (err)
			return err;
	}
	if (ops->memcpy_dtoh_async(probe->row, probe->memory, sizeof(probe->row), stream) ||
	    ops->stream_synchronize(stream))
		return -EIO;
	return 0;
}

static void observe_rows(struct probe *probe)
{
	memset(&probe->obs.seen, 0, sizeof(probe->obs.seen));
	memset(probe->obs.vanished, 0, sizeof(probe->obs.vanished));
	for (uint32_t sm = 0; sm < ROW_WORDS; sm++) {
		if (!probe->row[TPCSET_BITS][sm])
			continue;
		smset_add(&probe->obs.seen, sm);
		for (uint32_t bit = 0; bit < TPCSET_BITS; bit++) {
			if (!probe->row[bit][sm])
				smset_add(&probe->obs.vanished[bit], sm);
		}
	}
}

static void observe_clusters(struct probe *probe, uint32_t blocks, uint32_t cluster)
{
	for (uint32_t i = 0; i < blocks && probe->nr_edges < MAX_EDGES; i++) {
		if (i % cluster == 0)
			continue;
		probe->edge[probe->nr_edges++] = (struct topology_edge){
			.a = (uint16_t)probe->where[i - i % cluster],
			.b = (uint16_t)probe->where[i],
		};
	}
}

/* Chips and drivers without clusters of this size say so; that is no error. */
static int run_clusters(struct probe *probe, uint32_t cluster)
{
	struct probe_edit edit = {.cc_major = probe->cc_major};
	CUdeviceptr out = row_address(probe, NR_ROWS);
	uint32_t blocks = probe->kernel.nr_sms * 8;
	int err;

	if (blocks > CLUSTER_BLOCKS)
		blocks = CLUSTER_BLOCKS;
	blocks -= blocks % cluster;
	err = probe_launch_clusters(&probe->kernel, out, blocks, cluster, &edit);
	if (err)
		return err == -ENOTSUP && !edit.error ? 0 : err;
	if (probe->ops->memcpy_dtoh_async(probe->where, out, blocks * sizeof(uint32_t),
					  probe->kernel.stream) ||
	    probe->ops->stream_synchronize(probe->kernel.stream))
		return -EIO;
	observe_clusters(probe, blocks, cluster);
	return 0;
}

static int probe_try(struct probe *probe, struct topology *ret_topo)
{
	static const uint32_t cluster_sizes[] = {16, 8, 6, 4};
	int err = run_rows(probe);

	if (err)
		return err;
	observe_rows(probe);
	probe->nr_edges = 0;
	for (size_t i = 0; i < sizeof(cluster_sizes) / sizeof(cluster_sizes[0]); i++) {
		err = run_clusters(probe, cluster_sizes[i]);
		if (err)
			return err;
	}
	probe->obs.edges = probe->edge;
	probe->obs.nr_edges = probe->nr_edges;
	return topology_build(&probe->obs, ret_topo);
}

static int probe_describe(struct probe *probe, CUdevice device)
{
	int version = 0;
	CUuuid uuid;

	if (probe->ops->device_uuid(&uuid, device) || probe->ops->driver_version(&version) ||
	    probe->ops->device_attribute(&probe->cc_major,
					 CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device))
		return -EIO;
	memcpy(probe->obs.uuid, uuid.bytes, sizeof(probe->obs.uuid));
	probe->obs.driver_version = (uint32_t)version;
	probe->obs.nr_sms = probe->kernel.nr_sms;
	return probe->kernel.nr_sms <= TOPOLOGY_MAX_SMS ? 0 : -EUCLEAN;
}

static int probe_run(struct probe *probe, CUdevice device, struct topology *ret_topo)
{
	size_t bytes = sizeof(probe->row) + sizeof(probe->where);
	int err = probe_kernel_open(probe->ops, device, &probe->kernel);

	if (err)
		return err;
	err = probe_describe(probe, device);
	if (err)
		return err;
	if (probe->ops->mem_alloc(&probe->memory, bytes))
		return -ENOMEM;
	err = -EUCLEAN;
	for (int i = 0; i < NR_TRIES && err == -EUCLEAN; i++)
		err = probe_try(probe, ret_topo);
	return err;
}

int topo_probe(const struct driver_ops *ops, CUdevice device, struct topology *ret_topo)
{
	struct probe *probe = calloc(1, sizeof(*probe));
	int err;

	if (!probe)
		return -ENOMEM;
	probe->ops = ops;
	err = probe_run(probe, device, ret_topo);
	if (probe->memory)
		(void)ops->mem_free(probe->memory);
	probe_kernel_close(&probe->kernel);
	free(probe);
	return err;
}
