#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Ways to the driver other than libcuda.so.1 by the loader's rules, and what of them the shim sees.

load common
load shim

setup() {
	common_setup
	require_command python3
}

# Otherwise nothing here shows anything: without the shim these doors lead to the driver.
@test "the driver's names and paths lead to the driver without lithos" {
	local door
	for door in libcuda.so libcuda.so.1 "$SIM_DIR/libcuda.so.1"; do
		run natively "$PROGRAMS/shim_told" --driver "$door"
		assert_status 0
		assert_equal "$(field used)" 132 "$door"
	done
}

@test "libcuda.so without .1 is the shim, and the same as with it" {
	run tenant LITHOS_TPC_QUOTA=4 shim_told --driver libcuda.so
	assert_status 0
	assert_equal "$output" "program=told before=8 after=8 used=8 right=1"
	run tenant LITHOS_TPC_QUOTA=4 shim_told --beside libcuda.so
	assert_status 0
	assert_equal "$(field beside)" 8
	assert_equal "$(nr_complaints)" 0
}

@test "contexts made past the shim are masked, and said once" {
	run tenant LITHOS_TPC_QUOTA=4 LITHOS_STATS=1 shim_told --beside "$SIM_DIR/libcuda.so.1"
	assert_status 0
	assert_equal "$(field used)" 8
	assert_equal "$(field beside)" 8
	assert_equal "$(nr_complaints)" 1
	assert_line 'level=warn msg="confined by masks alone" pid=[0-9]+ reason="it has contexts that'
	with_stats --quota 4 -- "$PROGRAMS/shim_told" --beside "$SIM_DIR/libcuda.so.1"
	stats 'c["qmd_no_device"] >= 1 and c["unconfined"] == 0'
}

@test "where there are several GPUs they cannot be, which is an error" {
	run tenant LITHOS_SIM_NR_GPUS=2 LITHOS_TPC_QUOTA=4 shim_told \
		--beside "$SIM_DIR/libcuda.so.1"
	assert_status 0
	assert_equal "$(field used)" 8
	assert_equal "$(field beside)" 132
	assert_equal "$(nr_complaints)" 1
	assert_line 'level=error msg="unconfined: .*contexts that lithos did not see, beside others"'
}

@test "a tenant told to do without lithos says so" {
	local token=000102030405060708090a0b0c0d0e0f name
	for name in LITHOS_DISABLE LITHOS_PROFILE; do
		run tenant LITHOS_TOKEN=$token LITHOS_SOCKET="$PWD/none" LITHOS_TPC_QUOTA=4 \
			"$name=1" shim_told
		assert_status 0
		assert_equal "$(nr_complaints)" 1
		assert_line "level=error msg=\"unconfined: .* reason=\"$name is set\""
	done
}
