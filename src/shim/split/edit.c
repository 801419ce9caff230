/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of split launches.
 *
 * The first launch of a kernel that cannot be redirected (its bank 6 is in use, a gang) runs whole,
 * and nothing is lost. A later one must never run whole, since blocks of the kernel have run
 * already: should it find no record to end with, it is redirected to an empty range, and the
 * dispatcher tries again.
 *
 * Of two parts that may overlap, the one in front says so in its descriptor, only if it is
 * redirected; the one behind is launched with an attribute (queue/launch.c).
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/edit.h"

#include <stddef.h>

#include "base/divide.h"
#include "hw/qmd.h"
#include "shim/split/arena.h"

/* The prelude's entry for the launch's type; 0 when there is none. */
static uint64_t entry_of(enum prelude_kind kind, const struct qmd_grid *grid)
{
	if (qmd_grid_is_cooperative(grid))
		return 0;
	if (grid->type == QMD_GRID_CLUSTER)
		kind = kind == PRELUDE_GATE ? PRELUDE_GATE_CLUSTER : PRELUDE_CLAIM_CLUSTER;
	return arena.prelude.entry[kind];
}

/*
 * The grid ends behind the last block of an atom, so the ones after it need not be led past the
 * gate (0.6 to 1 ns each). A kernel reads its gridDim from a constant bank, not from the descriptor
 * (docs/hardware.md).
 */
static void grid_shorten(const struct split_edit *edit, const struct qmd_layout *layout,
			 const struct qmd_grid *grid, uint32_t *qmd)
{
	uint64_t end = (uint64_t)edit->slot.lo + edit->slot.count;
	uint64_t row = grid->grid[0], plane = row * grid->grid[1];

	if (edit->kind != PRELUDE_GATE || grid->type != QMD_GRID_ORDINARY || !plane ||
	    end >= plane * grid->grid[2])
		return;
	(void)qmd_set(layout, qmd, QMD_GRID_DEPTH, 0, divide_up(end, plane));
	if (end > plane)
		return;
	(void)qmd_set(layout, qmd, QMD_GRID_HEIGHT, 0, divide_up(end, row));
	if (end <= row)
		(void)qmd_set(layout, qmd, QMD_GRID_WIDTH, 0, end);
}

int edit_apply(struct split_edit *edit, const struct qmd_layout *layout, uint32_t *qmd)
{
	struct qmd_grid grid;
	uint64_t entry;

	edit->result = EDIT_REFUSED;
	if (qmd_decode_grid(layout, qmd, &grid))
		return 0;
	entry = entry_of(edit->kind, &grid);
	edit->slot.entry = grid.entry;
	if (!entry || prelude_redirect(layout, qmd, entry, arena_fill_slot(edit->run, &edit->slot)))
		return 0;
	grid_shorten(edit, layout, &grid, qmd);
	/* Versions without the bit: the part behind it waits for the end of this one. */
	if (edit->lets_next)
		(void)qmd_set(layout, qmd, QMD_PRE_EXIT_AT_LAST_CTA_LAUNCH, 0, 1);
	edit->result = EDIT_APPLIED;
	return 1;
}

void edit_empty(struct split_edit *edit, const struct qmd_layout *layout, uint32_t *qmd)
{
	struct qmd_grid grid;

	if (qmd_decode_grid(layout, qmd, &grid))
		return;
	(void)prelude_redirect(layout, qmd, entry_of(PRELUDE_GATE, &grid), arena_empty_slot());
	edit->result = EDIT_EMPTIED;
}
