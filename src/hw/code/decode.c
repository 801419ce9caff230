/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding of machine instructions, Volta to Blackwell, as far as the gang detector needs.
 *
 * An instruction is two 64-bit words. Its layout is regular: opcode in bits 0-8, form of the
 * operands in 9-11, guard predicate in 12-15, registers at 16 (written), 24 and 64 (read), and at
 * 32 a register, a uniform register, a constant bank or an immediate, as the form says. Which of
 * those fields mean a register is in ops.def, an opcode a row; where it is not sure, the row says
 * more rather than less. So `uses` and `defs` are never too small for a known opcode, and `kills`
 * never too large: a slice over them follows too much, not too little.
 *
 * What it does badly: it trusts that an unlisted arithmetic opcode has the usual layout. Textures
 * and matrix units are taken for such, with wide operands.
 *
 * Tested by tests/unit/code_corpus.c, through the verdicts on compiled kernels.
 */
#include "hw/code/decode.h"

#include <string.h>

#define NR_OPCODES  512u
#define OPF_NOTHING 0u
#define ROW_EXISTS  0x8000u

#define OPCODE_IMAD    0x024u
#define OPCODE_ISETP   0x00cu
#define OPCODE_MOV     0x002u
#define OPCODE_HFMA2   0x031u
#define OPCODE_HFMA2_M 0x035u
#define OPCODE_POPC    0x109u
#define OPCODE_UISETP  0x08cu
#define OPCODE_UMOV    0x082u
#define OPCODE_R2UR    0x0cau

#define OPCODE_LD       0x180u
#define OPCODE_LDL      0x183u
#define OPCODE_ST       0x185u
#define OPCODE_STL      0x187u
#define OPCODE_ATOM     0x18au
#define OPCODE_ATOM_CAS 0x18bu

/* clang-format off */
static const struct op ops[NR_OPCODES] = {
#define EXACT    OPF_EXACT
#define SIZED    OPF_SIZED
#define PD0      OPF_PD0
#define PD1      OPF_PD1
#define PD2      OPF_PD2
#define PS1      OPF_PS1
#define PS2      OPF_PS2
#define PS3      OPF_PS3
#define ALL_PS   OPF_ALL_PS
#define RD_PLACE OPF_RD_PLACE
#define WR_PLACE OPF_WR_PLACE
#define VOTE     OPF_VOTE
#define UC       OPF_UC
#define NOTHING  OPF_NOTHING
#define OP(opcode, name, kind, written, wide, na, nb, nc, bits)                                    \
	[opcode] = {.class = OP_##kind,                                                            \
		    .dest = DEST_##written,                                                        \
		    .nr_dest = (wide),                                                             \
		    .nr_a = (na),                                                                  \
		    .nr_b = (nb),                                                                  \
		    .nr_c = (nc),                                                                  \
		    .flags = ROW_EXISTS | (bits)},
#include "hw/code/ops.def"
#undef OP
#undef EXACT
#undef SIZED
#undef PD0
#undef PD1
#undef PD2
#undef PS1
#undef PS2
#undef PS3
#undef ALL_PS
#undef RD_PLACE
#undef WR_PLACE
#undef VOTE
#undef UC
#undef NOTHING
};
/* clang-format on */

static const struct op unlisted = {OP_PLAIN, DEST_R, 8, 4, 4, 4, OPF_PD1 | OPF_PD2 | OPF_PS1};
static const struct op unlisted_uniform = {
	OP_PLAIN, DEST_U, 8, 4, 4, 4, OPF_PD1 | OPF_PD2 | OPF_PS1};
static const struct op unknown = {OP_UNKNOWN, DEST_R, 8, 4, 4, 4, OPF_PD1 | OPF_PS1};

unsigned int insn_bits(const struct insn *insn, unsigned int at, unsigned int count)
{
	uint64_t word = at < 64 ? insn->lo >> at : insn->hi >> (at - 64);

	return (unsigned int)(word & (((uint64_t)1 << count) - 1));
}

