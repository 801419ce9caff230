#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos bench --scenario long` on the simulated GPU: the programs run what the scenario says, the
# same under every system. Times mean little here; what is compared is what was launched.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export TMPDIR="$BATS_TEST_TMPDIR" XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR" LITHOS_SIM_GPU=small
	export LITHOS_SIM_TRACE="$PWD/trace.txt"
}

# bench SYSTEMS OPTION...: a second of few requests.
bench() {
	local systems=$1
	shift
	timeout 300 "$LITHOS" bench --scenario long --target sim --system "$systems" --repetitions \
		1 --seconds 1 \
		--rate 40 --allow-short --mps-control "$PROGRAMS/fake_mps_control" --out out.json \
		"$@"
}

# result EXPRESSION: Python over the file `r`, its systems by name `s`, the versions `v` by their
# first word and the grids of the trace `g`: [blocks, ...].
result() {
	python3 - "$1" <<-'PY'
		import json, sys
		r = json.load(open("out.json"))
		s = {row["name"]: row for row in r["systems"]}
		v = {text.split()[0]: text.split() for text in r["versions"]}
		lines = [dict(pair.split("=", 1) for pair in line.split()) for line in open("trace.txt")]
		g = [int(f["grid"].split(",")[0]) for f in lines if f["kernel"] == "lithos_fma"]
		if not eval(sys.argv[1], globals()):
		    sys.exit("not true: %s\n%s %s %s" %
		             (sys.argv[1], r["systems"], r["versions"], set(g)))
	PY
}

@test "both programs run their kernels, with the same rounds under each system" {
	run bench alone,mps
	assert_status 0
	assert_line '^mps +foreground +[0-9.]+'
	result 'r["scenario"] == "long" and r["target"] == "sim" and r["parameters"]["request_rate"] == 40'
	result 's["alone"]["fg_requests"] == s["mps"]["fg_requests"] > 10'
	result 's["alone"]["bg_rate"] > 0 and s["mps"]["bg_rate"] > 0'
	# A version that differed from system to system would be there twice.
	result 'sum("rounds" in text for text in r["versions"]) == 2'
	# 16 SMs, scale 10: one wave of 8 blocks, 60 waves of 32. Nothing else but the calibrations'
	# one wave.
	result 'v["foreground"][1] == "8" and v["background"][1] == "1920" and set(g) == {8, 32, 1920}'
	result 'g.count(1920) > 4 and g.count(8) > 2 * s["alone"]["fg_requests"]'
	# The simulated kernel takes 280 ns a round and 0.5 us: 60 us and 500 us.
	result '100 < int(v["foreground"][4]) < 240 and 900 < int(v["background"][4]) < 1950'
}

@test "calibrations are measured once for a run, and one that is none of ours is refused" {
	run bench alone,timeslice --keep
	assert_status 0
	local folder
	folder=$(sed -n 's/^kept: //p' <<< "$output")
	grep -qE '^rounds [0-9]+$' "$folder/calibration.foreground"
	grep -qE '^rounds [0-9]+$' "$folder/calibration.background"
	# 50 times full and 50 times empty, by the background of the first system alone.
	result 'g.count(32) == 100'
	echo nonsense > "$folder/calibration.foreground"
	run natively "$BUILD_DIR/libexec/lithos/bench/long_tenant" --dir "$folder" --name x --role \
		foreground \
		--calibration "$folder/calibration.foreground"
	assert_status 1
	assert_line 'calibration.foreground: Protocol error'
	rm -r "$folder"
}

@test "the ways to split are systems" {
	[ -x "$BUILD_DIR/bin/lithosd" ] || skip "no lithosd"
	run bench lithos-whole,lithos-atoms,lithos-claims
	assert_status 0
	assert_line '^lithos-claims +foreground +[0-9.]+'
	result 'all(row["bg_rate"] > 0 and row["fg_requests"] > 10 for row in s.values()) and len(s) == 3'
	# Ratios need `alone`.
	result 'all(row["fg_p99_ratio"] is None for row in s.values())'
}

@test "a GPU that fails a launch ends the measurement" {
	LITHOS_SIM_FAULT=launch-error=150 run bench timeslice
	assert_status 1
	assert_line 'timeslice, repetition 1: (fore|back)ground: exit code 1; its log ends: .*error 719'
}
