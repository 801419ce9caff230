/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.ptx as it stands, NUL-terminated; PTX_FILE comes from CMakeLists.txt. */
	.section .rodata
	.globl prog_ptx
	.type prog_ptx, @object
prog_ptx:
	.incbin PTX_FILE
	.byte 0
	.size prog_ptx, . - prog_ptx
	.section .note.GNU-stack, "", %progbits
