/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of TPCs, numbered as the hardware's disable mask numbers them.
 *
 * Bit i of the set is bit i of TPC_DISABLE_MASK in the launch descriptor (QMD), which has 128 bits.
 * A set says which TPCs may be used; the hardware's field says which may not, so the edit of a
 * descriptor writes the complement. Bit numbers are not TPC indices: some bits name no TPC on a
 * given chip (measured on H100 and H200, see docs/hardware.md).
 *
 * Everything here is pure and safe to call from any thread.
 */
#ifndef LITHOS_TPCSET_H
#define LITHOS_TPCSET_H

#include <stdint.h>

#define TPCSET_BITS  128
#define TPCSET_WORDS 4

struct tpcset {
	uint32_t w[TPCSET_WORDS];
};

static inline struct tpcset tpcset_full(void)
{
	return (struct tpcset){{UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}};
}

static inline void tpcset_add(struct tpcset *set, unsigned int bit)
{
	set->w[bit / 32] |= 1u << (bit % 32);
}

static inline void tpcset_remove(struct tpcset *set, unsigned int bit)
{
	set->w[bit / 32] &= ~(1u << (bit % 32));
}

static inline int tpcset_has(const struct tpcset *set, unsigned int bit)
{
	return (set->w[bit / 32] >> (bit % 32)) & 1;
}

static inline struct tpcset tpcset_and(struct tpcset a, struct tpcset b)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		a.w[i] &= b.w[i];
	return a;
}

static inline struct tpcset tpcset_or(struct tpcset a, struct tpcset b)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		a.w[i] |= b.w[i];
	return a;
}

static inline struct tpcset tpcset_andnot(struct tpcset a, struct tpcset b)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		a.w[i] &= ~b.w[i];
	return a;
}

static inline struct tpcset tpcset_not(struct tpcset a)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		a.w[i] = ~a.w[i];
	return a;
}

static inline int tpcset_is_empty(const struct tpcset *set)
{
	return !(set->w[0] | set->w[1] | set->w[2] | set->w[3]);
}

static inline int tpcset_equal(const struct tpcset *a, const struct tpcset *b)
{
	return a->w[0] == b->w[0] && a->w[1] == b->w[1] && a->w[2] == b->w[2] && a->w[3] == b->w[3];
}

static inline unsigned int tpcset_count(const struct tpcset *set)
{
	unsigned int n = 0;

	for (int i = 0; i < TPCSET_WORDS; i++)
		n += (unsigned int)__builtin_popcount(set->w[i]);
	return n;
}

#endif