unsigned int insn_opcode(const struct insn *insn)
{
	return insn_bits(insn, 0, 9);
}

unsigned int insn_form(const struct insn *insn)
{
	return insn_bits(insn, 9, 3);
}

unsigned int insn_dest(const struct insn *insn)
{
	return insn_bits(insn, 16, 8);
}

unsigned int insn_a(const struct insn *insn)
{
	return insn_bits(insn, 24, 8);
}

unsigned int insn_b(const struct insn *insn)
{
	return insn_bits(insn, 32, 8);
}

unsigned int insn_c(const struct insn *insn)
{
	return insn_bits(insn, 64, 8);
}

static int is_uniform(unsigned int opcode)
{
	return opcode >= 0x080 && opcode < 0x0c0;
}

static const struct op *op_of(unsigned int opcode)
{
	if (ops[opcode].flags & ROW_EXISTS)
		return &ops[opcode];
	if (opcode >= 0x140 && opcode < 0x1b0)
		return &unknown;
	return is_uniform(opcode) ? &unlisted_uniform : &unlisted;
}

struct insn insn_read(const uint8_t *code, size_t index, int cc_major)
{
	struct insn insn = {.major = (uint8_t)cc_major};

	memcpy(&insn.lo, code + index * INSN_BYTES, sizeof(insn.lo));
	memcpy(&insn.hi, code + index * INSN_BYTES + 8, sizeof(insn.hi));
	insn.op = op_of(insn_opcode(&insn));
	return insn;
}

static int has_guard(const struct insn *insn)
{
	return insn_bits(insn, 12, 4) != 7;
}

int insn_is_unconditional(const struct insn *insn)
{
	if (has_guard(insn))
		return 0;
	if (insn->op->flags & OPF_PS1 && insn_bits(insn, 87, 4) != 7)
		return 0;
	/* A branch's form says "if uniform predicate", bits 32-33 "if the warp is divergent". */
	if (insn->op->class == OP_BRANCH)
		return insn_form(insn) == 4 && insn_bits(insn, 32, 2) == 0;
	return 1;
}

/* From Hopper on, the low eight bits of the distance have moved to bit 16. */
int64_t insn_target(const struct insn *insn, size_t index)
{
	uint64_t high = (insn->lo >> 34) | (uint64_t)insn_bits(insn, 64, 18) << 30;
	int64_t distance = (int64_t)(high << 16) >> 16;

	if (insn->major >= 9)
		distance = (int64_t)((uint64_t)distance << 8) | insn_bits(insn, 16, 8);
	/* In words of four bytes. What is no whole instruction away cannot be a target. */
	if (distance % 4)
		return -1;
	return (int64_t)index + 1 + distance / 4;
}

/*
 * Bits 77-80. Up to Turing: scope in the low half (0 block, 2 GPU, 3 system), order in the high
 * half (0 constant, 1 weak, 2 strong, 3 MMIO). From Ampere on one list: 0 weak, 4 constant, 5
 * strong in the SM, 7 strong on the GPU, 10 strong in the system, 12 MMIO.
 */
int insn_reads_other_blocks(const struct insn *insn)
{
	unsigned int field = insn_bits(insn, 77, 4);
	int is_atomic = insn->op->class == OP_ATOMIC || insn->op->class == OP_CAS;

	if (!is_atomic && insn->op->class != OP_LOAD)
		return 0;
	/* Without a result the predicate of an atomic tells the kind of address, not what was
	 * there. */
	if (insn->op->class == OP_ATOMIC && insn_dest(insn) == REG_ZERO)
		return 0;
	if (insn->major < 8)
		return field >= 8 && (field & 3);
	return field != 5 && (is_atomic || (field != 0 && field != 4));
}

static void add_run(struct regs *regs, unsigned int base, unsigned int first, unsigned int count)
{
	/* The zero register, alone; a run never reaches it in valid code. */
	for (unsigned int i = 0; i < count && first + i < REG_ZERO; i++)
		regs_add(regs, base + first + i);
}

