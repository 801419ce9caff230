#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos run --stats` with a real program on the simulated GPU, and with none.

load common

setup() {
	common_setup
	require_command python3
}

# check FILE PYTHON: the expression over the statistics `s` and kernels by name `k` is true.
check() {
	python3 - "$1" "$2" <<-'PY'
		import json, sys
		s = json.load(open(sys.argv[1]))
		k = {row["name"]: row for row in s["kernels"]}
		if not eval(sys.argv[2]):
		    sys.exit("not true: %s\n%s" % (sys.argv[2], json.dumps(s, indent=1)))
	PY
}

@test "a program without CUDA has empty statistics" {
	run "$LITHOS" run --stats -- true
	assert_status 0
	assert_line '^lithos: 0 launches of 0 kernels, 0.000 ms of GPU time, 0 processes$'
}

@test "statistics as JSON do not change the exit code" {
	run "$LITHOS" run --stats=json -- sh -c 'exit 5'
	assert_status 5
}

@test "a statistics file that cannot be written is said before the program starts" {
	mkdir folder
	run "$LITHOS" run --stats-file=/no/such/folder/file -- touch started
	assert_status 125
	assert_line "stats-file '/no/such/folder/file' cannot be written: No such file or directory"
	run "$LITHOS" run --stats-file=folder -- touch started
	assert_status 125
	assert_line "stats-file 'folder' cannot be written: Is a directory"
	[ ! -e started ]
	# A program that is not started leaves nothing, and nothing changed.
	echo before > kept
	run "$LITHOS" run --stats-file=kept --quota 0 -- touch started
	run "$LITHOS" run --stats-file=none --quota 0 -- touch started
	assert_equal "$(cat kept)" before
	[ ! -e none ]
}

@test "a statistics file that can no longer be written does not change the exit code" {
	mkdir folder
	run "$LITHOS" run --stats-file=folder/file -- sh -c 'rmdir folder; exit 5'
	assert_status 5
	assert_line 'cannot write the statistics to folder/file: No such file'
}

@test "kernels of a program appear with launches, time, share and TPCs" {
	run foreign "$LITHOS" run --sim --quota 33 --stats=json --stats-file=stats.json -- \
		"$PROGRAMS/where"
	assert_status 0
	check stats.json 's["processes"] == 1 and s["quota_tpcs"] == 33 and s["device_tpcs"] == 66'
	check stats.json 'k["lk_where"]["launches"] > 0 and k["lk_where"]["timed"] > 0'
	check stats.json '0 < k["lk_where"]["p50_ns"] <= k["lk_where"]["p99_ns"]'
	check stats.json 'k["lk_where"]["tpcs"] == 33'
	check stats.json 'abs(sum(row["share"] for row in s["kernels"]) - 1) < 1e-6'
	check stats.json 's["counters"]["qmd_masked"] > 0'
}

@test "JSON says of every kernel how it was launched" {
	run foreign "$LITHOS" run --sim --quota 33 --stats=json --stats-file=stats.json -- \
		"$PROGRAMS/where"
	assert_status 0
	check stats.json 'all(row["way"] == "whole" and row["reason"] for row in s["kernels"])'
	check stats.json 'all((row["atoms"], row["split"], row["cut"]) == (0, 0, 0) for row in s["kernels"])'
	check stats.json 'all(isinstance(row["block_us"], int) for row in s["kernels"])'
	check stats.json '{"works_claimed", "works_cut", "atoms_launched", "epochs_raised"} <= set(s["counters"])'
}

@test "children of the tenant are in the same statistics" {
	run foreign "$LITHOS" run --sim --stats=json --stats-file=stats.json -- \
		sh -c "$PROGRAMS/where; $PROGRAMS/where"
	assert_status 0
	check stats.json 's["processes"] == 2'
	check stats.json 'len([row for row in s["kernels"] if row["name"] == "lk_where"]) == 1'
}

@test "the table goes to stderr" {
	foreign "$LITHOS" run --sim --stats -- "$PROGRAMS/where" > out 2> err
	grep -qE '^KERNEL +LAUNCHES +TOTAL_MS +P50_US +P99_US +SHARE +GRID +BLOCK +TPCS +FLAGS +HOW +WHY$' err
	grep -qE '^lk_where +[0-9]+.* whole( |$)' err
	run grep -E 'lk_where.*%' out
	assert_status 1
}
