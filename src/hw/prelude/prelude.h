/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preludes: a few instructions that a redirected launch runs before the kernel's own.
 *
 * Glossary
 *   prelude   machine code of ours, reached through the descriptor's PROGRAM_ADDRESS; nothing in
 *             the program's modules is changed. Source: tools/prelude/prelude.ptx.
 *   slot      64 bytes in constant bank 6 that tell a prelude what to do. One a launch; it must
 *             stay as it is until the launch has completed.
 *   gate      only blocks of a range run
 *   claim     every block, or every cluster, decides once whether it runs: see the words
 *   work      all claimed launches of one kernel launch of the program; they share the words
 *   lead      the launch that others of its work join: helpers; each other launch is its own lead
 *   word      what a claim leaves behind, one a block: n = launch number n runs it; n + 1 = launch
 *             n gave it up; n + 3 = its lead did as well. Numbers are multiples of four and grow
 *             for the life of the words. The word of a cluster is that of its first block.
 *   epoch     a word in device memory that only grows; a launch is told to go when it has moved
 *             past the value `calm` that the launch was given: (int32_t)(word - calm) > 0
 *   header    two words before the first word: at -4 `disarm`, a launch number: launches up to it
 *             are not told to go any more; at -8 `told`, the last launch that reported
 *   report    host memory: the launch stores its number there once it has given a block up, before
 *             its completion record is written
 *
 * Of the launches of a work that are on the device at once, all but one have that one as their
 * lead, and beside the lead one at most may be told to go: a word has room for two that gave the
 * block up. When that one has ended, another may be told to go.
 *
 * Size on sm_90: the gate 16 instructions and 4 registers, the claim 101 and 13
 * (tests/data/prelude). Costs (measured on H100, shared/facts, with a claim of 83 instructions): a
 * block that leaves takes 0.6 ns of the grid; the gate adds 0.1 % to blocks of 50 us, 0.5 % at 10
 * us, 2.5 % at 2 us; the claim 0.2, 1.2 and 6 %.
 */
#ifndef LITHOS_HW_PRELUDE_H
#define LITHOS_HW_PRELUDE_H

#include <stddef.h>
#include <stdint.h>

#include <cuda.h>

struct driver_ops;
struct qmd_layout;

#define PRELUDE_BANK         6u  /* no kernel seen uses it; one that does is left alone */
#define PRELUDE_REGISTERS    24u /* a thread needs at least so many */
#define PRELUDE_SLOT_BYTES   64u
#define PRELUDE_HEADER_BYTES 8u /* before the words */
#define PRELUDE_NUMBER_STEP  4u /* between numbers of launches */

struct prelude_slot {
	uint32_t lo; /* gate: first block of the range; a cluster counts by its first block */
	union {
		uint32_t count; /* gate: blocks in it */
		uint32_t lead;  /* claim: number of the launch that this one joins, or its own */
	};
	uint64_t entry;   /* the kernel's entry point */
	uint64_t state;   /* claim: device address of the words, 8-byte aligned */
	uint64_t flag[2]; /* claim: device addresses of epochs; both valid, may be the same */
	uint32_t calm[2]; /* claim: their values at the launch */
	uint32_t first;   /* claim: number of the first launch of this work */
	uint32_t run;     /* claim: number of this launch, at least `first` */
	uint64_t report;  /* claim: device address of a word of host memory */
};

_Static_assert(sizeof(struct prelude_slot) == PRELUDE_SLOT_BYTES, "layout");
_Static_assert(offsetof(struct prelude_slot, lead) == 4, "prelude.ptx");
_Static_assert(offsetof(struct prelude_slot, entry) == 8, "prelude.ptx");
_Static_assert(offsetof(struct prelude_slot, flag) == 24, "prelude.ptx");
_Static_assert(offsetof(struct prelude_slot, calm) == 40, "prelude.ptx");
_Static_assert(offsetof(struct prelude_slot, first) == 48, "prelude.ptx");
_Static_assert(offsetof(struct prelude_slot, report) == 56, "prelude.ptx");

enum prelude_kind {
	PRELUDE_GATE,
	PRELUDE_CLAIM,
	PRELUDE_GATE_CLUSTER, /* for descriptors of cluster grids; entry 0 where there are none */
	PRELUDE_CLAIM_CLUSTER,
	PRELUDE_NR
};

/* Where the preludes lie in one context. */
struct prelude {
	uint64_t entry[PRELUDE_NR];
	/* An ordinary kernel: (const uint64_t *from, uint64_t *to, uint32_t nr_words), one block of
	 * any size copies; reads machine code too, which copies of the driver refuse. */
	CUfunction reader;
};

/* The image for a compute capability, an ELF file; NULL when there is none. */
const void *prelude_image(int cc_major, int cc_minor, size_t *ret_bytes);

/* Name of an entry in the image. */
const char *prelude_name(enum prelude_kind kind);

/*
 * Loads the image into the current context and learns where the entries lie, by launching each once
 * with a slot that makes it leave. `slot` is host memory that the GPU reads at slot_address,
 * 64-byte aligned; free for other use afterwards. The module stays loaded with the context. 0;
 * -ENOENT no image for this device; -ENOTSUP the descriptor cannot be redirected; -EIO a driver
 * call failed or the prelude did not do as told. The hook of hw/tools_hook.h must call
 * prelude_hook().
 */
int prelude_open(const struct driver_ops *ops, int cc_major, int cc_minor,
		 struct prelude_slot *slot, uint64_t slot_address, struct prelude *ret_prelude);

struct qmd_event;

/* What one block of the reader copies, by device addresses. */
struct prelude_copy {
	uint64_t from; /* may be code; all of it is mapped */
	uint64_t to;
	uint32_t nr_words; /* of 8 bytes */
	uint32_t nr_threads;
};

/* Queues a copy; the context of the preludes is current. What the driver's launch call returns. */
CUresult prelude_read(const struct driver_ops *ops, const struct prelude *prelude,
		      const struct prelude_copy *copy, CUstream stream);

/* The hook's part of prelude_open() and prelude_read(): 1 when the event was one of their launches.
 * Any thread. */
int prelude_hook(const struct qmd_event *event);

/* 1 when the kernel uses bank 6 itself, or this version's descriptor has no such bank. */
int prelude_bank_is_taken(const struct qmd_layout *layout, const void *qmd);

/*
 * Sends a launch through a prelude: entry point, bank 6 and, if the kernel has fewer, the
 * registers. -EBUSY the bank is taken; -ENOTSUP the version lacks a field; -ERANGE an address does
 * not fit; -EINVAL the slot is not 64-byte aligned. The descriptor is untouched on error.
 */
int prelude_redirect(const struct qmd_layout *layout, void *qmd, uint64_t prelude_entry,
		     uint64_t slot_address);

#endif
