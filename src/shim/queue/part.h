/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a part of a kernel may begin before what is in front of it has ended. The
 * dispatcher's. */
#ifndef LITHOS_SHIM_QUEUE_PART_H
#define LITHOS_SHIM_QUEUE_PART_H

#include "shim/cuda_api.h"

#define PART_MAX_ATTRS 9u

struct split_edit;

/*
 * Makes the launch's permission what the edit says, in the attributes that it has; one that is
 * missing is added in `room`, which must live as long as the configuration is used. 1: it has
 * attributes.
 */
int part_permit(CUlaunchConfig *config, const struct split_edit *edit,
		CUlaunchAttribute room[PART_MAX_ATTRS]);

/*
 * 1 when the driver refused the launch for its permission, which is taken away: it may be made
 * again. For good: no part has one after that.
 */
int part_forbid(CUlaunchConfig *config, const struct split_edit *edit, CUresult result);

#endif
