/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The proof, on this machine, that a mask is obeyed and a record is written.
 *
 * A restricted grid of several waves must run on the allowed SMs only, and its record must arrive
 * in host memory with a plausible timestamp; twice, so that the timestamps can be compared. The
 * mask is the first GPC of the probed topology, or its first TPC when it has no GPC, so it always
 * names real TPCs.
 *
 * Run when a topology was just probed, and by `lithos doctor`. What it does not prove: that every
 * other kernel's descriptor has the same fields; the version byte is checked at every launch for
 * that.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "hw/driver.h"
#include "hw/probe/probe_kernel.h"
#include "hw/selftest.h"
#include "hw/topology.h"

#define TEST_BLOCKS 528u
#define PAGE_BYTES  4096u
#define PAYLOAD     0x11740500u

struct selftest_record {
	_Atomic uint32_t payload;
	uint32_t zero;
	_Atomic uint64_t timestamp_ns;
};

struct selftest {
	const struct driver_ops *ops;
	const struct topology *topo;
	struct probe_kernel kernel;
	struct tpcset allowed;
	int cc_major;
	CUdeviceptr out;
	struct selftest_record *record; /* two, registered */
	CUdeviceptr record_address;
	uint32_t where[TEST_BLOCKS];
};

static struct tpcset test_set(const struct topology *topo)
{
	struct tpcset set = {{0}};

	if (topo->nr_gpcs)
		return topo->gpc[0];
	for (uint32_t bit = 0; bit < TPCSET_BITS; bit++) {
		if (!tpcset_has(&topo->present, bit))
			continue;
		tpcset_add(&set, bit);
		break;
	}
	return set;
}

static int sm_is_allowed(const struct selftest *test, uint32_t sm)
{
	for (uint32_t bit = 0; bit < TPCSET_BITS; bit++) {
		uint32_t first = test->topo->sm_of_bit[bit];
		if (tpcset_has(&test->allowed, bit) && sm >= first &&
		    sm < first + test->topo->sms_per_tpc)
			return 1;
	}
	return 0;
}

static void judge_blocks(struct selftest *test, struct hw_selftest_report *report)
{
	uint8_t seen[1024] = {0};

	report->mask_obeyed = 1;
	report->sms_seen = 0;
	for (uint32_t i = 0; i < TEST_BLOCKS; i++) {
		uint32_t sm = test->where[i] % sizeof(seen);
		report->sms_seen += !seen[sm];
		seen[sm] = 1;
		if (!sm_is_allowed(test, sm))
			report->mask_obeyed = 0;
	}
}

static void judge_records(const struct selftest *test, struct hw_selftest_report *report)
{
	uint64_t first = atomic_load(&test->record[0].timestamp_ns);
	uint64_t second = atomic_load(&test->record[1].timestamp_ns);

	report->record_written = atomic_load(&test->record[0].payload) == PAYLOAD &&
				 atomic_load(&test->record[1].payload) == PAYLOAD + 1;
	report->record_timestamp_sane = first && second > first && second - first < 1000000000u;
}

static int launch_once(struct selftest *test, uint32_t i, struct hw_selftest_report *report)
{
	struct tpcset disable = tpcset_not(test->allowed);
	struct probe_edit edit = {
		.cc_major = test->cc_major,
		.disable = disable,
		.release_address = test->record_address + i * sizeof(struct selftest_record),
		.release_payload = PAYLOAD + i,
	};
	int err = probe_launch(&test->kernel, test->kernel.where, test->out, TEST_BLOCKS, &edit);

	report->hook_calls += edit.nr_calls;
	report->qmd_version = edit.qmd_version;
	if (err)
		return err;
	return test->ops->stream_synchronize(test->kernel.stream) ? -EIO : 0;
}

static int selftest_run(struct selftest *test, struct hw_selftest_report *report)
{
	for (uint32_t i = 0; i < 2; i++) {
		int err = launch_once(test, i, report);
		if (err)
			return err;
	}
	if (test->ops->memcpy_dtoh_async(test->where, test->out, sizeof(test->where),
					 test->kernel.stream) ||
	    test->ops->stream_synchronize(test->kernel.stream))
		return -EIO;
	judge_blocks(test, report);
	judge_records(test, report);
	return report->mask_obeyed && report->record_written && report->record_timestamp_sane
		       ? 0
		       : -EUCLEAN;
}

static int selftest_open(struct selftest *test, CUdevice device)
{
	int err = probe_kernel_open(test->ops, device, &test->kernel);

	if (err)
		return err;
	test->record =
		mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (test->record == MAP_FAILED) {
		test->record = NULL;
		return -ENOMEM;
	}
	if (test->ops->device_attribute(&test->cc_major,
					CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device) ||
	    test->ops->host_register(test->record, PAGE_BYTES, CU_MEMHOSTREGISTER_DEVICEMAP) ||
	    test->ops->host_device_pointer(&test->record_address, test->record, 0) ||
	    test->ops->mem_alloc(&test->out, sizeof(test->where)))
		return -EIO;
	return 0;
}

static void selftest_close(struct selftest *test)
{
	if (test->out)
		(void)test->ops->mem_free(test->out);
	if (test->record_address)
		(void)test->ops->host_unregister(test->record);
	if (test->record)
		(void)munmap(test->record, PAGE_BYTES);
	probe_kernel_close(&test->kernel);
}

int hw_selftest(const struct driver_ops *ops, CUdevice device, const struct topology *topo,
		struct hw_selftest_report *ret_report)
{
	struct selftest test = {.ops = ops, .topo = topo, .allowed = test_set(topo)};
	int err;

	memset(ret_report, 0, sizeof(*ret_report));
	ret_report->allowed_sms = tpcset_count(&test.allowed) * topo->sms_per_tpc;
	err = selftest_open(&test, device);
	if (!err)
		err = selftest_run(&test, ret_report);
	selftest_close(&test);
	return err;
}
