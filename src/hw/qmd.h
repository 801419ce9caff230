/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch descriptors (QMD, "queue meta data") of NVIDIA GPUs, by version.
 *
 * Glossary
 *   QMD      what the driver uploads for one grid: entry point, grid, resources, masks, releases.
 *   version  byte inside the QMD, high nibble major, low nibble minor; 0x40 is V04_00 (Hopper).
 *   layout   one table per version: where each field lives. Rows come from qmd_fields.def, whose
 *            source is the class headers NVIDIA publishes (NVIDIA/open-gpu-doc, classes/compute).
 *   bank     constant buffer slot of the kernel, 0..7.
 *
 * The layouts are constant data. All functions are pure, take no lock and may be called from any
 * thread. A field that a version does not have reads as -ENOENT from qmd_find and is never written.
 */
#ifndef LITHOS_HW_QMD_H
#define LITHOS_HW_QMD_H

#include <stddef.h>
#include <stdint.h>

#include <lithos/tpcset.h>

/* One row per field lithos reads or writes; the same names in every version that has the field. */
enum qmd_field {
#define QMD_FIELD(name, sentence) QMD_##name,
#include "qmd_names.def"
#undef QMD_FIELD
	QMD_NR_FIELDS
};

enum qmd_grid_type {
	QMD_GRID_NULL = 1, /* carries no grid: a driver-internal task */
	QMD_GRID_ORDINARY = 2,
	QMD_GRID_CLUSTER = 3,             /* GPC_CGA */
	QMD_GRID_COOPERATIVE = 4,         /* GPU_CGA: all blocks resident at once */
	QMD_GRID_COOPERATIVE_CLUSTER = 5, /* GPU_GPC_CGA: both */
};

/*
 * A run of bits. width 0: this version has no such field. stride is the distance of element i from
 * i-1; 0 when all elements share the same bits.
 */
struct qmd_range {
	uint16_t lo;
	uint8_t width;
	uint8_t count;
	uint16_t stride;
};

struct qmd_layout {
	const char *name;    /* "V04_00" */
	uint8_t version;     /* 0x40 */
	uint8_t verified;    /* 1 = every field used was seen to work on hardware */
	uint16_t version_lo; /* first bit of the version byte inside the QMD */
	uint16_t size_bytes;
	uint8_t sms_per_mask_bit; /* 2 where the mask has a bit per TPC, 1 where it has a bit per SM
				   */
	struct qmd_range field[QMD_NR_FIELDS];
};

/* All known layouts, terminated by NULL. */
extern const struct qmd_layout *const qmd_layouts[];

const struct qmd_layout *qmd_layout_by_name(const char *name);

/*
 * The layout a descriptor was written in, told by its own version byte. `cc_major` is the compute
 * capability's major number (9 = Hopper) and says where to look: 7 to 9 at bit 576 (up to V04_00),
 * 10 and up at bit 464 (V05_00, V05_01) and at bit 576 (V04_01). NULL: unknown version, or a
 * Blackwell descriptor that reads as a known version at both places.
 */
const struct qmd_layout *qmd_layout_of(const void *qmd, int cc_major);

/* Reads element `index` of a field; -ENOENT when the version lacks it, -EINVAL for a bad index. */
int qmd_get(const struct qmd_layout *layout, const void *qmd, enum qmd_field field,
	    unsigned int index, uint64_t *ret_value);

/* Writes one; additionally -ERANGE when the value does not fit. Nothing is written on error. */
int qmd_set(const struct qmd_layout *layout, void *qmd, enum qmd_field field, unsigned int index,
	    uint64_t value);

const char *qmd_field_name(enum qmd_field field);

/*
 * What lithos needs to know of a grid, decoded. Values as in the descriptor; addresses in bytes. On
 * V04_00 `grid` counts what the type launches as one: blocks, clusters (type 3), or whole gangs
 * (types 4 and 5; a cooperative launch of 100 blocks has grid 1,1,1 and gang 100,1,1). Blocks of a
 * launch are qmd_grid_blocks().
 */
struct qmd_grid {
	uint32_t type; /* enum qmd_grid_type; versions without the field read as ordinary */
	uint32_t grid[3];
	uint32_t block[3];
	uint32_t cluster[3];   /* blocks of a cluster; 1,1,1 when not a cluster grid */
	uint32_t gang[3];      /* blocks, or clusters, of a cooperative gang; 1,1,1 when not one */
	uint32_t registers;    /* per thread */
	uint32_t shared_bytes; /* per block; from Ampere on the 1 KiB that the system takes is in it
				*/
	uint32_t barriers;
	uint64_t entry;         /* program address */
	struct tpcset disabled; /* all zero when the mask is not valid or counts SMs */
	int mask_valid;
};

/* 0, or -EINVAL when the descriptor's version byte is not the layout's. */
int qmd_decode_grid(const struct qmd_layout *layout, const void *qmd, struct qmd_grid *ret_grid);

/* All blocks of the launch: grid x gang x cluster. */
uint64_t qmd_grid_blocks(const struct qmd_grid *grid);

/* Blocks of one cluster; 1 when not a cluster grid. */
uint32_t qmd_grid_cluster_blocks(const struct qmd_grid *grid);

int qmd_grid_is_cooperative(const struct qmd_grid *grid);

/*
 * Disables every TPC outside `allowed`, on top of what the descriptor disables already. -ENOTSUP
 * for versions without a TPC mask: V02 and V03 have a mask by SM whose bits are not known to
 * lithos, V05_01 has none.
 */
int qmd_restrict(const struct qmd_layout *layout, void *qmd, const struct tpcset *allowed);

/*
 * Arms release `index` (1 or 2; 0 is the driver's) to write the four words {payload, 0, 64-bit
 * timestamp} to a 16-byte aligned address, after a system memory barrier. -EINVAL: index or
 * alignment; -ENOTSUP: this version has no such release; -ERANGE: the address does not fit.
 */
int qmd_arm_release(const struct qmd_layout *layout, void *qmd, unsigned int index,
		    uint64_t address, uint32_t payload);

/*
 * Prints "NAME value" lines of every field that is not zero into buf. Returns the length that the
 * whole text needs, like snprintf; the text is cut at `size`.
 */
size_t qmd_print(const struct qmd_layout *layout, const void *qmd, char *buf, size_t size);

#endif
