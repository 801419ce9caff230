/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every symbol of the driver has an answer to "what if operations are held": a row in calls.def, or
 * a rule here that says why it may go to the driver at once. A new symbol of api/cuda.def with
 * neither fails this test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const symbols[] = {
#define PASS(name) #name,
#define HOOK(name) #name,
#include "../../api/cuda.def"
#undef PASS
#undef HOOK
};

struct row {
	const char *name, *how, *stream, *other;
};

static const struct row rows[] = {
#define TYPED(name)                    {#name, "TYPED", "", ""},
#define CALL(name, how, stream, other) {#name, #how, #stream, #other},
#include "shim/queue/calls.def"
#undef TYPED
#undef CALL
};

/* A prefix, or a whole name with a full stop behind it, and why nothing held concerns it. */
static const struct {
	const char *name, *why;
} safe[] = {
	{"cuArray3DCreate", "new memory"},
	{"cuArray3DGetDescriptor", "constant"},
	{"cuArrayCreate", "new memory"},
	{"cuArrayGet", "constant"},
	{"cuCheckpointOperationComplete.", "other processes"},
	{"cuCheckpointProcess", "other processes"},
	{"cuCoredump", "not about work"},
	{"cuCtxAttach.", "a count"},
	{"cuCtxCreate", "a new context"},
	{"cuCtxEnablePeerAccess.", "adds an access that nothing held needs"},
	{"cuCtxFromGreenCtx.", "constant"},
	{"cuCtxGet", "state that no held call changes"},
	{"cuCtxPopCurrent", "the thread's; held calls bring their own"},
	{"cuCtxPushCurrent", "the thread's; held calls bring their own"},
	{"cuCtxSetCurrent.", "the thread's; held calls bring their own"},
	{"cuCtxSetFlags.", "how host threads wait"},
	{"cuDevResource", "constant"},
	{"cuDevSm", "constant"},
	{"cuDevice", "about devices; those that end contexts have rows"},
	{"cuDriverGetVersion.", "constant"},
	{"cuEGLApiInit.", "not about work"},
	{"cuEGLStreamConsumerConnect", "new connection"},
	{"cuEGLStreamProducerConnect.", "new connection"},
	{"cuEventCreate.", "a new event"},
	{"cuExternalMemoryGetMapped", "new mapping"},
	{"cuFuncGet", "state that no held call changes"},
	{"cuFuncIsLoaded.", "state that no held call changes"},
	{"cuFuncLoad.", "what the launch would do"},
	{"cuGLCtxCreate", "a new context"},
	{"cuGLGetDevices", "constant"},
	{"cuGLInit.", "not about work"},
	{"cuGLRegisterBufferObject.", "new registration"},
	{"cuGLSetBufferObjectMapFlags.", "for the next mapping, which drains"},
	{"cuGetErrorName.", "constant"},
	{"cuGetErrorString.", "constant"},
	{"cuGetExportTable.", "tools"},
	{"cuGetProcAddress", "names"},
	{"cuGraphAdd", "graphs are templates; those with events have rows"},
	{"cuGraphBatchMemOpNode", "templates"},
	{"cuGraphChildGraphNode", "templates"},
	{"cuGraphClone.", "templates"},
	{"cuGraphConditionalHandleCreate.", "templates"},
	{"cuGraphCreate.", "templates"},
	{"cuGraphDebugDotPrint.", "templates"},
	{"cuGraphDestroy", "templates; executable graphs live on"},
	{"cuGraphEventRecordNode", "templates"},
	{"cuGraphEventWaitNode", "templates"},
	{"cuGraphExecGet", "constant"},
	{"cuGraphExternalSemaphores", "templates"},
	{"cuGraphGet", "templates"},
	{"cuGraphHostNode", "templates"},
	{"cuGraphInstantiate", "a new executable graph"},
	{"cuGraphKernelNode", "templates"},
	{"cuGraphMem", "templates"},
	{"cuGraphNode", "templates; the one for executable graphs has a row"},
	{"cuGraphReleaseUserObject.", "templates"},
	{"cuGraphRemoveDependencies", "templates"},
	{"cuGraphRetainUserObject.", "templates"},
	{"cuGraphicsEGLRegisterImage.", "new registration"},
	{"cuGraphicsGLRegister", "new registration"},
	{"cuGraphicsResourceGetMapped", "state that no held call changes"},
	{"cuGraphicsSubResourceGetMappedArray.", "state that no held call changes"},
	{"cuGraphicsVDPAURegister", "new registration"},
	{"cuGreenCtxCreate.", "a new context"},
	{"cuGreenCtxGet", "constant"},
	{"cuImportExternal", "new handle"},
	{"cuInit.", "not about work"},
	{"cuIpcGetMemHandle.", "a name of memory"},
	{"cuIpcOpenMemHandle", "new mapping"},
	{"cuKernelGet", "state that no held call changes"},
	{"cuLibraryEnumerateKernels.", "constant"},
	{"cuLibraryGet", "constant"},
	{"cuLibraryLoad", "new code"},
	{"cuLink", "new code"},
	{"cuLogicalEndpoint", "new handles and mappings; those that end have rows"},
	{"cuLogs", "not about work"},
	{"cuMemAddressReserve.", "addresses only"},
	{"cuMemAllocHost", "new memory"},
	{"cuMemAllocManaged.", "new memory"},
	{"cuMemAllocPitch", "new memory"},
	{"cuMemAlloc.", "new memory"},
	{"cuMemAlloc_v2.", "new memory"},
	{"cuMemCreate.", "new memory"},
	{"cuMemExportToShareableHandle.", "a name of memory"},
	{"cuMemGet", "state that no held call changes"},
	{"cuMemHostAlloc.", "new memory"},
	{"cuMemHostGet", "constant"},
	{"cuMemHostRegister", "pages are pinned; copies that wait for it were classified before"},
	{"cuMemImportFromShareableHandle.", "new handle"},
	{"cuMemPoolCreate.", "a new pool"},
	{"cuMemPoolExport", "a name of memory"},
	{"cuMemPoolGet", "a momentary state"},
	{"cuMemPoolImport", "new handle"},
	{"cuMemPoolSetAttribute.", "policy of the pool"},
	{"cuMemRangeGetAttribute", "a momentary state"},
	{"cuMemRetainAllocationHandle.", "a count"},
	{"cuMemSetMemPool.", "for allocations to come, which are never held"},
	{"cuMipmappedArrayCreate.", "new memory"},
	{"cuMipmappedArrayGet", "constant"},
	{"cuModuleEnumerateFunctions.", "constant"},
	{"cuModuleGet", "constant"},
	{"cuModuleLoad", "new code"},
	{"cuMulticastAddDevice.", "before use"},
	{"cuMulticastBind", "before use"},
	{"cuMulticastCreate.", "new handle"},
	{"cuMulticastGetGranularity.", "constant"},
	{"cuOccupancy", "constant"},
	{"cuParamSetf.", "for cuLaunch, which is never held"},
	{"cuPointerGetAttribute", "state that no held call changes"},
	{"cuPointerSetAttribute.", "makes calls synchronous that are direct anyway"},
	{"cuProfilerInitialize.", "not about work"},
	{"cuStreamGet", "constant, or of captures, which begin with nothing held"},
	{"cuStreamIsCapturing", "captures begin with nothing held"},
	{"cuStreamUpdateCaptureDependencies", "captures begin with nothing held"},
	{"cuSurfObjectCreate.", "a new object"},
	{"cuSurfObjectGetResourceDesc.", "constant"},
	{"cuSurfRefGetArray.", "constant"},
	{"cuTensorMap", "host memory only"},
	{"cuTexObjectCreate.", "a new object"},
	{"cuTexObjectGet", "constant"},
	{"cuTexRefCreate.", "a new object"},
	{"cuTexRefGet", "constant"},
	{"cuThreadExchangeStreamCaptureMode.", "the thread's; the dispatcher has its own"},
	{"cuUserObject", "a count"},
	{"cuVDPAU", "a new context"},
	{"cudbg", "debugger"},
};

