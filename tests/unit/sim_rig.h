/* SPDX-License-Identifier: Apache-2.0 */
/* A simulated device with recording callbacks, for the engine's tests. */
#ifndef LITHOS_TEST_SIM_RIG_H
#define LITHOS_TEST_SIM_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sim/device/device.h"
#include "sim/kernel/qmd_build.h"

#define RIG_MAX_BLOCKS 4096

struct rig {
	struct sim_chip chip;
	struct sim_device *device;
	uint32_t nr_blocks;
	uint16_t smid[RIG_MAX_BLOCKS];
	uint32_t index[RIG_MAX_BLOCKS][3];
	void *cookie[RIG_MAX_BLOCKS];
	uint64_t at_ns[RIG_MAX_BLOCKS];
	uint32_t nr_over;
	uint32_t nr_hung;
	char reason[64];
};

static inline void rig_block(void *user, const struct sim_grid *grid, const uint32_t index[3],
			     uint32_t smid, uint64_t now_ns)
{
	struct rig *seen = user;

	assert_true(seen->nr_blocks < RIG_MAX_BLOCKS);
	seen->smid[seen->nr_blocks] = (uint16_t)smid;
	memcpy(seen->index[seen->nr_blocks], index, 3 * sizeof(index[0]));
	seen->cookie[seen->nr_blocks] = grid->cookie;
	seen->at_ns[seen->nr_blocks++] = now_ns;
}

static inline void rig_over(void *user, const struct sim_grid *grid)
{
	struct rig *seen = user;

	seen->nr_over++;
	if (!grid->hang_reason)
		return;
	seen->nr_hung++;
	strncpy(seen->reason, grid->hang_reason, sizeof(seen->reason) - 1);
}

static inline void rig_dropped(void *user, const struct sim_grid *grid)
{
	(void)user;
	(void)grid;
}

static inline void rig_open(struct rig *rig, const char *chip)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(chip_of(chip, &rig->chip), 0);
	rig->device = device_new(&(struct sim_device_config){
		.chip = &rig->chip,
		.ops = {rig_block, rig_over, rig_dropped, rig},
	});
	assert_non_null(rig->device);
}

static inline struct qmd_spec rig_spec(uint32_t blocks)
{
	return (struct qmd_spec){.grid = {blocks, 1, 1},
				 .block = {32, 1, 1},
				 .cluster = {1, 1, 1},
				 .registers = 32,
				 .entry = 0x1000,
				 .version = 0x40};
}

static inline void rig_submit(struct rig *rig, struct sim_queue *queue, const uint32_t *qmd,
			      uint64_t cost_ns, void *cookie)
{
	assert_int_equal(device_submit(rig->device, queue,
				       &(struct sim_launch){.qmd = qmd,
							    .grid_dim = {1, 1, 1},
							    .cost_ns = cost_ns,
							    .cookie = cookie}),
			 0);
	(void)device_advance(rig->device, 0);
	assert_int_equal(device_check(rig->device), 0);
}

static inline void rig_allow(uint32_t *qmd, const struct tpcset *allowed)
{
	assert_int_equal(qmd_restrict(qmd_layout_by_name("V04_00"), qmd, allowed), 0);
}

#endif