static void add_predicate(struct regs *regs, const struct insn *insn, unsigned int at, int uniform)
{
	unsigned int predicate = insn_bits(insn, at, 3);

	if (predicate != 7)
		regs_add(regs, (uniform ? REG_UP : REG_P) + predicate);
}

static void add_uniform(struct regs *regs, const struct insn *insn, unsigned int at,
			unsigned int count)
{
	unsigned int first = insn_bits(insn, at, insn->major >= 10 ? 8 : 6);

	if (insn->major < 10 && first == 63)
		return;
	add_run(regs, REG_U, first, count);
}

static unsigned int larger(unsigned int a, unsigned int b)
{
	return a > b ? a : b;
}

/* The operands at 32 and 64, which the form assigns. */
static void add_sources(struct regs *regs, const struct insn *insn, unsigned int base)
{
	const struct op *op = insn->op;
	unsigned int form = insn_form(insn);
	int swapped = form == 2 || form == 3 || form == 7;

	add_run(regs, base, insn_c(insn),
		swapped && op->nr_c ? larger(op->nr_b, op->nr_c) : op->nr_c);
	if (form == 1)
		add_run(regs, base, insn_b(insn), op->nr_b);
	if (form == 6 || form == 7)
		add_uniform(regs, insn, 32, larger(op->nr_b, op->nr_c));
}

static int is_memory(unsigned int opcode)
{
	return opcode >= 0x180 && opcode < 0x1b0 && opcode != 0x189;
}

/* Size field of loads and stores, bits 73-75: registers that surely, and that may, take part. */
static unsigned int sized(const struct insn *insn, unsigned int *ret_sure)
{
	unsigned int size = insn_bits(insn, 73, 3);

	*ret_sure = size == 5 ? 2 : size == 6 ? 4 : 1;
	return size == 7 ? 8 : *ret_sure;
}

/* Addresses: register pair at 24, uniform base or descriptor at 32 (loads) or 64; data at 32. */
static void add_memory_sources(struct regs *regs, const struct insn *insn)
{
	const struct op *op = insn->op;
	unsigned int nr_b = op->nr_b, sure;

	if (op->flags & OPF_SIZED && nr_b)
		nr_b = sized(insn, &sure);
	add_run(regs, REG_R, insn_b(insn), nr_b);
	if (op->nr_c)
		add_run(regs, REG_R, insn_c(insn), op->nr_c);
	if (insn_bits(insn, 91, 1)) {
		add_uniform(regs, insn, nr_b ? 64 : 32, 2);
		/* A uniform address alone: the field at 24 names it on some. */
		add_uniform(regs, insn, 24, 2);
	}
}

/* Generic addresses may mean either. */
static void add_places(struct regs *regs, unsigned int opcode)
{
	int is_local = opcode == OPCODE_LDL || opcode == OPCODE_STL;
	int is_generic = opcode == OPCODE_LD || opcode == OPCODE_ST || opcode == OPCODE_ATOM ||
			 opcode == OPCODE_ATOM_CAS;

	if (!is_local)
		regs_add(regs, REG_SHARED);
	if (is_local || is_generic)
		regs_add(regs, REG_LOCAL);
}

static void add_predicate_uses(struct regs *regs, const struct insn *insn)
{
	unsigned int opcode = insn_opcode(insn);
	unsigned int flags = insn->op->flags;
	int uniform = is_uniform(opcode);
	int is_compare = opcode == OPCODE_ISETP || opcode == OPCODE_UISETP;

	add_predicate(regs, insn, 12, uniform);
	if (flags & OPF_PS1)
		add_predicate(regs, insn, 87, uniform);
	/* Votes of the uniform unit read the other kind; so do selections from Hopper on. */
	if (flags & OPF_PS1 && (uniform || insn->major >= 9))
		add_predicate(regs, insn, 87, !uniform);
	if (flags & OPF_PS2)
		add_predicate(regs, insn, 77, uniform);
	/* An integer comparison reads it only for the high half of a longer one. */
	if (flags & OPF_PS3 && (!is_compare || insn_bits(insn, 72, 1)))
		add_predicate(regs, insn, 68, uniform || (!is_compare && insn_bits(insn, 67, 1)));
	if (flags & OPF_ALL_PS)
		add_run(regs, uniform ? REG_UP : REG_P, 0, 7);
}