#define NR(array) (sizeof(array) / sizeof((array)[0]))

static const struct row *row_of(const char *name)
{
	for (size_t i = 0; i < NR(rows); i++) {
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	}
	return NULL;
}

static int is_symbol(const char *name)
{
	for (size_t i = 0; i < NR(symbols); i++) {
		if (!strcmp(symbols[i], name))
			return 1;
	}
	return 0;
}

static int matches(const char *name, const char *rule)
{
	size_t n = strlen(rule);

	if (rule[n - 1] == '.')
		return strlen(name) == n - 1 && !strncmp(name, rule, n - 1);
	return !strncmp(name, rule, n);
}

static int is_safe(const char *name)
{
	for (size_t i = 0; i < NR(safe); i++) {
		if (matches(name, safe[i].name))
			return 1;
	}
	return 0;
}

static void test_every_symbol(void **state)
{
	int nr_forgotten = 0;

	(void)state;
	for (size_t i = 0; i < NR(symbols); i++) {
		if (row_of(symbols[i]) || is_safe(symbols[i]))
			continue;
		print_error("%s: neither in calls.def nor safe\n", symbols[i]);
		nr_forgotten++;
	}
	assert_int_equal(nr_forgotten, 0);
}

static int covers_any(const char *rule)
{
	for (size_t i = 0; i < NR(symbols); i++) {
		if (matches(symbols[i], rule) && !row_of(symbols[i]))
			return 1;
	}
	return 0;
}

