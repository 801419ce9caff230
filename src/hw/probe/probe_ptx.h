/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernels of the probe and the self-test, as PTX text: any driver compiles it for its own chip.
 * lithos_probe_seen(u64 seen, u64 ns): thread 0 stores 1 to seen[%smid], then the block lasts ns.
 * lithos_probe_where(u64 sm, u64 ns): thread 0 stores %smid to sm[block], then the block lasts ns.
 */
#ifndef LITHOS_HW_PROBE_PTX_H
#define LITHOS_HW_PROBE_PTX_H

extern const char probe_ptx[];

#endif
