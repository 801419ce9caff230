/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The exported entries: one jump a symbol, through a slot that load.c fills.
 *
 * A jump knows nothing of arguments, so it serves functions whose signature changes or is unknown.
 * Cost: two instructions. Until the slots are filled, and for symbols the driver lacks, they lead
 * to entry_missing, which answers CUDA_ERROR_NOT_SUPPORTED.
 */
#if !defined(__x86_64__)
#error "entries.S is written for x86-64"
#endif

#define PASS(name) ENTRY(name)
#define HOOK(name) ENTRY(name)

	.text
#define ENTRY(name)                                                                                \
	.globl name;                                                                               \
	.type name, @function;                                                                     \
	.p2align 4;                                                                                \
name:                                                                                              \
	endbr64;                                                                                   \
	jmp *entry_##name(%rip);                                                                   \
	.size name, .- name;
#include "../../api/cuda.def"
#undef ENTRY

	.data
	.p2align 3
#define ENTRY(name)                                                                                \
	.globl entry_##name;                                                                       \
	.hidden entry_##name;                                                                      \
entry_##name:                                                                                      \
	.quad entry_missing;
#include "../../api/cuda.def"
#undef ENTRY

	/* Tells the driver finder that this is not NVIDIA's file (base/find/driver_find.h). */
	.section .note.lithos, "a", @note
	.p2align 2
	.long 7 /* length of the owner name */
	.long 0
	.long 1 /* type: shim */
	.asciz "lithos"
	.p2align 2
	/* Tells other shims that this one has no GPU behind it but through another driver
	 * (load.c). */
	.long 12
	.long 0
	.long 1
	.asciz "lithos-shim"
	.p2align 2

	.section .note.GNU-stack, "", @progbits
