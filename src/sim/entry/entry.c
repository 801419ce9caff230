/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program asks before anything else: initialisation, versions, error texts, entry points.
 *
 * cuGetProcAddress answers from the table of exports (exports.def): of the rows with the asked base
 * name the newest one that the asked version knows, its per-thread-stream form if asked for and
 * there is one. Names are base names; the real driver, too, does not know "cuMemAlloc_v2" here.
 */
#include "sim/driver/state.h"

#include <string.h>
#include <time.h>

#include "sim/entry/exports.h"
#include "sim/entry/tools.h"
#include "sim/entry/visible.h"

#define DRIVER_VERSION 13000

struct error_row {
	CUresult error;
	const char *name;
	const char *text;
};

/* clang-format off */
static const struct error_row error_rows[] = {
#define ERROR(error, text) {error, #error, text},
#include "sim/entry/errors.def"
#undef ERROR
};
/* clang-format on */

static const struct error_row *error_row_of(CUresult error)
{
	for (size_t i = 0; i < sizeof(error_rows) / sizeof(error_rows[0]); i++) {
		if (error_rows[i].error == error)
			return &error_rows[i];
	}
	return NULL;
}

CUresult cuGetErrorName(CUresult error, const char **pStr)
{
	const struct error_row *row = error_row_of(error);

	if (!pStr)
		return CUDA_ERROR_INVALID_VALUE;
	*pStr = row ? row->name : NULL;
	return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuGetErrorString(CUresult error, const char **pStr)
{
	const struct error_row *row = error_row_of(error);

	if (!pStr)
		return CUDA_ERROR_INVALID_VALUE;
	*pStr = row ? row->text : NULL;
	return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static void slow_down(uint32_t ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	if (ms)
		(void)nanosleep(&pause, NULL);
}

CUresult cuInit(unsigned int Flags)
{
	if (Flags)
		return CUDA_ERROR_INVALID_VALUE;
	if (__atomic_load_n(&sim.forked, __ATOMIC_RELAXED))
		return CUDA_ERROR_NOT_INITIALIZED;
	if (__atomic_load_n(&sim.lost, __ATOMIC_RELAXED))
		return (CUresult)__atomic_load_n(&sim.lost, __ATOMIC_RELAXED);
	(void)pthread_mutex_lock(&sim.lock);
	if (!sim.initialised) {
		CUresult r;

		options_load();
		slow_down(sim.faults.slow_init_ms);
		r = (CUresult)gpu_connect_locked();
		if (!r)
			r = visible_read_locked();
		if (r)
			return leave(r);
		/* Pairs with the acquire load in enter(): the options are read by then. */
		__atomic_store_n(&sim.initialised, 1, __ATOMIC_RELEASE);
	}
	return leave(CUDA_SUCCESS);
}

CUresult cuDriverGetVersion(int *driverVersion)
{
	if (!driverVersion)
		return CUDA_ERROR_INVALID_VALUE;
	*driverVersion = DRIVER_VERSION;
	return CUDA_SUCCESS;
}

/* The tools subscribe before cuInit, so this call must not need it; but it needs the options. */
CUresult cuGetExportTable(const void **ppExportTable, const CUuuid *pExportTableId)
{
	if (!ppExportTable || !pExportTableId)
		return CUDA_ERROR_INVALID_VALUE;
	options_load();
	return tools_table_of(ppExportTable, pExportTableId);
}

static int is_hidden(const char *symbol)
{
	options_load();
	return sim.faults.no_symbol[0] && !strcmp(symbol, sim.faults.no_symbol);
}

CUresult cuGetProcAddress_v2(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags,
			     CUdriverProcAddressQueryResult *symbolStatus)
{
	enum export_status status = EXPORT_UNKNOWN;
	const int per_thread = (flags & CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM) != 0;

	if (!symbol || !pfn)
		return CUDA_ERROR_INVALID_VALUE;
	*pfn = is_hidden(symbol) ? NULL : exports_find(symbol, cudaVersion, per_thread, &status);
	if (symbolStatus) {
		*symbolStatus = *pfn ? CU_GET_PROC_ADDRESS_SUCCESS
				: status == EXPORT_TOO_NEW
					? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
					: CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
	}
	/* cudart asks for the empty name and expects no error. */
	return *pfn || !*symbol ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *symbol, void **pfn, int cudaVersion, cuuint64_t flags)
{
	return cuGetProcAddress_v2(symbol, pfn, cudaVersion, flags, NULL);
}

CUresult cuProfilerStart(void)
{
	return CUDA_SUCCESS;
}

CUresult cuProfilerStop(void)
{
	return CUDA_SUCCESS;
}