/* Rows and rules that are about nothing hide mistakes. */
static void test_no_spare_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(rows); i++) {
		if (!is_symbol(rows[i].name))
			print_error("%s: not a symbol\n", rows[i].name);
		assert_true(is_symbol(rows[i].name));
		assert_true(i == 0 || strcmp(rows[i - 1].name, rows[i].name) < 0);
	}
	for (size_t i = 0; i < NR(safe); i++) {
		if (!covers_any(safe[i].name))
			print_error("%s: covers no symbol without a row\n", safe[i].name);
		assert_true(covers_any(safe[i].name));
	}
}

/* The per-thread form of a call is treated as the call itself. */
static void test_forms_agree(void **state)
{
	char base[128];

	(void)state;
	for (size_t i = 0; i < NR(symbols); i++) {
		size_t n = strlen(symbols[i]);
		const struct row *form = row_of(symbols[i]), *plain;
		if (n < 5 || (strcmp(symbols[i] + n - 5, "_ptsz") != 0 &&
			      strcmp(symbols[i] + n - 5, "_ptds") != 0))
			continue;
		(void)snprintf(base, sizeof(base), "%.*s", (int)(n - 5), symbols[i]);
		plain = row_of(base);
		assert_int_equal(!form, !plain);
		if (!form || !plain)
			continue;
		assert_string_equal(form->how, plain->how);
		assert_string_equal(form->stream, plain->stream);
		assert_string_equal(form->other, plain->other);
	}
}

/* What takes a stream by name must say what becomes of it. */
static void test_asynchronous_calls(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR(symbols); i++) {
		int is_async =
			strstr(symbols[i], "Async") && !strstr(symbols[i], "AsyncNotification");
		if (is_async && !row_of(symbols[i]))
			print_error("%s: no row\n", symbols[i]);
		assert_true(!is_async || row_of(symbols[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_symbol),
		cmocka_unit_test(test_no_spare_rows),
		cmocka_unit_test(test_forms_agree),
		cmocka_unit_test(test_asynchronous_calls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
