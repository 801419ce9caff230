/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CUDA_VISIBLE_DEVICES, as CUDA reads it: numbers of GPUs or beginnings of their names
 * ("GPU-6c69"), with commas between; the first that names none, or one again, ends the list. Unset
 * or empty: all.
 *
 * Tested by tests/unit/sim_driver_visible.c.
 */
#include "sim/entry/visible.h"
#include "base/uuid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"

void gpu_uuid(unsigned int gpu, CUuuid *ret_uuid)
{
	memset(ret_uuid->bytes, 0, sizeof(ret_uuid->bytes));
	(void)snprintf(ret_uuid->bytes, sizeof(ret_uuid->bytes), "lithosim-%s", sim.chip.name);
	/* At the end, and in the part of it that people are shown. */
	ret_uuid->bytes[sizeof(ret_uuid->bytes) - 1] = (char)gpu;
	ret_uuid->bytes[3] = (char)(ret_uuid->bytes[3] + (char)gpu);
}

/* The GPU that the first `length` characters name; sim.nr_gpus when they name none. */
static unsigned int gpu_named(const char *name, size_t length)
{
	char text[UUID_TEXT_BYTES];
	CUuuid uuid;
	unsigned int gpu = 0;
	char *end;

	if (length && *name >= '0' && *name <= '9') {
		unsigned long number = strtoul(name, &end, 10);

		return end == name + length && number < sim.nr_gpus ? (unsigned int)number
								    : sim.nr_gpus;
	}
	for (; gpu < sim.nr_gpus; gpu++) {
		gpu_uuid(gpu, &uuid);
		(void)uuid_text((const uint8_t *)uuid.bytes, text);
		if (length > strlen("GPU-") && !strncasecmp(name, text, length))
			break;
	}
	return gpu;
}

static int is_listed(unsigned int gpu)
{
	for (unsigned int i = 0; i < sim.nr_devices; i++) {
		if (sim.gpu_of[i] == gpu)
			return 1;
	}
	return 0;
}

CUresult visible_read_locked(void)
{
	const char *list = options_environment("CUDA_VISIBLE_DEVICES");

	sim.nr_devices = 0;
	while (!list && sim.nr_devices < sim.nr_gpus) {
		sim.gpu_of[sim.nr_devices] = sim.nr_devices;
		sim.nr_devices++;
	}
	while (list) {
		size_t length = strcspn(list, ",");
		unsigned int gpu = gpu_named(list, length);

		if (gpu == sim.nr_gpus || is_listed(gpu))
			break;
		sim.gpu_of[sim.nr_devices++] = gpu;
		list = list[length] ? list + length + 1 : NULL;
	}
	return sim.nr_devices ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}
