/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors of split launches.
 *
 * The first launch of a kernel that cannot be redirected (its bank 6 is in use, a gang) runs whole, and
 * nothing is lost. A later one must never run whole, since blocks of the kernel have run already: should it
 * find no record to end with, it is redirected to an empty range, and the dispatcher tries again.
 *
 * Of two parts that may overlap, the one in front says so in its descriptor, only if it is redirected; the
 * one behind is launched with an attribute (queue/launch.c).
 *
 * Tested by tests/integration/split.bats.
 */
#include "shim/split/edit.h"

#include <stddef.h>

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
