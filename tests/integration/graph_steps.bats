#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Graphs of who borrows from an owner are launched kernel by kernel, with the same results; all
# others as one.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export LITHOS_SIM_GPU=small
	# `lithos run --sim` starts a lithosd of this test's own.
	unset LITHOS_SOCKET LITHOS_SIM
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/x"
	mkdir -m 0700 "$XDG_RUNTIME_DIR"
	owner_pid=
}

teardown() {
	[ -z "$owner_pid" ] || kill "$owner_pid" 2> /dev/null || true
}

# An owner of TPCs that has nothing to do.
owner() {
	"$LITHOS" run --sim --quota "$1" --tenant web -- sh -c 'echo > ready; exec sleep 600' 3>&- &
	owner_pid=$!
	wait_for test -e ready
}

counter() {
	python3 -c 'import json, sys; print(json.load(open("stats.json"))["counters"][sys.argv[1]])' "$1"
}

graphs() {
	run "$LITHOS" run --sim "$@" --stats=json --stats-file=stats.json -- \
		"$PROGRAMS/graphs" --replays 20
	assert_status 0
	assert_line '^program=graphs replays=20 ok=1'
}

@test "beside an owner a borrower's graphs go in steps, and do what they did" {
	owner 4
	graphs
	# 20 replays and those of the parts after them; none as one.
	[ "$(counter graphs_in_steps)" -ge 80 ]
	assert_equal "$(counter graph_launches)" 0
}

@test "where nobody could come back for the TPCs they go as one" {
	graphs
	assert_equal "$(counter graphs_in_steps)" 0
	[ "$(counter graph_launches)" -ge 80 ]
}

@test "an owner's graphs go as one" {
	owner 4
	graphs --quota 2
	assert_equal "$(counter graphs_in_steps)" 0
	[ "$(counter graph_launches)" -ge 80 ]
}
