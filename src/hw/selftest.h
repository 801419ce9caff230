/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proving that masks and completion records work on a GPU (hw/topo_probe.h measures its topology).
 *
 * Runs in the current context, with the launch hook subscribed by the caller, whose callback must
 * call probe_hook_edit() first.
 */
#ifndef LITHOS_HW_SELFTEST_H
#define LITHOS_HW_SELFTEST_H

#include <stdint.h>

#include <cuda.h>

struct driver_ops;
struct topology;

struct hw_selftest_report {
	uint32_t hook_calls;            /* events seen for the two launches of the test */
	uint32_t qmd_version;           /* version byte; 0 when the hook was not called */
	uint32_t allowed_sms;           /* what the mask of the test left */
	uint32_t sms_seen;              /* SMs its blocks ran on */
	uint32_t mask_obeyed;           /* no block ran elsewhere */
	uint32_t record_written;        /* payload arrived in host memory */
	uint32_t record_timestamp_sane; /* not zero, rising, and by less than a second */
};

/*
 * Launches twice with a mask and a record. 0 when everything held, -EUCLEAN when something did not
 * (see the report, which is always filled), -EIO, -ENOMEM.
 */
int hw_selftest(const struct driver_ops *ops, CUdevice device, const struct topology *topo,
		struct hw_selftest_report *ret_report);

#endif
