#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The topology is probed once and kept in a file per GPU, which is not believed when anything is
# wrong.

load common
load shim

setup() {
	common_setup
	require_command python3
}

# One tenant that says what it does; PROBED is 1 when it probed.
told() {
	rm -f trace.txt
	run tenant LITHOS_LOG=info LITHOS_TPC_QUOTA=4 "$@" shim_told
	assert_status 0
	PROBED=$(grep -c 'level=info msg="topology probed"' <<< "$output" || true)
	# The self-test's two grids are there every time, the probe's 130 only when it probed.
	trace "(len(probes) > 100) == bool($PROBED) and len(probes) >= 2"
	assert_equal "$(nr_complaints)" 0
}

the_file() {
	local files=(cache/topology-*.bin)
	assert_equal "${#files[@]}" 1 "files in the cache"
	echo "${files[0]}"
}

@test "the first tenant probes and stores, the second reads" {
	told
	assert_equal "$PROBED" 1
	assert_line 'topology probed" tpcs=66 gpcs=8 us=[0-9]+'
	local file before
	file=$(the_file)
	before=$(cksum < "$file")
	told
	assert_equal "$PROBED" 0
	assert_equal "$(field used)" 8
	assert_equal "$(cksum < "$file")" "$before"
}

@test "another chip is another file" {
	told LITHOS_SIM_GPU=h200
	assert_equal "$PROBED" 1
	assert_line 'tpcs=66 gpcs=8'
	told LITHOS_SIM_GPU=small
	assert_equal "$PROBED" 1
	assert_line 'tpcs=8 gpcs=2'
	assert_equal "$(field used)" 8
	told
	assert_equal "$PROBED" 1
	assert_equal "$(find cache -name 'topology-*.bin' | wc -l)" 3
	told LITHOS_SIM_GPU=small
	assert_equal "$PROBED" 0
}

@test "a small chip's quota" {
	run tenant LITHOS_SIM_GPU=small LITHOS_TPC_QUOTA=3 where --expect-sms 6
	assert_status 0
	run tenant LITHOS_SIM_GPU=small LITHOS_TPC_QUOTA=50% where --expect-sms 8
	assert_status 0
}

@test "a damaged file is measured anew and replaced" {
	told
	local file good size
	file=$(the_file)
	good=$(cksum < "$file")
	size=$(stat -c %s "$file")
	# Cut off, empty, a byte changed at the beginning, in the middle and at the end.
	local damage
	for damage in "truncate -s $((size / 2))" "truncate -s 0" "flip 0" "flip $((size / 2))" \
		"flip $((size - 1))"; do
		if [[ "$damage" == flip* ]]; then
			python3 -c 'import sys
with open(sys.argv[2], "r+b") as f:
    f.seek(int(sys.argv[1])); b = f.read(1)
    f.seek(int(sys.argv[1])); f.write(bytes([b[0] ^ 0x55]))' \
				"${damage#flip }" "$file"
		else
			$damage "$file"
		fi
		told
		assert_equal "$PROBED" 1 "$damage"
		assert_equal "$(field used)" 8
		assert_equal "$(cksum < "$file")" "$good" "$damage"
	done
}

# What is stored for one chip does not count for another that has its name.
@test "a file of another GPU under this one's name is not used" {
	told LITHOS_SIM_GPU=h200
	local h200
	h200=$(the_file)
	mv "$h200" h200.bin
	told LITHOS_SIM_GPU=small
	local small
	small=$(the_file)
	mv "$small" small.bin
	cp small.bin "$h200"
	told LITHOS_SIM_GPU=h200
	assert_equal "$PROBED" 1
	assert_equal "$(field after)" 8
	cmp "$h200" h200.bin
}

@test "a folder that cannot be written: probed every time" {
	told LITHOS_CACHE_DIR=/no/such/folder
	assert_equal "$PROBED" 1
	told LITHOS_CACHE_DIR=/no/such/folder
	assert_equal "$PROBED" 1
	assert_equal "$(field used)" 8
}

@test "several tenants that start together" {
	local i pids=() pid
	mkdir -p run cache
	for i in 1 2 3 4; do
		tenant LITHOS_TPC_QUOTA=4 shim_told > "out.$i" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	for i in 1 2 3 4; do
		grep -q 'before=8 after=8 used=8 right=1' "out.$i"
	done
	the_file
	told
	assert_equal "$PROBED" 0
}