static void add_branch_uses(struct regs *regs, const struct insn *insn)
{
	if (insn_form(insn) == 2) /* by uniform predicate, at 24 */
		add_predicate(regs, insn, 24, 1);
	if (insn_bits(insn, 32, 2) > 1) /* by divergence from a mask */
		add_uniform(regs, insn, 24, 1);
}

void insn_uses(const struct insn *insn, struct regs *ret_uses)
{
	unsigned int opcode = insn_opcode(insn);
	unsigned int base = is_uniform(opcode) && opcode != 0x086 ? REG_U : REG_R;

	memset(ret_uses, 0, sizeof(*ret_uses));
	add_predicate_uses(ret_uses, insn);
	if (insn->op->class == OP_BRANCH) {
		add_branch_uses(ret_uses, insn);
		return;
	}
	add_run(ret_uses, base, insn_a(insn), insn->op->nr_a);
	if (is_memory(opcode))
		add_memory_sources(ret_uses, insn);
	else
		add_sources(ret_uses, insn, base);
	if (insn->op->flags & OPF_RD_PLACE)
		add_places(ret_uses, opcode);
	if (insn->op->flags & OPF_VOTE && insn->op->dest == DEST_R)
		regs_add(ret_uses, REG_VOTE);
}

static void add_dest(const struct insn *insn, struct regs *defs, struct regs *sure)
{
	const struct op *op = insn->op;
	unsigned int nr_dest = op->nr_dest;
	unsigned int nr_sure = op->flags & OPF_EXACT ? nr_dest : 0;

	if (op->flags & OPF_SIZED)
		nr_dest = sized(insn, &nr_sure);
	/* Type field of atomics, bits 73-75: 0 and 1 are 32-bit integers. */
	if ((op->class == OP_ATOMIC || op->class == OP_CAS) && insn_bits(insn, 73, 3) < 2)
		nr_dest = 1;
	if (op->dest == DEST_U) {
		add_uniform(defs, insn, 16, nr_dest);
		add_uniform(sure, insn, 16, nr_sure);
	} else if (op->dest == DEST_R) {
		add_run(defs, REG_R, insn_dest(insn), nr_dest);
		add_run(sure, REG_R, insn_dest(insn), nr_sure);
	}
}

static void add_predicate_defs(const struct insn *insn, struct regs *defs)
{
	unsigned int flags = insn->op->flags;
	int uniform = insn->op->dest == DEST_U || is_uniform(insn_opcode(insn));

	if (flags & OPF_PD0)
		add_predicate(defs, insn, 16, 0);
	if (flags & OPF_PD1)
		add_predicate(defs, insn, 81, uniform);
	if (flags & OPF_PD1 && insn_opcode(insn) == OPCODE_R2UR)
		add_predicate(defs, insn, 81, 0);
	if (flags & OPF_PD2)
		add_predicate(defs, insn, 84, uniform);
	if (flags & OPF_ALL_PS && insn->op->dest == DEST_NONE)
		add_run(defs, uniform ? REG_UP : REG_P, 0, 7);
}

void insn_defs(const struct insn *insn, struct regs *ret_defs, struct regs *ret_kills)
{
	unsigned int flags = insn->op->flags;

	memset(ret_defs, 0, sizeof(*ret_defs));
	memset(ret_kills, 0, sizeof(*ret_kills));
	add_dest(insn, ret_defs, ret_kills);
	add_predicate_defs(insn, ret_defs);
	if (flags & OPF_EXACT)
		*ret_kills = *ret_defs;
	if (has_guard(insn))
		memset(ret_kills, 0, sizeof(*ret_kills));
	if (flags & OPF_WR_PLACE)
		add_places(ret_defs, insn_opcode(insn));
	if (flags & OPF_VOTE && insn->op->dest == DEST_NONE)
		regs_add(ret_defs, REG_VOTE);
}

