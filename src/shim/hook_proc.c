/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How programs get at driver functions without the dynamic linker.
 *
 * cuGetProcAddress is the driver's to answer: it alone knows which version of a name a program
 * built for CUDA x.y wants. What it answers is then exchanged for our entry of the same symbol
 * (slots.c). The export tables of tools are the driver's own; only the one that announces a
 * profiler is noted.
 *
 * Tested by tests/programs/procaddr.c.
 */
#include <stddef.h>

#include "shim/slots.h"
#include "shim/thread.h"

CUresult hook_cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
	CUresult result = real_cuGetProcAddress(symbol, function, version, flags);

	if (result == CUDA_SUCCESS && function && *function)
		*function = slots_entry_of(*function);
	return result;
}

CUresult hook_cuGetProcAddress_v2(const char *symbol, void **function, int version,
				  cuuint64_t flags, CUdriverProcAddressQueryResult *status)
{
	CUresult result = real_cuGetProcAddress_v2(symbol, function, version, flags, status);

	if (result == CUDA_SUCCESS && function && *function)
		*function = slots_entry_of(*function);
	return result;
}
