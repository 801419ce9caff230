/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing launch descriptors through tables.
 *
 * Problem: the same facts (where is the mask, where the release address) live at other bits in
 * every generation, and a wrong bit hangs the GPU or corrupts memory. Idea: no code knows an
 * offset. The rows of qmd_fields.def become one constant table per version, and everything below
 * works on a table. A version that is not in the table is refused, never guessed.
 *
 * What it does badly: a field access walks bits word by word, some 5 ns each. The launch path uses
 * qmd_fast.h instead, which is made of the same rows and is proven equal to this file by a test.
 *
 * V05_00 has 256 mask bits and V04_01 an upper mask; a set has 128. TPCs that a set cannot name are
 * outside of it, so qmd_restrict disables them. Both versions are unverified.
 *
 * Tested by tests/unit/qmd_*.c, with descriptors recorded from a real GPU.
 */
#include "hw/qmd.h"

#include <errno.h>
#include <string.h>

enum layout_index {
#define QMD_LAYOUT(version, ...) LAYOUT_##version,
#define QMD_ROW(...)
#include "hw/qmd_fields.def"
#undef QMD_LAYOUT
#undef QMD_ROW
	NR_LAYOUTS
};

/* clang-format off */
static const struct qmd_layout layout_table[NR_LAYOUTS] = {
#define QMD_LAYOUT(v, byte, lo, bytes, sms, checked) \
	[LAYOUT_##v].name = #v, [LAYOUT_##v].version = (byte), [LAYOUT_##v].version_lo = (lo), \
	[LAYOUT_##v].size_bytes = (bytes), [LAYOUT_##v].sms_per_mask_bit = (sms), \
	[LAYOUT_##v].verified = (checked),
#define QMD_ROW(v, name, lo, width, count, stride) \
	[LAYOUT_##v].field[QMD_##name] = {(lo), (width), (count), (stride)},
#include "hw/qmd_fields.def"
#undef QMD_LAYOUT
#undef QMD_ROW
};

const struct qmd_layout *const qmd_layouts[] = {
#define QMD_LAYOUT(v, ...) &layout_table[LAYOUT_##v],
#define QMD_ROW(...)
#include "hw/qmd_fields.def"
#undef QMD_LAYOUT
#undef QMD_ROW
	NULL,
};

static const char *const field_names[QMD_NR_FIELDS] = {
#define QMD_FIELD(name, sentence) [QMD_##name] = #name,
#include "hw/qmd_names.def"
#undef QMD_FIELD
};
/* clang-format on */

/* The release encodings are the same in all versions that have them. */
#define RELEASE_FOUR_WORDS 0
#define RELEASE_SYSMEMBAR  1

static uint32_t mask_of(unsigned int width)
{
	return width >= 32 ? UINT32_MAX : (1u << width) - 1;
}

/* One step of a bit run: as much as lies in one word. */
static unsigned int bits_in_word(unsigned int lo, unsigned int width)
{
	unsigned int room = 32 - lo % 32;

	return width < room ? width : room;
}

static uint64_t bits_read(const uint32_t *words, unsigned int lo, unsigned int width)
{
	uint64_t value = 0;

	for (unsigned int done = 0; done < width;) {
		unsigned int n = bits_in_word(lo + done, width - done);
		uint32_t part = (words[(lo + done) / 32] >> ((lo + done) % 32)) & mask_of(n);

		value |= (uint64_t)part << done;
		done += n;
	}
	return value;
}

static void bits_write(uint32_t *words, unsigned int lo, unsigned int width, uint64_t value)
{
	for (unsigned int done = 0; done < width;) {
		unsigned int n = bits_in_word(lo + done, width - done);
		unsigned int shift = (lo + done) % 32;
		uint32_t *word = &words[(lo + done) / 32];
		uint32_t part = (uint32_t)(value >> done) & mask_of(n);

		*word = (*word & ~(mask_of(n) << shift)) | (part << shift);
		done += n;
	}
}

const struct qmd_layout *qmd_layout_by_name(const char *name)
{
	for (int i = 0; i < NR_LAYOUTS; i++) {
		if (!strcmp(layout_table[i].name, name))
			return &layout_table[i];
	}
	return NULL;
}

static int layout_is_of(const struct qmd_layout *layout, const uint32_t *words, int cc_major)
{
	int is_blackwell = layout->version > layout_table[LAYOUT_V04_00].version;

	if (is_blackwell != (cc_major >= 10))
		return 0;
	return bits_read(words, layout->version_lo, 8) == layout->version;
}

const struct qmd_layout *qmd_layout_of(const void *qmd, int cc_major)
{
	const struct qmd_layout *found = NULL;

	if (cc_major < 7)
		return NULL;
	for (int i = 0; i < NR_LAYOUTS; i++) {
		if (!layout_is_of(&layout_table[i], qmd, cc_major))
			continue;
		if (found)
			return NULL;
		found = &layout_table[i];
	}
	return found;
}

static int range_of(const struct qmd_layout *layout, enum qmd_field field, unsigned int index,
		    const struct qmd_range **ret_range)
{
	if ((unsigned int)field >= QMD_NR_FIELDS || !layout->field[field].width)
		return -ENOENT;
	if (index >= layout->field[field].count)
		return -EINVAL;
	*ret_range = &layout->field[field];
	return 0;
}

int qmd_get(const struct qmd_layout *layout, const void *qmd, enum qmd_field field,
	    unsigned int index, uint64_t *ret_value)
{
	const struct qmd_range *range = NULL;
	int r = range_of(layout, field, index, &range);
	if (r < 0)
		return r;
	*ret_value = bits_read(qmd, range->lo + index * range->stride, range->width);
	return 0;
}

int qmd_set(const struct qmd_layout *layout, void *qmd, enum qmd_field field, unsigned int index,
	    uint64_t value)
{
	const struct qmd_range *range = NULL;
	int r = range_of(layout, field, index, &range);
	if (r < 0)
		return r;
	if (range->width < 64 && value >> range->width)
		return -ERANGE;
	bits_write(qmd, range->lo + index * range->stride, range->width, value);
	return 0;
}

const char *qmd_field_name(enum qmd_field field)
{
	return (unsigned int)field < QMD_NR_FIELDS ? field_names[field] : NULL;
}

/* The value of a field, or `missing` when the version lacks it. */
static uint64_t field_or(const struct qmd_layout *layout, const void *qmd, enum qmd_field field,
			 uint64_t missing)
{
	uint64_t value = missing;

	(void)qmd_get(layout, qmd, field, 0, &value);
	return value;
}

/* Three consecutive fields: a width, height and depth. Zero counts as one. */
static void decode_dims(const struct qmd_layout *layout, const void *qmd, enum qmd_field first,
			uint32_t dims[3])
{
	for (unsigned int i = 0; i < 3; i++) {
		dims[i] = (uint32_t)field_or(layout, qmd, (enum qmd_field)(first + i), 1);
		if (!dims[i])
			dims[i] = 1;
	}
}

static void decode_mask(const struct qmd_layout *layout, const void *qmd, struct qmd_grid *grid)
{
	if (!field_or(layout, qmd, QMD_TPC_DISABLE_MASK_VALID, 0) || layout->sms_per_mask_bit != 2)
		return;
	for (unsigned int i = 0; i < TPCSET_WORDS; i++) {
		uint64_t word = 0;

		(void)qmd_get(layout, qmd, QMD_TPC_DISABLE_MASK, i, &word);
		grid->disabled.w[i] = (uint32_t)word;
	}
	grid->mask_valid = 1;
}

static uint64_t decode_entry(const struct qmd_layout *layout, const void *qmd)
{
	uint64_t plain = field_or(layout, qmd, QMD_PROGRAM_ADDRESS_UPPER, 0) << 32 |
			 field_or(layout, qmd, QMD_PROGRAM_ADDRESS_LOWER, 0);
	uint64_t shifted = field_or(layout, qmd, QMD_PROGRAM_ADDRESS_SHIFTED4_UPPER, 0) << 32 |
			   field_or(layout, qmd, QMD_PROGRAM_ADDRESS_SHIFTED4_LOWER, 0);

	return plain | shifted << 4;
}

static int type_has_clusters(uint32_t type)
{
	return type == QMD_GRID_CLUSTER || type == QMD_GRID_COOPERATIVE_CLUSTER;
}

static int type_has_gang(uint32_t type)
{
	return type == QMD_GRID_COOPERATIVE || type == QMD_GRID_COOPERATIVE_CLUSTER;
}

int qmd_decode_grid(const struct qmd_layout *layout, const void *qmd, struct qmd_grid *ret_grid)
{
	struct qmd_grid grid = {.cluster = {1, 1, 1}, .gang = {1, 1, 1}};

	if (bits_read(qmd, layout->version_lo, 8) != layout->version)
		return -EINVAL;
	grid.type = (uint32_t)field_or(layout, qmd, QMD_QMD_TYPE, QMD_GRID_ORDINARY);
	decode_dims(layout, qmd, QMD_GRID_WIDTH, grid.grid);
	decode_dims(layout, qmd, QMD_CTA_THREAD_DIMENSION0, grid.block);
	if (type_has_clusters(grid.type))
		decode_dims(layout, qmd, QMD_GPC_CGA_WIDTH, grid.cluster);
	if (type_has_gang(grid.type))
		decode_dims(layout, qmd, QMD_GPU_CGA_WIDTH, grid.gang);
	grid.registers = (uint32_t)field_or(layout, qmd, QMD_REGISTER_COUNT, 0);
	grid.barriers = (uint32_t)field_or(layout, qmd, QMD_BARRIER_COUNT, 0);
	grid.shared_bytes =
		(uint32_t)(field_or(layout, qmd, QMD_SHARED_MEMORY_SIZE, 0) |
			   field_or(layout, qmd, QMD_SHARED_MEMORY_SIZE_SHIFTED7, 0) << 7);
	grid.entry = decode_entry(layout, qmd);
	decode_mask(layout, qmd, &grid);
	*ret_grid = grid;
	return 0;
}

uint64_t qmd_grid_blocks(const struct qmd_grid *grid)
{
	uint64_t blocks = 1;

	for (int i = 0; i < 3; i++)
		blocks *= (uint64_t)grid->grid[i] * grid->gang[i] * grid->cluster[i];
	return blocks;
}

uint32_t qmd_grid_cluster_blocks(const struct qmd_grid *grid)
{
	return grid->cluster[0] * grid->cluster[1] * grid->cluster[2];
}

int qmd_grid_is_cooperative(const struct qmd_grid *grid)
{
	return type_has_gang(grid->type);
}

/* Ones into every element of a field; nothing when the version lacks it. */
static void fill_from(const struct qmd_layout *layout, void *qmd, enum qmd_field field,
		      unsigned int index)
{
	for (; index < layout->field[field].count; index++)
		(void)qmd_set(layout, qmd, field, index, UINT32_MAX);
}

int qmd_restrict(const struct qmd_layout *layout, void *qmd, const struct tpcset *allowed)
{
	if (layout->sms_per_mask_bit != 2 || !layout->field[QMD_TPC_DISABLE_MASK_VALID].width ||
	    layout->field[QMD_TPC_DISABLE_MASK].count < TPCSET_WORDS)
		return -ENOTSUP;
	/* Words behind a mask that is not valid mean nothing and must not be kept. */
	int was_valid = field_or(layout, qmd, QMD_TPC_DISABLE_MASK_VALID, 0) != 0;
	for (unsigned int i = 0; i < TPCSET_WORDS; i++) {
		uint64_t old = 0;

		if (was_valid)
			(void)qmd_get(layout, qmd, QMD_TPC_DISABLE_MASK, i, &old);
		(void)qmd_set(layout, qmd, QMD_TPC_DISABLE_MASK, i, (uint32_t)old | ~allowed->w[i]);
	}
	fill_from(layout, qmd, QMD_TPC_DISABLE_MASK, TPCSET_WORDS);
	fill_from(layout, qmd, QMD_TPC_DISABLE_MASK_UPPER, 0);
	return qmd_set(layout, qmd, QMD_TPC_DISABLE_MASK_VALID, 0, 1);
}

int qmd_arm_release(const struct qmd_layout *layout, void *qmd, unsigned int index,
		    uint64_t address, uint32_t payload)
{
	const struct qmd_range *upper = &layout->field[QMD_RELEASE_ADDRESS_UPPER];

	if (index < 1 || index > 2 || address % 16)
		return -EINVAL;
	if (index >= upper->count)
		return -ENOTSUP;
	if (address >> 32 >> upper->width)
		return -ERANGE;
	/* From here on nothing can fail but fields this version does without: V02 has a 32-bit
	 * payload only. */
	(void)qmd_set(layout, qmd, QMD_RELEASE_ADDRESS_LOWER, index, (uint32_t)address);
	(void)qmd_set(layout, qmd, QMD_RELEASE_ADDRESS_UPPER, index, address >> 32);
	(void)qmd_set(layout, qmd, QMD_RELEASE_PAYLOAD_LOWER, index, payload);
	(void)qmd_set(layout, qmd, QMD_RELEASE_PAYLOAD_UPPER, index, 0);
	(void)qmd_set(layout, qmd, QMD_RELEASE_PAYLOAD64B, index, 0);
	(void)qmd_set(layout, qmd, QMD_RELEASE_REDUCTION_ENABLE, index, 0);
	(void)qmd_set(layout, qmd, QMD_RELEASE_STRUCTURE_SIZE, index, RELEASE_FOUR_WORDS);
	(void)qmd_set(layout, qmd, QMD_RELEASE_MEMBAR_TYPE, index, RELEASE_SYSMEMBAR);
	return qmd_set(layout, qmd, QMD_RELEASE_ENABLE, index, 1);
}
