/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine code of the simulated kernels.
 *
 * Problem: what a kernel does is C here, but programs read a kernel's instructions from the GPU to
 * find out whether its blocks wait for one another (hw/code/gang.h), so something true must lie at
 * its code address. Idea: one of two kernels for sm_90, as a compiler makes them: one that ends at
 * once, and one that reads a word until it is not 0. Only what a reader may conclude from them is
 * meant; nothing runs them.
 *
 * The code of all modules lies in one reserved range, in the order of loading, each kernel's padded
 * with NOPs; a code address is never used again, and behind the last kernel there is room for a
 * reader that does not know where code ends. When the range is full, further kernels get addresses
 * with nothing behind them.
 *
 * Tested by tests/unit/sim_driver_preludes.c.
 */
#include "sim/kernel/text.h"

#include <string.h>
#include <sys/mman.h>

#define KERNEL_BYTES 0x200u
#define RANGE_BYTES  (256u << 20)
#define BEHIND_BYTES (8u << 20) /* longer than any reader reads */
#define NO_CODE      0x7f0000000000ull

struct instruction {
	uint64_t lo, hi;
};

static const struct instruction nop = {0x0000000000007918, 0x000fc00000000000};

static const struct instruction ends_at_once[] = {
	{0x00000a00ff017b82, 0x000fe20000000800}, /* LDC R1, c[0x0][0x28] */
	{0x000000000000794d, 0x000fea0003800000}, /* EXIT */
	{0xfffffffc00fc7947, 0x000fc0000383ffff}, /* BRA to itself */
};

static const struct instruction waits_for_word[] = {
	{0x00000a00ff017b82, 0x000e300000000800}, /* LDC R1, c[0x0][0x28] */
	{0x00008400ff027b82, 0x000e620000000a00}, /* LDC.64 R2, c[0x0][0x210] */
	{0x0000820000047ab9, 0x000fca0000000a00}, /* ULDC.64 UR4, c[0x0][0x208] */
	{0x0000000402007981, 0x002ea4000c1f5900}, /* LDG.E.STRONG.SYS R0, [R2] */
	{0x000000ff0000720c, 0x004fda0003f05070}, /* ISETP.NE P0, R0, 0 */
	{0xfffffffc00f48947, 0x000fea000383ffff}, /* @!P0 BRA to the load */
	{0x000000000000794d, 0x000fea0003800000}, /* EXIT */
	{0xfffffffc00fc7947, 0x000fc0000383ffff}, /* BRA to itself */
};

static void write_kernel(void *at, int waits)
{
	const struct instruction *code = waits ? waits_for_word : ends_at_once;
	size_t bytes = waits ? sizeof(waits_for_word) : sizeof(ends_at_once);

	memcpy(at, code, bytes);
	for (; bytes < KERNEL_BYTES; bytes += sizeof(nop))
		memcpy((char *)at + bytes, &nop, sizeof(nop));
}

uint64_t text_new_locked(int waits)
{
	static char *range;
	static uint64_t nr_kernels;
	uint64_t offset = nr_kernels++ * KERNEL_BYTES;

	if (!range)
		range = mmap(NULL, RANGE_BYTES + BEHIND_BYTES, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (range == MAP_FAILED || offset >= RANGE_BYTES)
		return NO_CODE + offset;
	write_kernel(range + offset, waits);
	return (uintptr_t)range + offset;
}
