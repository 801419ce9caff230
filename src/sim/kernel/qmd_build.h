/* SPDX-License-Identifier: Apache-2.0 */
/* Writes launch descriptors as the real driver does (V04_00). Pure; any thread. */
#ifndef LITHOS_SIM_QMD_BUILD_H
#define LITHOS_SIM_QMD_BUILD_H

#include <stdint.h>

#include "hw/occupancy.h"

#define QMD_BUILD_BYTES   384
#define QMD_BUILD_VERSION 0x40

struct qmd_spec {
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t cluster[3]; /* 1,1,1: none */
	int cooperative;
	int overlaps_previous; /* programmatic stream serialization */
	int in_graph;
	uint32_t registers;
	uint32_t shared_bytes; /* static and dynamic, without the system's reserve */
	uint64_t entry;
	uint32_t correlation;
	uint8_t version; /* QMD_BUILD_VERSION unless a fault asks for another */
};

void qmd_build(const struct qmd_spec *spec, const struct sm_limits *limits,
	       uint32_t ret_qmd[QMD_BUILD_BYTES / 4]);

#endif
