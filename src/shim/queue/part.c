/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launch attribute of parts of kernels.
 *
 * Problem: atoms in a row leave TPCs idle while the last blocks of each run. Idea: an atom is
 * launched with programmatic stream serialization, which the driver takes for "need not wait for
 * the end of the launch in front"; that one's descriptor says from when on (split/edit.c). Which
 * atoms: split/plan.c.
 *
 * The program's own attribute of that kind was about what is in front of the whole kernel. A part
 * that kept it would have it for the part in front of it instead: it is overwritten in every part.
 *
 * Half a kernel must not be lost because a driver does not take the attribute: the part is launched
 * again without, and no other one gets it.
 *
 * Tested by tests/unit/queue_part.c and tests/integration/split.bats.
 */
#include "shim/queue/part.h"

#include <string.h>

#include "shim/split/edit.h"

static int is_refused;

static int set_all(CUlaunchConfig *config, int overlaps)
{
	int nr = 0;

	for (unsigned int i = 0; i < config->numAttrs; i++) {
		CUlaunchAttribute *at = &config->attrs[i];
		if (at->id != CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
			continue;
		at->value.programmaticStreamSerializationAllowed = overlaps;
		nr++;
	}
	return nr;
}

int part_permit(CUlaunchConfig *config, const struct split_edit *edit,
		CUlaunchAttribute room[PART_MAX_ATTRS])
{
	int overlaps = edit->overlaps && !is_refused;
	unsigned int n = config->numAttrs;

	if (set_all(config, overlaps) || !overlaps || n >= PART_MAX_ATTRS)
		return n != 0;
	if (n)
		memcpy(room, config->attrs, n * sizeof(room[0]));
	memset(&room[n], 0, sizeof(room[n]));
	room[n].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
	room[n].value.programmaticStreamSerializationAllowed = 1;
	config->attrs = room;
	config->numAttrs = n + 1;
	return 1;
}

int part_forbid(CUlaunchConfig *config, const struct split_edit *edit, CUresult result)
{
	if (result != CUDA_ERROR_INVALID_VALUE && result != CUDA_ERROR_NOT_SUPPORTED)
		return 0;
	/* Once the hook has seen the launch, the edit cannot be made again. */
	if (!edit->overlaps || is_refused || edit->result != EDIT_UNSEEN)
		return 0;
	is_refused = 1;
	return set_all(config, 0);
}
