/* SPDX-License-Identifier: Apache-2.0 */
/* The tools hook of the simulated driver: its table, and the call for a descriptor about to be
 * sent. */
#ifndef LITHOS_SIM_TOOLS_H
#define LITHOS_SIM_TOOLS_H

#include "sim/driver/api.h"

/* CUDA_ERROR_NOT_FOUND for any other UUID. */
CUresult tools_table_of(const void **ret_table, const CUuuid *uuid);

/* Calls the subscriber, if there is one, in this thread. The lock must not be held. */
void tools_announce(CUcontext ctx, CUmodule module, CUfunction func, uint32_t *qmd);

#endif
