/* SPDX-License-Identifier: Apache-2.0 */
/*
 * V04_00 descriptors on the launch path: the same edits as qmd.h, without walking tables.
 *
 * `words` is the descriptor as the hook hands it out: 96 words, 4-byte aligned. Offsets are made of
 * the rows of qmd_fields.def; tests/unit/qmd_fast.c proves every function equal to its table
 * version. Budget: 5 ns for the mask, 5 ns for the release; no branch that depends on the
 * descriptor. Pure.
 */
#ifndef LITHOS_HW_QMD_FAST_H
#define LITHOS_HW_QMD_FAST_H

#include <assert.h>
#include <stdint.h>

#include <lithos/tpcset.h>

/* QMD_AT_<version>_<field>_LO and _WIDTH: first bit and size of element 0. */
/* clang-format off */
enum qmd_at {
#define QMD_LAYOUT(...)
#define QMD_ROW(v, name, lo, width, count, stride) \
	QMD_AT_##v##_##name##_LO = (lo), QMD_AT_##v##_##name##_WIDTH = (width), \
	QMD_AT_##v##_##name##_STRIDE = (stride),
#include "hw/qmd_fields.def"
#undef QMD_LAYOUT
#undef QMD_ROW
};
/* clang-format on */

/* Word, and bit inside the word, where element i of a V04_00 field starts. */
#define QMD_V04_00_BIT(field, i)   (QMD_AT_V04_00_##field##_LO + (i)*QMD_AT_V04_00_##field##_STRIDE)
#define QMD_V04_00_WORD(field, i)  (QMD_V04_00_BIT(field, i) / 32)
#define QMD_V04_00_SHIFT(field, i) (QMD_V04_00_BIT(field, i) % 32)
#define QMD_V04_00_MASK(field, i)                                                                  \
	(((1u << (QMD_AT_V04_00_##field##_WIDTH % 32)) - 1) << QMD_V04_00_SHIFT(field, i))

#define QMD_V04_00_BYTES 384

/* The functions below move whole words or fields inside one word. */
static_assert(QMD_V04_00_SHIFT(TPC_DISABLE_MASK, 0) == 0, "mask words are words");
static_assert(QMD_AT_V04_00_TPC_DISABLE_MASK_STRIDE == 32, "mask words are adjacent");
static_assert(QMD_V04_00_SHIFT(RELEASE_ADDRESS_LOWER, 1) == 0, "a word");
static_assert(QMD_V04_00_SHIFT(RELEASE_ADDRESS_UPPER, 1) == 0, "the low bits of a word");
static_assert(QMD_V04_00_SHIFT(RELEASE_PAYLOAD_LOWER, 1) == 0, "a word");
static_assert(QMD_V04_00_SHIFT(RELEASE_PAYLOAD_UPPER, 1) == 0, "a word");
static_assert(QMD_V04_00_WORD(RELEASE_ENABLE, 1) == QMD_V04_00_WORD(RELEASE_PAYLOAD64B, 1),
	      "all control bits of release 1 lie in one word");
static_assert(QMD_V04_00_SHIFT(QMD_MINOR_VERSION, 0) <= 24, "the version byte lies in one word");
static_assert(QMD_V04_00_BIT(QMD_MAJOR_VERSION, 0) == QMD_V04_00_BIT(QMD_MINOR_VERSION, 0) + 4,
	      "major and minor make a byte");

static inline int qmd_v04_00_version_is(const uint32_t *words)
{
	return ((words[QMD_V04_00_WORD(QMD_MINOR_VERSION, 0)] >>
		 QMD_V04_00_SHIFT(QMD_MINOR_VERSION, 0)) &
		0xff) == 0x40;
}

/* enum qmd_grid_type */
static inline uint32_t qmd_v04_00_type(const uint32_t *words)
{
	return (words[QMD_V04_00_WORD(QMD_TYPE, 0)] & QMD_V04_00_MASK(QMD_TYPE, 0)) >>
	       QMD_V04_00_SHIFT(QMD_TYPE, 0);
}

/* All ones when the descriptor's own mask counts, else zero. */
static inline uint32_t qmd_v04_00_mask_counts(const uint32_t *words)
{
	return -((words[QMD_V04_00_WORD(TPC_DISABLE_MASK_VALID, 0)] >>
		  QMD_V04_00_SHIFT(TPC_DISABLE_MASK_VALID, 0)) &
		 1u);
}

/* What the descriptor disables; empty when its mask does not count. */
static inline struct tpcset qmd_v04_00_disabled(const uint32_t *words)
{
	uint32_t counts = qmd_v04_00_mask_counts(words);
	struct tpcset set;

	for (unsigned int i = 0; i < TPCSET_WORDS; i++)
		set.w[i] = words[QMD_V04_00_WORD(TPC_DISABLE_MASK, 0) + i] & counts;
	return set;
}

/* As qmd_restrict, but takes the TPCs to disable: the complement of what is allowed. */
static inline void qmd_v04_00_restrict(uint32_t *words, const struct tpcset *disable)
{
	struct tpcset set = tpcset_or(qmd_v04_00_disabled(words), *disable);

	for (unsigned int i = 0; i < TPCSET_WORDS; i++)
		words[QMD_V04_00_WORD(TPC_DISABLE_MASK, 0) + i] = set.w[i];
	words[QMD_V04_00_WORD(TPC_DISABLE_MASK_VALID, 0)] |=
		QMD_V04_00_MASK(TPC_DISABLE_MASK_VALID, 0);
}

/* Control bits of release 1: enabled, four words, after a system barrier, a 32-bit store. */
static inline void qmd_v04_00_enable_release1(uint32_t *words)
{
	uint32_t clear = QMD_V04_00_MASK(RELEASE_STRUCTURE_SIZE, 1) |
			 QMD_V04_00_MASK(RELEASE_REDUCTION_ENABLE, 1) |
			 QMD_V04_00_MASK(RELEASE_PAYLOAD64B, 1);
	uint32_t set = QMD_V04_00_MASK(RELEASE_ENABLE, 1) | QMD_V04_00_MASK(RELEASE_MEMBAR_TYPE, 1);
	uint32_t *word = &words[QMD_V04_00_WORD(RELEASE_ENABLE, 1)];

	*word = (*word & ~clear) | set;
}

/* Nobody armed release 1 yet; a profiler that was given the descriptor before us may have. */
static inline int qmd_v04_00_release1_is_free(const uint32_t *words)
{
	return !(words[QMD_V04_00_WORD(RELEASE_ENABLE, 1)] & QMD_V04_00_MASK(RELEASE_ENABLE, 1));
}

/* As qmd_arm_release for release 1; the address is below 2^57 and 16-byte aligned. */
static inline void qmd_v04_00_arm_release1(uint32_t *words, uint64_t address, uint32_t payload)
{
	uint32_t *upper = &words[QMD_V04_00_WORD(RELEASE_ADDRESS_UPPER, 1)];

	words[QMD_V04_00_WORD(RELEASE_ADDRESS_LOWER, 1)] = (uint32_t)address;
	*upper = (*upper & ~QMD_V04_00_MASK(RELEASE_ADDRESS_UPPER, 1)) | (uint32_t)(address >> 32);
	words[QMD_V04_00_WORD(RELEASE_PAYLOAD_LOWER, 1)] = payload;
	words[QMD_V04_00_WORD(RELEASE_PAYLOAD_UPPER, 1)] = 0;
	qmd_v04_00_enable_release1(words);
}

#endif
