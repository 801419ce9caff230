/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stub for each call of calls.def, in front of the driver's function or of the hook.
 *
 * A stub knows nothing of arguments. While queue_state is 0 it is a compare and two jumps.
 * Otherwise it hands the argument registers to queue_call(), which knows the row, and then returns
 * its result or goes on with registers and stack as they were. No call here has more than two
 * arguments in vector registers.
 */
	.text
	.p2align 4
	.type held_call, @function
held_call:
	/* %rax: the row's slot. */
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	push %r9
	push %r8
	push %rcx
	push %rdx
	push %rsi
	push %rdi
	push %rax
	sub $40, %rsp
	movups %xmm0, (%rsp)
	movups %xmm1, 16(%rsp)
	mov %rax, %rdi
	lea 48(%rsp), %rsi
	lea 16(%rbp), %rdx
	call queue_call
	bt $32, %rax
	jc 1f
	leave
	.cfi_remember_state
	.cfi_def_cfa %rsp, 8
	ret
1:
	.cfi_restore_state
	movups (%rsp), %xmm0
	movups 16(%rsp), %xmm1
	add $40, %rsp
	pop %rax
	pop %rdi
	pop %rsi
	pop %rdx
	pop %rcx
	pop %r8
	pop %r9
	pop %rbp
	.cfi_def_cfa %rsp, 8
	jmp *(%rax)
	.cfi_endproc
	.size held_call, .- held_call

#define BEGIN_STUB(name)                                                                           \
	.globl held_##name;                                                                        \
	.hidden held_##name;                                                                       \
	.type held_##name, @function;                                                              \
	.p2align 4;                                                                                \
held_##name:                                                                                       \
	endbr64;
#define END_STUB(name)                                                                             \
	lea next_##name(%rip), %rax;                                                               \
	jmp held_call;                                                                             \
	.size held_##name, .- held_##name;

#define WHEN_BUSY(name)                                                                            \
	BEGIN_STUB(name)                                                                           \
	cmpl $0, queue_state(%rip);                                                                \
	jne 1f;                                                                                    \
	jmp *next_##name(%rip);                                                                    \
1:                                                                                                 \
	END_STUB(name)
#define ALWAYS(name) BEGIN_STUB(name) END_STUB(name)

#define STUB_HOST_FUNC(name)      WHEN_BUSY(name)
#define STUB_FILL(name)           WHEN_BUSY(name)
#define STUB_FILL_2D(name)        WHEN_BUSY(name)
#define STUB_FREE(name)           WHEN_BUSY(name)
#define STUB_PREFETCH(name)       WHEN_BUSY(name)
#define STUB_ATTACH(name)         WHEN_BUSY(name)
#define STUB_COPY_DEVICE(name)    WHEN_BUSY(name)
#define STUB_COPY_PEER(name)      WHEN_BUSY(name)
#define STUB_WAIT_WORD(name)      WHEN_BUSY(name)
#define STUB_WRITE_WORD(name)     WHEN_BUSY(name)
#define STUB_BATCH_OPS(name)      WHEN_BUSY(name)
#define STUB_COPY_ANY(name)       WHEN_BUSY(name)
#define STUB_COPY_FROM_HOST(name) WHEN_BUSY(name)
#define STUB_COPY_TO_HOST(name)   WHEN_BUSY(name)
#define STUB_COPY_2D(name)        WHEN_BUSY(name)
#define STUB_COPY_3D(name)        WHEN_BUSY(name)
#define STUB_COPY_3D_PEER(name)   WHEN_BUSY(name)
#define STUB_RECORD(name)         WHEN_BUSY(name)
#define STUB_WAIT_FOR_EVENT(name) WHEN_BUSY(name)
#define STUB_EVENT_DESTROY(name)  WHEN_BUSY(name)
#define STUB_STREAM_DESTROY(name) ALWAYS(name)
#define STUB_EXEC_OP(name)        WHEN_BUSY(name)
#define STUB_QUERY(name)          WHEN_BUSY(name)
#define STUB_EVENT_QUERY(name)    WHEN_BUSY(name)
#define STUB_EVENT_ELAPSED(name)  WHEN_BUSY(name)
#define STUB_WAIT(name)           WHEN_BUSY(name)
#define STUB_EXEC_WAIT(name)      WHEN_BUSY(name)
#define STUB_STREAM_SYNC(name)    WHEN_BUSY(name)
#define STUB_EVENT_SYNC(name)     WHEN_BUSY(name)
#define STUB_CTX_SYNC(name)       WHEN_BUSY(name)
#define STUB_DRAIN(name)          WHEN_BUSY(name)
#define STUB_BEGIN_CAPTURE(name)  ALWAYS(name)
#define STUB_END_CAPTURE(name)    ALWAYS(name)
#define STUB_ALLOCATE(name)       WHEN_BUSY(name)
#define STUB_FORGET(name)         ALWAYS(name)
#define STUB_FUNC_ATTRIBUTE(name) ALWAYS(name)
#define STUB_GRAPH_EVENT(name)    ALWAYS(name)
#define STUB_GRAPH_NODE(name)     ALWAYS(name)
#define STUB_SHARED_EVENT(name)   ALWAYS(name)

#define TYPED(name)
#define CALL(name, how, stream, other) STUB_##how(name)
#include "calls.def"
#undef CALL

	/* One after the other, so that a slot's place is its row's (calls.c). */
	.data
	.p2align 3
	.globl next_first
	.hidden next_first
next_first:
#define CALL(name, how, stream, other)                                                             \
	.globl next_##name;                                                                        \
	.hidden next_##name;                                                                       \
next_##name:                                                                                       \
	.quad 0;
#include "calls.def"
#undef CALL

	.section .note.GNU-stack, "", @progbits
