/* SPDX-License-Identifier: Apache-2.0 */
/* Which GPUs this process sees, and how they are called. */
#ifndef LITHOS_SIM_VISIBLE_H
#define LITHOS_SIM_VISIBLE_H

#include "sim/driver/state.h"

/* Fills sim.nr_devices and sim.gpu_of from CUDA_VISIBLE_DEVICES. CUDA_ERROR_NO_DEVICE: none. */
CUresult visible_read_locked(void);

/* A constant per chip and number, so that what is cached by UUID is found again. */
void gpu_uuid(unsigned int gpu, CUuuid *ret_uuid);

#endif
