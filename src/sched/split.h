/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole, in atoms, or claimed: how a launch is made, from what is known of it.
 *
 * Glossary
 *   wave      the blocks of a grid that are resident at once on the TPCs it may use
 *   atom      a launch of a range of the kernel's blocks
 *   claimed   blocks claim themselves and can be told to leave (hw/prelude/prelude.h)
 *   cost      what splitting adds to the kernel's time
 *
 * Pure: no state, no system call; any thread. Formulas and their sources: split.c.
 */
#ifndef LITHOS_SCHED_SPLIT_H
#define LITHOS_SCHED_SPLIT_H

#include <stdint.h>

#define SPLIT_MIN_NS    300000u /* shorter kernels are launched whole */
#define SPLIT_TARGET_NS 500000u /* of an atom, when nothing else is asked for */
#define SPLIT_LEAVE_NS  50000u  /* a claimed kernel leaves within this and one block */
#define SPLIT_MAX_ATOMS 64u

enum split_way {
	SPLIT_WHOLE,
	SPLIT_ATOMS,
	SPLIT_CLAIMED,
	SPLIT_NR_WAYS
};

/* Why; the order is that of the statistics file. */
enum split_reason {
	SPLIT_NOT_ASKED,   /* nobody asked: own TPCs only, not a tenant, or switched off */
	SPLIT_UNPREDICTED, /* whole: its time is not known yet */
	SPLIT_SHORT,       /* whole: ends before it would pay */
	SPLIT_ONE_WAVE, /* whole or claimed: all blocks begin at once, none can be kept back then */
	SPLIT_COOPERATIVE,  /* whole: launched as a gang */
	SPLIT_GANG,         /* whole: its blocks wait for one another */
	SPLIT_UNREAD,       /* whole: its code was not read yet, or could not be followed */
	SPLIT_NO_PRELUDE,   /* whole: no prelude here, bank 6 in use, or an unknown descriptor */
	SPLIT_NO_ROOM,      /* whole: more blocks than there are words, or all slots are in use */
	SPLIT_CHEAP_BLOCKS, /* whole or atoms: blocks too short for claims */
	SPLIT_MANY_OWNERS,  /* whole or atoms: TPCs of more owners than a slot has epochs */
	SPLIT_LONG_BLOCKS,  /* atoms or claimed: blocks run so long that an owner waits for them */
	SPLIT_LONG,         /* atoms or claimed: because it runs long */
	SPLIT_FORCED,       /* the option says so */
	SPLIT_MANY_BLOCKS,  /* whole or atoms: more blocks than leave within SPLIT_LEAVE_NS */
	SPLIT_NR_REASONS
};

/* What is known of a launch. */
struct split_input {
	uint64_t predicted_ns; /* on the TPCs it may use; 0 = unknown */
	uint64_t nr_blocks;
	uint64_t nr_resident; /* blocks of one wave there; 0 = unknown, taken as all */
	uint64_t target_ns;   /* of an atom; 0 = SPLIT_TARGET_NS */
	uint32_t nr_threads;  /* of a block */
	uint32_t granule;     /* blocks that must stay together: of a cluster; 0 or 1 = none */
	uint8_t may_claim;    /* else atoms at most */
	uint8_t may_atomize;  /* else claims at most */
};

struct split_plan {
	enum split_way way;
	enum split_reason reason;
	uint32_t nr_atoms;        /* of SPLIT_ATOMS, at least 2; else 1 */
	uint64_t blocks_per_atom; /* a multiple of the granule, and of a wave where that is known */
	uint64_t block_ns;        /* predicted time of a block; 0 = unknown */
};

/* Decides. Never fails: what is not known makes it whole. */
struct split_plan split_choose(const struct split_input *input);

/*
 * N atoms, or as many as there are granules (option `split=atoms:N`). All but the last are of one
 * size, so fewer than N where that does not come out even: 10 blocks in 6 atoms are 5 of 2. Fewer
 * than two atoms are a whole launch.
 */
struct split_plan split_forced_atoms(uint64_t nr_blocks, uint32_t granule, uint32_t nr_atoms);

const char *split_way_name(enum split_way way);

/* For people: "one wave: all blocks begin at once". */
const char *split_reason_text(enum split_reason reason);

#endif
