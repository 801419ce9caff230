/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exports that are not written in C, and the table of all of them.
 *
 * Problem: many functions exist in forms that differ only in which stream NULL means (_ptsz), or
 * not at all (an old version with the same parameters). Writing each by hand is noise, and aliases
 * will not do: in the real driver no two exports share an address. Idea: a jump for each, generated
 * from exports.def. A per-thread-stream form first turns a zero stream argument into
 * CU_STREAM_PER_THREAD, in the register or, from the seventh argument on, in the stack slot where
 * the callee will read it.
 *
 * This file must not include cuda.h: it declares each export as data to take its address.
 */
#include "sim/entry/exports.h"

#include <stddef.h>
#include <string.h>

#if !defined(__x86_64__)
#error "the jumps of the simulated driver are written for x86-64"
#endif

#define JUMP_BEGIN(symbol)                                                                         \
	".pushsection .text\n.balign 16\n.globl " #symbol "\n.type " #symbol                       \
	", @function\n" #symbol ":\n"
#define STREAM_ARG_1 "test %rdi, %rdi\njne 1f\nmovl $2, %edi\n"
#define STREAM_ARG_2 "test %rsi, %rsi\njne 1f\nmovl $2, %esi\n"
#define STREAM_ARG_3 "test %rdx, %rdx\njne 1f\nmovl $2, %edx\n"
#define STREAM_ARG_4 "test %rcx, %rcx\njne 1f\nmovl $2, %ecx\n"
#define STREAM_ARG_5 "test %r8, %r8\njne 1f\nmovl $2, %r8d\n"
#define STREAM_ARG_6 "test %r9, %r9\njne 1f\nmovl $2, %r9d\n"
#define STREAM_ARG_9 "cmpq $0, 24(%rsp)\njne 1f\nmovq $2, 24(%rsp)\n"

/* clang-format off */
#define EXPORT(symbol, base, version)
#define EXPORT_PT(symbol, base, version)
#define EXPORT_STREAM(symbol, base, version, pt_symbol, pt_version, arg) \
	__asm__(JUMP_BEGIN(pt_symbol) STREAM_ARG_##arg "1: jmp " #symbol "@PLT\n.size " #pt_symbol ", . - " #pt_symbol "\n.popsection\n");
#define EXPORT_SAME(symbol, base, version, target) \
	__asm__(JUMP_BEGIN(symbol) "jmp " #target "@PLT\n.size " #symbol ", . - " #symbol "\n.popsection\n");
#define EXPORT_PT_SAME(symbol, base, version, target) EXPORT_SAME(symbol, base, version, target)
#include "sim/entry/exports.def"
#undef EXPORT
#undef EXPORT_PT
#undef EXPORT_STREAM
#undef EXPORT_SAME
#undef EXPORT_PT_SAME

/* The visibility lets the address of the function in this library be taken, whoever else has
 * one. */
#define DECLARE(symbol)                                                                            \
	extern char address_of_##symbol[] __asm__(#symbol) __attribute__((visibility("default")));
#define EXPORT(symbol, base, version) DECLARE(symbol)
#define EXPORT_PT(symbol, base, version) DECLARE(symbol)
#define EXPORT_STREAM(symbol, base, version, pt_symbol, pt_version, arg)                           \
	DECLARE(symbol) DECLARE(pt_symbol)
#define EXPORT_SAME(symbol, base, version, target) DECLARE(symbol)
#define EXPORT_PT_SAME(symbol, base, version, target) DECLARE(symbol)
#include "sim/entry/exports.def"
#undef EXPORT
#undef EXPORT_PT
#undef EXPORT_STREAM
#undef EXPORT_SAME
#undef EXPORT_PT_SAME
/* clang-format on */

struct export_row {
	const char *base;
	int version;
	int per_thread_stream;
	void *address;
};

/* clang-format off */
static const struct export_row export_rows[] = {
#define EXPORT(symbol, base, version) {#base, version, 0, address_of_##symbol},
#define EXPORT_PT(symbol, base, version) {#base, version, 1, address_of_##symbol},
#define EXPORT_STREAM(symbol, base, version, pt_symbol, pt_version, arg) \
	{#base, version, 0, address_of_##symbol}, {#base, pt_version, 1, address_of_##pt_symbol},
#define EXPORT_SAME(symbol, base, version, target) {#base, version, 0, address_of_##symbol},
#define EXPORT_PT_SAME(symbol, base, version, target) {#base, version, 1, address_of_##symbol},
#include "sim/entry/exports.def"
#undef EXPORT
#undef EXPORT_PT
#undef EXPORT_STREAM
#undef EXPORT_SAME
#undef EXPORT_PT_SAME
};
/* clang-format on */

static const struct export_row *best_row(const char *base, int version, int per_thread_stream,
					 enum export_status *ret_status)
{
	const struct export_row *best = NULL;

	for (size_t i = 0; i < sizeof(export_rows) / sizeof(export_rows[0]); i++) {
		const struct export_row *row = &export_rows[i];

		if (row->per_thread_stream != per_thread_stream || strcmp(row->base, base) != 0)
			continue;
		if (row->version > version)
			*ret_status = EXPORT_TOO_NEW;
		else if (!best || row->version > best->version)
			best = row;
	}
	return best;
}

void *exports_find(const char *base, int cuda_version, int per_thread_stream,
		   enum export_status *ret_status)
{
	const struct export_row *row = NULL;

	*ret_status = EXPORT_UNKNOWN;
	if (per_thread_stream)
		row = best_row(base, cuda_version, 1, ret_status);
	if (!row)
		row = best_row(base, cuda_version, 0, ret_status);
	if (row)
		*ret_status = EXPORT_FOUND;
	return row ? row->address : NULL;
}
