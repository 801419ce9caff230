#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Where grids ran, by the device's own account: inside the quota, whichever way they were launched.

bats_require_minimum_version 1.5.0
load common
load shim

setup() {
	common_setup
	require_command python3
}

# confined N QUOTA: every grid of every way of launching stayed inside the same N TPCs.
confined() {
	run tenant LITHOS_TPC_QUOTA="$2" where --expect-sms $(($1 * 2))
	assert_status 0
	assert_equal "$(nr_complaints)" 0
	trace "len(used) == $1 and used <= chip"
	trace "sum(1 for grid in g if len(grid.bits) == $1) >= 8" # most fill it
	trace 'all(grid.bits and not grid.hang for grid in g)'
	trace '{2, 3, 4} <= {grid.type for grid in g}' # ordinary, cluster and cooperative grids
}

@test "33 TPCs" {
	confined 33 33
}

@test "4 TPCs" {
	confined 4 4
}

@test "1 TPC" {
	confined 1 1
}

@test "half of the GPU" {
	confined 33 50%
}

@test "without a quota the whole GPU is used" {
	run tenant LITHOS_STATS=1 where --expect-sms 132
	assert_status 0
	trace 'used == chip'
}

@test "the oldest and the per-thread launch calls" {
	run tenant LITHOS_TPC_QUOTA=5 shim_apis
	assert_status 0
	assert_equal "$(field reported_sms)" 10
	trace 'len(used) == 5 and all(len(grid.bits) == 5 for grid in g if grid.kernel == "lk_count")'
}

@test "the driver's own kernels are confined too" {
	run tenant LITHOS_TPC_QUOTA=3 where
	assert_status 0
	trace 'any(grid.kernel == "lithos_sim_memset_2d" and grid.bits for grid in g)'
	trace 'len(used) == 3'
}

@test "a cluster that fits no GPC of the quota is given one GPC, and that is counted" {
	run tenant LITHOS_TPC_QUOTA=4 clusters
	assert_status 0
	assert_equal "$(field max_8)" 1
	assert_equal "$(field launch_16)" CUDA_SUCCESS
	# Two clusters of sixteen blocks ran one after the other where eight TPCs are.
	trace 'any(grid.type == 3 and len(grid.bits) == 8 for grid in g)'
	trace 'all(len({bit // 9 for bit in grid.bits}) == 1 for grid in g if len(grid.bits) > 4)'
	trace 'sum(1 for grid in g if len(grid.bits) > 4) == 1'
	run with_stats --quota=4 -- "$PROGRAMS/clusters"
	assert_status 0
	stats 'c["mask_widened"] == 1 and c["mask_conflict"] == 0'
	stats '"W" in k["lk_count"]["flags"].upper()'
}

@test "no mask is ever without a real TPC" {
	local quota
	for quota in 1 2 7 9 34 65 66 100%; do
		rm -f trace.txt
		run tenant LITHOS_TPC_QUOTA="$quota" clusters
		assert_status 0
		trace 'all(grid.bits and grid.bits <= chip and not grid.hang for grid in g)'
	done
}

@test "the driver's own mask stays in clusters" {
	run tenant LITHOS_TPC_QUOTA=100% clusters
	assert_status 0
	assert_equal "$(field max_4)" 30
	trace 'any(grid.type == 3 and len(grid.bits) > 40 for grid in g)'
	# The driver keeps clusters of more than 2 blocks off the left-over TPCs; the mask that the
	# hardware got still says so, beside the quota's.
	trace 'sum(1 for grid in g if grid.type == 3 and set(range(72, 128)) <= grid.disabled) >= 3'
	rm trace.txt
	run tenant LITHOS_TPC_QUOTA=33 clusters
	assert_status 0
	trace 'all(len(chip - grid.disabled) <= 33 for grid in g)'
	trace 'sum(1 for grid in g if grid.type == 3 and set(range(72, 128)) <= grid.disabled) >= 3'
	natively env LITHOS_SIM_TRACE="$PWD/native.txt" "$PROGRAMS/clusters"
	[ -s native.txt ]
	run with_stats --quota=100% -- "$PROGRAMS/clusters"
	stats 'c["mask_widened"] == 0 and c["mask_conflict"] == 0 and c["qmd_masked"] > 0'
}

@test "a cooperative grid too large for the quota is refused" {
	# 1024 threads a block: two blocks an SM.
	run tenant LITHOS_TPC_QUOTA=4 coop --blocks 17 --threads 1024
	assert_status 0
	assert_equal "$(field result)" CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
	run tenant LITHOS_TPC_QUOTA=4 coop --blocks 16 --threads 1024
	assert_status 0
	assert_equal "$(field result)" CUDA_SUCCESS
	run with_stats --quota=4 -- "$PROGRAMS/coop" --blocks 17 --threads 1024
	assert_status 0
	stats 'c["coop_refused"] == 1'
	# Too large for the whole GPU: the driver's to refuse.
	run with_stats -- "$PROGRAMS/coop" --blocks 265 --threads 1024
	assert_status 0
	assert_equal "$(field result)" CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE
	stats 'c["coop_refused"] == 0'
}

@test "every context of a process is confined" {
	run tenant LITHOS_TPC_QUOTA=6 contexts --rounds 6
	assert_status 0
	trace 'len(used) == 6'
}
