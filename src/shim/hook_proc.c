/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How programs get at driver functions without the dynamic linker.
 *
 * cuGetProcAddress is the driver's to answer: it alone knows which version of a name a program built for
 * CUDA x.y wants. What it answers is then exchanged for our entry of the same symbol (slots.c). The
 * export tables of tools are the driver's own; only the one that announces a profiler is noted.
 *
 * Tested by tests/programs/procaddr.c.
 */
#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "hw/tools_hook.h"
#include "shim/slots.h"
#include "shim/thread.h"

CUresult hook_cuGetProcAddress(const char *symbol, void **function, int version, cuuint64_t flags)
{
	CUresult result = real_cuGetProcAddress(symbol, function, version, flags);

	if (result == CUDA_SUCCESS && function && *function)
		*function = slots_entry_of(*function);
	return result;
}

CUresult hook_cuGetProcAddress_v2(const char *symbol, void **function, int version, cuuint64_t flags,
				  CUdriverProcAddressQueryResult *status)
{
	CUresult result = real_cuGetProcAddress_v2(symbol, function, version, flags, status);

	if (result == CUDA_SUCCESS && function && *function)
		*function = slots_entry_of(*function);
	return result;
}

/* First table CUPTI asks for when it attaches (measured with CUPTI 13.0 and driver 580.159.04). */
static const unsigned char profiler_uuid[] = {0xd7, 0xbd, 0x8a, 0xf8};

CUresult hook_cuGetExportTable(const void **table, const CUuuid *uuid)
{
	static struct log_site site;

	if (uuid && tools_hook_is_subscribed() &&
	    !memcmp(uuid->bytes, profiler_uuid, sizeof(profiler_uuid))) {
		thread_count(STATS_profiler_seen);
		log_line(&site, LOG_WARN,
			 "msg=\"a profiler cannot attach beside the launch hook: use lithos run --profile\"");
	}
	return real_cuGetExportTable(table, uuid);
}
