/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.ptx as it stands, NUL-terminated; PTX_FILE comes from CMakeLists.txt. */
	.section .rodata
	.globl order_ptx
	.type order_ptx, @object
order_ptx:
	.incbin PTX_FILE
	.byte 0
	.size order_ptx, . - order_ptx
	.section .note.GNU-stack, "", %progbits
