/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chips the simulated GPU can be: which mask bits name a TPC, which SMs and GPC they are,
 * limits.
 *
 * Constant data after chip_of(); safe to read from any thread.
 */
#ifndef LITHOS_SIM_CHIP_H
#define LITHOS_SIM_CHIP_H

#include <stdint.h>

#include <lithos/tpcset.h>

#include "hw/occupancy.h"

#define CHIP_MAX_SMS         160
#define CHIP_MAX_GPCS        16
#define CHIP_MAX_SMS_PER_GPC 18
#define CHIP_NO_TPC          0xffffu

struct sim_chip {
	const char *name;        /* as LITHOS_SIM_GPU names it */
	const char *device_name; /* as cuDeviceGetName tells it */
	uint64_t memory_bytes;
	uint32_t clock_khz;
	uint32_t memory_clock_khz;
	uint32_t nr_sms;
	uint32_t nr_tpcs;
	uint32_t nr_gpcs; /* left-over TPCs are a GPC each */
	struct tpcset present;
	uint16_t sm_of_bit[TPCSET_BITS]; /* lowest SM of the TPC; CHIP_NO_TPC where a bit names none
					  */
	uint16_t bit_of_sm[CHIP_MAX_SMS];
	uint8_t gpc_of_sm[CHIP_MAX_SMS];
	struct sm_limits limits;
};

/* 0, or -ENOENT for a name that is none of h100, h200, small. */
int chip_of(const char *name, struct sim_chip *ret_chip);

#endif
