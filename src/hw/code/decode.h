/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Machine instructions, decoded as far as the gang detector needs: what they do to control flow,
 * which registers they may read and write, and whether another block can change what they read.
 *
 * Everything that can carry a value is a bit of `struct regs`: registers, uniform registers,
 * predicates, and three places that stand for memory of the block.
 */
#ifndef LITHOS_HW_CODE_DECODE_H
#define LITHOS_HW_CODE_DECODE_H

#include <stddef.h>
#include <stdint.h>

#define INSN_BYTES 16u
#define REG_ZERO   255u

/* Bit numbers in struct regs. */
#define REG_R        0u   /* R0-R254 */
#define REG_U        256u /* UR0-UR254 */
#define REG_P        512u /* P0-P6 */
#define REG_UP       520u /* UP0-UP6 */
#define REG_SHARED   528u /* shared memory, all of it */
#define REG_LOCAL    529u /* local memory: spills */
#define REG_VOTE     530u /* result of a barrier with reduction */
#define REG_NR_WORDS 9u

struct regs {
	uint64_t words[REG_NR_WORDS];
};

enum op_class {
	OP_PLAIN,
	OP_BRANCH,
	OP_EXIT,
	OP_RETURN,
	OP_CALL,     /* to a constant relative target */
	OP_SWITCH,   /* jump through a table, inside the function */
	OP_INDIRECT, /* jump or call to anywhere */
	OP_LOAD,     /* of memory that may be global */
	OP_ATOMIC,   /* with a result */
	OP_CAS,
	OP_REDUCE,  /* an atomic without a result */
	OP_UNKNOWN, /* in the ranges of control flow or memory, not in the table */
};

struct op {
	uint8_t class;
	uint8_t dest; /* DEST_x */
	uint8_t nr_dest, nr_a, nr_b, nr_c;
	uint16_t flags; /* OPF_x */
};

enum {
	DEST_NONE,
	DEST_R,
	DEST_U
};

#define OPF_EXACT    0x001u /* writes just nr_dest registers: an earlier value is gone */
#define OPF_SIZED    0x002u /* nr_dest, or of stores nr_b, by the size field */
#define OPF_PD1      0x004u /* predicate written at bit 81 */
#define OPF_PD2      0x008u /* ... at bit 84 */
#define OPF_PS1      0x010u /* predicate read at bit 87 */
#define OPF_PS2      0x020u /* ... at bit 77 */
#define OPF_PS3      0x040u /* ... at bit 68 */
#define OPF_ALL_PS   0x080u /* reads or writes predicates by a mask */
#define OPF_RD_PLACE 0x100u /* reads memory of the block: SHARED and LOCAL */
#define OPF_WR_PLACE 0x200u
#define OPF_VOTE     0x400u  /* barrier with reduction, and the read of its result */
#define OPF_UC       0x800u  /* bits 64-71 name a uniform register: an address or descriptor */
#define OPF_PD0      0x1000u /* predicate written at bit 16, in place of a register */

struct insn {
	uint64_t lo, hi;
	const struct op *op;
	uint8_t major; /* of the compute capability */
};

struct insn insn_read(const uint8_t *code, size_t index, int cc_major);

/* May run always: no guard. Uniform branches have theirs elsewhere. */
int insn_is_unconditional(const struct insn *insn);

/* Index of the instruction jumped to, from that at `index`; may be out of range. */
int64_t insn_target(const struct insn *insn, size_t index);

/* Loads and atomics: may another block have written what this returns, and is it meant to? */
int insn_reads_other_blocks(const struct insn *insn);

void insn_uses(const struct insn *insn, struct regs *ret_uses);
/* `kills` holds those that are surely written; `defs` all that may be. */
void insn_defs(const struct insn *insn, struct regs *ret_defs, struct regs *ret_kills);

/* Quick look before insn_defs(): 0 when none of `wanted` is written, 1 when some may be. */
int insn_may_write(const struct insn *insn, const struct regs *wanted);

unsigned int insn_opcode(const struct insn *insn); /* nine bits, without the operand form */
unsigned int insn_form(const struct insn *insn);
unsigned int insn_dest(const struct insn *insn);
unsigned int insn_a(const struct insn *insn);
unsigned int insn_b(const struct insn *insn);
unsigned int insn_c(const struct insn *insn);
/* `R = R`: the register copied from; REG_ZERO when it is none. */
unsigned int insn_copied_from(const struct insn *insn);
/* An IMAD with two zero factors and an unsigned summand that is not negated: a copy. */
int insn_is_plain_sum(const struct insn *insn);
/* Computes with floating-point numbers, and does not only convert or move one. */
int insn_is_float_arithmetic(const struct insn *insn);
/* A constant or count that is above zero is what this puts into its register. */
int insn_makes_positive(const struct insn *insn);
unsigned int insn_bits(const struct insn *insn, unsigned int at, unsigned int count);

static inline void regs_add(struct regs *regs, unsigned int bit)
{
	regs->words[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static inline int regs_has(const struct regs *regs, unsigned int bit)
{
	return (regs->words[bit / 64] >> (bit % 64)) & 1;
}

static inline int regs_meet(const struct regs *a, const struct regs *b)
{
	uint64_t both = 0;

	for (unsigned int i = 0; i < REG_NR_WORDS; i++)
		both |= a->words[i] & b->words[i];
	return both != 0;
}

/* Returns whether `regs` grew. */
static inline int regs_join(struct regs *regs, const struct regs *more)
{
	uint64_t fresh = 0;

	for (unsigned int i = 0; i < REG_NR_WORDS; i++) {
		fresh |= more->words[i] & ~regs->words[i];
		regs->words[i] |= more->words[i];
	}
	return fresh != 0;
}

static inline void regs_drop(struct regs *regs, const struct regs *gone)
{
	for (unsigned int i = 0; i < REG_NR_WORDS; i++)
		regs->words[i] &= ~gone->words[i];
}

#endif
