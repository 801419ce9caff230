/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe's kernels. PTX rather than machine code so that one text serves every chip; the driver
 * compiles it once, in a few milliseconds, and only when a topology is not cached yet.
 *
 * A block outlasts the placement of the whole first wave (ns is a few microseconds), so that every
 * SM that may be used is used. The loop reads %globaltimer, whose resolution on Hopper is 32 ns.
 * Tested by assembling it for sm_75 and sm_90 (tests/integration) and by every probe.
 */
#include "hw/probe/probe_ptx.h"

/* clang-format off */
#define PROBE_KERNEL(name, index, value)              \
	".visible .entry " name "(.param .u64 p_out, .param .u64 p_ns)\n" \
	"{\n"                                         \
	"	.reg .pred %p<3>;\n"                  \
	"	.reg .b32 %r<6>;\n"                   \
	"	.reg .b64 %rd<9>;\n"                  \
	"	mov.u64 %rd1, %globaltimer;\n"        \
	"	ld.param.u64 %rd2, [p_out];\n"        \
	"	ld.param.u64 %rd3, [p_ns];\n"         \
	"	mov.u32 %r1, %tid.x;\n"               \
	"	mov.u32 %r2, %smid;\n"                \
	"	mov.u32 %r3, %ctaid.x;\n"             \
	"	mov.u32 %r4, 1;\n"                    \
	"	setp.ne.u32 %p1, %r1, 0;\n"           \
	"	@%p1 bra WAIT;\n"                     \
	"	cvta.to.global.u64 %rd4, %rd2;\n"     \
	"	mul.wide.u32 %rd5, " index ", 4;\n"   \
	"	add.s64 %rd6, %rd4, %rd5;\n"          \
	"	st.global.u32 [%rd6], " value ";\n"   \
	"WAIT:\n"                                     \
	"	mov.u64 %rd7, %globaltimer;\n"        \
	"	sub.s64 %rd8, %rd7, %rd1;\n"          \
	"	setp.lt.u64 %p2, %rd8, %rd3;\n"       \
	"	@%p2 bra WAIT;\n"                     \
	"	ret;\n"                               \
	"}\n"

const char probe_ptx[] =
	".version 7.0\n"
	".target sm_52\n"
	".address_size 64\n"
	PROBE_KERNEL("lithos_probe_seen", "%r2", "%r4")
	PROBE_KERNEL("lithos_probe_where", "%r3", "%r2");
/* clang-format on */
#undef PROBE_KERNEL
