/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes a program by the driver calls of `api`, each host thread of the program in a thread.
 */
#ifndef LITHOS_TESTS_ORDER_EXECUTE_H
#define LITHOS_TESTS_ORDER_EXECUTE_H

#include "api.h"
#include "program.h"

/* What all programs of a run share. */
struct machine {
	CUdevice device;
	CUcontext context;
	CUfunction mix, many;
	CUdeviceptr region[NR_DEVICE];
	uint32_t *pinned[NR_PINNED];
	uint32_t *gate; /* MAX_GATES words of pinned memory */
};

/* 0, or 77 when there is no device. Ends the process on any other error. */
int machine_open(struct machine *machine);
void machine_close(struct machine *machine);

/*
 * Returns the number of wrong answers of queries and waits: success while a host function in front
 * had not run, or no success where all is known to be complete. A failing call is reported with its
 * step and ends the process. `loud`: the first wrong answer is reported.
 */
uint32_t program_execute(const struct machine *machine, const struct program *program,
			 struct outcome *ret_outcome, int loud);

#endif
