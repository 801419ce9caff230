/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuGetProcAddress gives, for every name the CUDA runtime asks for, a symbol the library exports.
 *
 * Both generations of the call are asked for each name with the version the runtime names and with
 * some others, and with both kinds of default stream. An answer must be the address dlsym gives for
 * one spelling of the name (plain, _v2 to _v4, each also _ptsz or _ptds). With the legacy stream it
 * must not be a per-thread spelling; with the per-thread stream it must be one where the library
 * has one (from 7.0 on, which brought them). Names that do not exist are not found. --complete: a
 * driver that knows them all, as a real one of 13.0 does; the simulated driver does not. The line
 * ends with a digest of all spellings chosen, which must be the same natively and under lithos;
 * --list prints them.
 */
#include "prog.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct row {
	const char *name;
	int version;
};

static const struct row rows[] = {
#define PROC(name, version) {name, version},
#include "procaddr.def"
#undef PROC
};

static const char *const bases[] = {"", "_v2", "_v3", "_v4"};
static const char *const streams[] = {"", "_ptsz", "_ptds"};
static const cuuint64_t stream_flags[] = {CU_GET_PROC_ADDRESS_DEFAULT,
					  CU_GET_PROC_ADDRESS_LEGACY_STREAM,
					  CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM};
static const int more_versions[] = {11030, 12000, 12080, 13000};

typedef CUresult first_generation(const char *symbol, void **ret_function, int version,
				  cuuint64_t flags);

static struct {
	first_generation *first;
	uint64_t digest;
	unsigned int nr_asked, nr_found;
	bool list;
	bool complete;
} state = {.digest = 0xcbf29ce484222325u};

struct spelling {
	char symbol[96];
	unsigned int base;
	unsigned int stream;
};

/* Finds the exported spelling of a name that lies at an address. */
static bool spell(const char *name, const void *address, struct spelling *ret)
{
	for (ret->base = 0; ret->base < 4; ret->base++) {
		for (ret->stream = 0; ret->stream < 3; ret->stream++) {
			snprintf(ret->symbol, sizeof(ret->symbol), "%s%s%s", name, bases[ret->base],
				 streams[ret->stream]);
			if (dlsym(cu_handle, ret->symbol) == address)
				return true;
		}
	}
	return false;
}

static bool library_has_per_thread(const char *name, unsigned int base)
{
	char symbol[96];
	for (unsigned int stream = 1; stream < 3; stream++) {
		snprintf(symbol, sizeof(symbol), "%s%s%s", name, bases[base], streams[stream]);
		if (dlsym(cu_handle, symbol))
			return true;
	}
	return false;
}

static void digest(const char *text)
{
	for (; *text; text++)
		state.digest = (state.digest ^ (unsigned char)*text) * 0x100000001b3u;
}

static void check_spelling(const char *name, const void *address, int version, cuuint64_t flags)
{
	struct spelling spelling;
	if (!CHECK(spell(name, address, &spelling))) {
		fprintf(stderr, "%s: %p is no exported spelling\n", name, address);
		return;
	}
	digest(spelling.symbol);
	bool per_thread = flags == CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
	bool has = library_has_per_thread(name, spelling.base);
	/* Per-thread streams came with CUDA 7.0; a program older than that may get either. */
	bool either = per_thread && has && version < 7000;
	if (!CHECK(either || (per_thread && has) == (spelling.stream != 0)))
		fprintf(stderr, "%s with flags %llu gave %s\n", name, (unsigned long long)flags,
			spelling.symbol);
	if (state.list)
		printf("%s version=%d flags=%llu %s\n", name, version, (unsigned long long)flags,
		       spelling.symbol);
}

/* Both generations must agree. `must_be_there`: the version is the one the runtime asks for. */
static void ask(const char *name, int version, cuuint64_t flags, bool must_be_there)
{
	void *first = NULL, *second = NULL;
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
	CUresult first_result = state.first(name, &first, version, flags);
	CUresult second_result = cu.GetProcAddress(name, &second, version, flags, &status);
	state.nr_asked++;
	if (!CHECK(first == second))
		fprintf(stderr, "%s version %d: %p (%d) and %p (%d)\n", name, version, first,
			first_result, second, second_result);
	if (!second) {
		if (!CHECK(!must_be_there))
			fprintf(stderr, "%s version %d flags %llu: not found\n", name, version,
				(unsigned long long)flags);
		CHECK(second_result != CUDA_SUCCESS || status != CU_GET_PROC_ADDRESS_SUCCESS);
		digest("-");
		return;
	}
	state.nr_found++;
	CHECK(first_result == CUDA_SUCCESS && second_result == CUDA_SUCCESS);
	CHECK(status == CU_GET_PROC_ADDRESS_SUCCESS);
	check_spelling(name, second, version, flags);
}

static void ask_row(const struct row *row, int driver_version)
{
	for (unsigned int f = 0; f < 3; f++) {
		ask(row->name, row->version, stream_flags[f],
		    state.complete && row->version <= driver_version);
		for (unsigned int v = 0; v < sizeof(more_versions) / sizeof(more_versions[0]); v++)
			ask(row->name, more_versions[v], stream_flags[f], false);
	}
}

/* The codes differ between drivers; what every one has in common is that there is no address. */
static void ask_unknown(const char *name)
{
	void *first = &state, *second = &state;
	CUdriverProcAddressQueryResult status = CU_GET_PROC_ADDRESS_SUCCESS;
	CUresult first_result = state.first(name, &first, 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM);
	CUresult second_result =
		cu.GetProcAddress(name, &second, 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM, &status);
	CHECK(first_result != CUDA_SUCCESS || first == NULL);
	CHECK(second_result != CUDA_SUCCESS || second == NULL);
	CHECK(status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	printf(" unknown_v1=%d unknown_v2=%d status=%d", first_result, second_result, (int)status);
}

/* The answers are functions that work, also the answer for cuGetProcAddress itself. */
static void call_answers(int driver_version)
{
	void *address = NULL;
	int version = 0;
	CUresult (*get_version)(int *ret_version);
	__typeof__(cuGetProcAddress) *again;
	MUST(cu.GetProcAddress("cuGetProcAddress", &address, 12000, 0, NULL));
	memcpy(&again, &address, sizeof(again));
	MUST(again("cuDriverGetVersion", &address, 12000, 0, NULL));
	memcpy(&get_version, &address, sizeof(get_version));
	MUST(get_version(&version));
	CHECK(version == driver_version);
}

int main(int argc, char **argv)
{
	struct prog prog;
	int driver_version = 0;
	prog_open(&prog);
	state.list = prog_flag(argc, argv, "--list");
	state.complete = prog_flag(argc, argv, "--complete");
	MUST(cu.DriverGetVersion(&driver_version));
	state.first = (first_generation *)dlsym(cu_handle, "cuGetProcAddress");
	CHECK(state.first != NULL);
	if (!state.first)
		return PROG_FAIL;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		ask_row(&rows[i], driver_version);
	CHECK(state.nr_found > 0);
	call_answers(driver_version);
	printf("program=procaddr");
	ask_unknown("cuNoSuchFunction");
	printf(" asked=%u found=%u digest=%016llx\n", state.nr_asked, state.nr_found,
	       (unsigned long long)state.digest);
	prog_close(&prog);
	return prog_result();
}