int insn_may_write(const struct insn *insn, const struct regs *wanted)
{
	const struct op *op = insn->op;
	unsigned int first = REG_R + insn_dest(insn);

	if (op->flags & (OPF_PD0 | OPF_ALL_PS | OPF_WR_PLACE | OPF_VOTE))
		return !(op->flags & OPF_WR_PLACE) || op->dest != DEST_NONE ||
		       regs_has(wanted, REG_SHARED) || regs_has(wanted, REG_LOCAL);
	if (op->flags & OPF_PD1 && insn_bits(insn, 81, 3) != 7)
		return 1;
	if (op->flags & OPF_PD2 && insn_bits(insn, 84, 3) != 7)
		return 1;
	/* Uniform numbers have fewer bits on some: leave that to the thorough look. */
	if (op->dest == DEST_U || op->nr_dest > 8)
		return 1;
	for (unsigned int i = 0; op->dest == DEST_R && i < op->nr_dest; i++) {
		if (regs_has(wanted, first + i))
			return 1;
	}
	return 0;
}

int insn_is_plain_sum(const struct insn *insn)
{
	/* Bits 72-90: no sign, no carry; predicates at rest. */
	return insn_a(insn) == REG_ZERO && insn_bits(insn, 72, 19) == 0x78e00;
}

unsigned int insn_copied_from(const struct insn *insn)
{
	unsigned int opcode = insn_opcode(insn);

	if (insn_form(insn) != 1)
		return REG_ZERO;
	if (opcode == OPCODE_MOV)
		return insn_b(insn);
	if (opcode == OPCODE_IMAD && insn_b(insn) == REG_ZERO && insn_is_plain_sum(insn))
		return insn_c(insn);
	return REG_ZERO;
}

int insn_is_float_arithmetic(const struct insn *insn)
{
	/* A first factor or summand of zero: a constant, a conversion, a change of sign. */
	if (insn_a(insn) == REG_ZERO)
		return 0;
	switch (insn_opcode(insn)) {
	case 0x020: /* FMUL */
	case 0x023: /* FFMA */
	case 0x028: /* DMUL */
	case 0x02b: /* DFMA */
	case 0x032: /* HMUL2 */
		return 1;
	case 0x021: /* FADD */
	case 0x030: /* HADD2 */
		return insn_form(insn) == 1 && insn_b(insn) != REG_ZERO;
	case 0x029: /* DADD */
		return insn_form(insn) == 1 && insn_c(insn) != REG_ZERO;
	default:
		return 0;
	}
}

/* `IMAD.MOV R, RZ, RZ, imm` is form 2 with both factors zero; `HFMA2 R, -RZ, RZ, x, y` puts two
 * halves, of which a small integer leaves the upper one zero. */
int insn_makes_positive(const struct insn *insn)
{
	unsigned int opcode = insn_opcode(insn);
	unsigned int form = insn_form(insn);
	unsigned int value = insn_bits(insn, 32, 32);
	int is_small = value > 0 && value < 0x10000;

	if (opcode == OPCODE_POPC || opcode == 0x0bf)
		return 1;
	if (opcode == OPCODE_MOV || opcode == OPCODE_UMOV)
		return form == 4 && is_small;
	if (opcode == OPCODE_IMAD)
		return form == 2 && insn_a(insn) == REG_ZERO && is_small;
	if (opcode == OPCODE_HFMA2 || (opcode == OPCODE_HFMA2_M && insn->major < 12))
		return form == 2 && insn_a(insn) == REG_ZERO && is_small;
	return 0;
}
