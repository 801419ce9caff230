/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.ptx as a string, named by the build. */
	.section .rodata
	.globl prop_ptx
	.type prop_ptx, @object
prop_ptx:
	.incbin PTX_FILE
	.byte 0
	.size prop_ptx, . - prop_ptx
	.section .note.GNU-stack,"",@progbits
