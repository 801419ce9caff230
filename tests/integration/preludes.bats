#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The measurements of tests/programs/preludes.c on the simulated GPU: they measure, and what they
# launch runs exactly once (the program itself looks at every block). Times mean little here.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export LITHOS_SIM_GPU=small LITHOS_SIM_KERNELS="$PROGRAMS/preludes_sim_kernels.so"
}

# measure OPTION...: with as little of the tests before it as there can be.
measure() {
	natively timeout 100 "$PROGRAMS/preludes" --preemptions 0 --peer-preemptions 0 --blocks \
		100 --block-us 10 "$@"
}

# Many waves, each of blocks so long that a machine that is slow to react tells most launches. Of an
# option that is there twice the first counts.
drains() {
	measure --drains "$@" --drain-samples 4 --drain-blocks 500,2000 --drain-block-us \
		5000,20000 \
		--drain-out out.json
}

# cells EXPRESSION: Python over the cells `cells` of out.json; c is each of them.
cells() {
	python3 - "$1" <<-'PY'
		import json, sys
		cells = json.load(open("out.json"))["cells"]
		if not all(eval(sys.argv[1], {"c": c, "cells": cells}) for c in cells):
		    sys.exit("not true: %s\n%s" % (sys.argv[1], cells))
	PY
}

@test "drains: every cell has its samples, of launches that were cut" {
	run drains
	assert_equal "$status" 0 status
	cells '[(x["block_us"], x["blocks"]) for x in cells] == [(5000, 500), (5000, 2000), (20000, 500), (20000, 2000)]'
	cells 'c["counted"] == len(c["samples_tenths_us"]) == 4 and c["tried"] >= 7'
	cells '0 < c["left"]["p50"] < c["blocks"] and c["left"]["max"] <= c["blocks"] - c["resident"]'
	cells '0 < c["latency_us"]["p50"] <= c["latency_us"]["p99"] <= c["latency_us"]["max"]'
	cells 'abs(max(c["samples_tenths_us"]) - 10 * c["latency_us"]["max"]) <= 1'
	cells 'abs(c["rounds"] * c["round_ns"] - 1000 * c["block_us"]) <= 500'
	# As many are resident as leave it four waves.
	cells 'c["resident"] == (4 if c["blocks"] == 500 else 8)'
	[[ "$output" == *"drains=4 "* ]]
}

@test "drains: the number of resident blocks can be named" {
	run drains --drain-blocks 500 --drain-block-us 5000 --drain-resident 1
	assert_equal "$status" 0 status
	cells 'c["resident"] == 1 and c["counted"] == 4'
}

@test "drains: launches that nothing is left of are no samples, and a cell without samples fails" {
	run drains --drain-blocks 2 --drain-block-us 5000
	assert_equal "$status" 1 status
	cells 'c["counted"] == 0 and c["tried"] == 35 and c["samples_tenths_us"] == []'
}

@test "drains: a limit ends it with fewer samples" {
	run drains --drain-samples 100000 --drain-blocks 2000 --drain-block-us 5000 \
		--drain-limit-s 3
	assert_equal "$status" 0 status
	cells '0 < c["counted"] < 100000'
}

@test "cost: six lengths of blocks and three sizes, native, gated and claimed" {
	skip_when_instrumented "takes minutes"
	run measure --cost
	assert_equal "$status" 0 status
	python3 - <<-PY
		rows = [dict(w.split("=") for w in line.split()[1:])
		        for line in """$output""".splitlines()
		        if line.startswith("cost ")]
		times = ["2", "5", "10", "20", "50", "100"]
		assert [r["block_us"] for r in rows] == times * 3, rows
		# Never faster than its blocks take; a simulator that falls behind only adds.
		assert all(float(r["native_us"]) > 1000 for r in rows), rows
		# The device's time, which is exact: where blocks are long the simulator keeps up
		# with it.
		assert all(-50 < float(r[k]) < 100 for r in rows[5::6] for k in ("gate_pct", "claim_pct")), rows
	PY
}
