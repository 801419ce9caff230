#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos bench` on the simulated GPU: what it writes, what it survives, and that it leaves nothing
# behind. Times mean nothing here; what is compared is who ran, when and where.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	export TMPDIR="$BATS_TEST_TMPDIR" XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR" LITHOS_SIM_GPU=small
	FAKE_MPS="$PROGRAMS/fake_mps_control"
}

# Processes that have this test's folder in their command line or environment.
nr_left() {
	local file nr=0
	for file in /proc/[0-9]*/cmdline; do
		grep -qa -- "$BATS_TEST_TMPDIR/lithos-bench-" "$file" 2> /dev/null && nr=$((nr + 1))
	done
	for file in /proc/[0-9]*/environ; do
		grep -qaz "^CUDA_MPS_PIPE_DIRECTORY=$BATS_TEST_TMPDIR/" "$file" 2> /dev/null &&
			nr=$((nr + 1))
	done
	echo "$nr"
}

# Nothing may be left of any run, however it ended.
teardown() {
	assert_equal "$(nr_left)" 0 "processes left"
	assert_equal "$(find "$BATS_TEST_TMPDIR" -maxdepth 1 -name 'lithos-bench-*' | wc -l)" 0 \
		"folders left"
}

# bench SYSTEMS OPTION...: a second of few requests.
bench() {
	local systems=$1
	shift
	timeout 300 "$LITHOS" bench --target sim --system "$systems" --repetitions 1 --seconds 1 \
		--rate 40 \
		--allow-short --mps-control "$FAKE_MPS" --out out.json "$@"
}

# result EXPRESSION: Python over the file `r` and its systems by name `s` is true.
result() {
	python3 - "$1" <<-'PY'
		import json, sys
		r = json.load(open("out.json"))
		s = {row["name"]: row for row in r["systems"]}
		raw = {row["name"]: row for row in r["repetitions"][-1]["systems"]}
		if not eval(sys.argv[1], globals()):
		    sys.exit("not true: %s\n%s" % (sys.argv[1], json.dumps(r["systems"], indent=1)))
	PY
}

@test "mistakes on the line are refused before anything starts" {
	run -2 "$LITHOS" bench --target sim
	assert_line 'needs --out'
	run -2 "$LITHOS" bench --target sim --out out.json --seconds 1
	assert_line '200 requests .* too few'
	run -2 "$LITHOS" bench --target sim --out no/out.json
	assert_line "out 'no/out.json' cannot be written: No such file or directory"
	run -2 "$LITHOS" bench --target sim --out .
	assert_line "out '.' cannot be written: Is a directory"
	run -2 "$LITHOS" bench --out out.json --system alone,nonsense
	assert_line "'nonsense' is not one of: alone, .*lithos"
	run -2 "$LITHOS" bench --out out.json --system alone,alone
	run -2 "$LITHOS" bench --out out.json --system alone,
	run -2 "$LITHOS" bench --out out.json --system lithos-
	run -2 "$LITHOS" bench --out out.json --target moon
	run -2 "$LITHOS" bench --out out.json --scenario short
	assert_line "--scenario 'short' is not known: hybrid, .*two-services"
	run -2 "$LITHOS" bench --out out.json --scenario long --seconds 1
	assert_line '500 requests .* too few'
	run -2 "$LITHOS" bench --out out.json --partition 33
	run -2 "$LITHOS" bench --out out.json --partition 33,x
	run -2 "$LITHOS" bench --out out.json --repetitions 0
	run -2 "$LITHOS" bench --out out.json --fg-quota 0
	run -2 "$LITHOS" bench --out out.json --partition 50%,25%,25%
	assert_line 'needs 2 quotas for hybrid'
	run -2 "$LITHOS" bench --out out.json --scenario stacking --partition 1,2,3,4,5
	run -2 "$LITHOS" bench --out out.json --scenario two-services --rate 300,0
	run -2 "$LITHOS" bench --out out.json --scenario two-services --rate 300,300,300
	assert_line 'more than the 2 numbers that two-services needs'
	run -2 "$LITHOS" bench --out out.json --scenario two-services --model bert
	assert_line "'bert' is not one of two-services: vit-b, resnet101"
	[ ! -e out.json ]
}

@test "systems see the same requests, and both programs run" {
	run --separate-stderr bench alone,timeslice,mps,mps-priority
	assert_status 0
	# A pipe gets no progress.
	# shellcheck disable=SC2154 # bats sets it
	assert_equal "$stderr" ""
	assert_line '^mps-priority +foreground +[0-9.]+ +[0-9.]+'
	assert_line 'fewer than 800 requests'
	result 'list(r) and r["target"] == "sim" and r["scenario"] == "hybrid" and "simulated" in r["device"]'
	result 'len(s) == 4 and len({row["fg_requests"] for row in r["systems"]}) == 1'
	result 'all(row["bg_rate"] > 0 and row["fg_p50_ms"] <= row["fg_p95_ms"] <= row["fg_p99_ms"] for row in s.values())'
	result 'all(len(row["tenants"][0]["latencies_us"].split()) == row["fg_requests"] > 10 for row in raw.values())'
	result 's["alone"]["fg_p99_ratio"] == 1 and s["mps"]["bg_leftover_ratio"] > 0'
	result 'r["parameters"]["is_short"] and r["seed"] == 1 and any("lithos" in v for v in r["versions"])'
}

@test "a system that cannot be had fails alone" {
	run bench alone,mps,timeslice --mps-control "$BATS_TEST_TMPDIR/none"
	assert_status 1
	assert_line 'lithos: mps, repetition 1: .*/none is not there'
	result 's["alone"]["fg_p99_ms"] and s["timeslice"]["fg_p99_ms"] and s["mps"]["fg_p99_ms"] is None'
	result '"is not there" in raw["mps"]["error"]'
}

@test "without MPS the systems that nobody named are those that need none" {
	run timeout 300 "$LITHOS" bench --target sim --scenario long --repetitions 1 --seconds 0.2 \
		--rate 40 --allow-short --mps-control "$BATS_TEST_TMPDIR/none" --out out.json
	assert_status 0
	assert_line '^lithos: bench: no .*/none: systems that need MPS are left out'
	result '"alone" in s and "lithos" in s and not any("mps" in name for name in s)'
}

@test "what the whole bench needs and is not there is one line, before anything starts" {
	run env -u LITHOS_REAL_LIBCUDA "$LITHOS" bench --target gpu --out out.json
	if [ "$output" != "${output/no CUDA driver/}" ]; then
		assert_status 1
		assert_equal "${#lines[@]}" 1
	fi
	LITHOS_REAL_LIBCUDA=$LITHOS run "$LITHOS" bench --target gpu --python false --out out.json
	assert_status 1
	assert_equal "$output" "lithos: bench: 'false' is no Python with PyTorch that sees the \
GPU, which hybrid needs: name one with --python; --scenario long and --target sim need none"
	[ ! -e out.json ]
}

@test "a program that dies is quoted" {
	LITHOS_SIM_FAULT=launch-error=20 run bench timeslice
	assert_status 1
	assert_line 'timeslice, repetition 1: (fore|back)ground: exit code 1; its log ends: .*error 719'
}

@test "a program that is never ready is given up" {
	LITHOS_SIM_FAULT=slow-init=100000 run bench mps --ready-limit 1
	assert_status 1
	assert_line 'mps, repetition 1: not loaded after 1 s: foreground: still running'
}

@test "an MPS that does not start is given up" {
	FAKE_MPS_FAIL=start run bench mps
	assert_status 1
	assert_line 'mps, repetition 1: mps: exit code 1'
}

@test "a signal ends everything" {
	"$LITHOS" bench --target sim --system mps --seconds 60 --mps-control "$FAKE_MPS" --out \
		out.json \
		> log.txt 2>&1 3>&- &
	local bench=$! i
	for ((i = 0; i < 1000; i++)); do
		compgen -G "$BATS_TEST_TMPDIR/lithos-bench-*/0.mps/go" > /dev/null && break
		sleep 0.05
	done
	[ "$(nr_left)" -gt 0 ]
	kill -TERM "$bench"
	local rc=0
	wait "$bench" || rc=$?
	assert_equal "$rc" 1 "exit code"
	grep -q 'mps, repetition 1: interrupted' log.txt
}

@test "with --keep logs and raw results stay" {
	run bench alone --keep
	assert_status 0
	local folder
	folder=$(sed -n 's/^kept: //p' <<< "$output")
	[ -s "$folder/0.alone.foreground/result.foreground" ]
	[ -s "$folder/0.alone.background/result.background" ]
	rm -r "$folder"
}

# where FOREGROUND BACKGROUND: so many TPCs of the trace's grids were each one's. A request's
# kernels are half a wave, a step's are whole ones. Prints those of both.
where() {
	python3 - "$@" <<-'PY'
		import sys
		used = {True: 0, False: 0}
		grids = [dict(pair.split("=", 1) for pair in line.split()) for line in open("trace.txt")]
		for f in grids:
		    if f["kernel"] == "lk_spin":
		        used[int(f["grid"].split(",")[0]) <= 16] |= int(f["smset"], 16)
		counts = [bin(used[key]).count("1") for key in (True, False)]
		if counts != [int(word) for word in sys.argv[1:3]]:
		    sys.exit("TPCs: %x and %x" % (used[True], used[False]))
		print(bin(used[True] & used[False]).count("1"))
	PY
}

@test "partition confines both, to different TPCs" {
	LITHOS_SIM_TRACE="$PWD/trace.txt" run bench partition
	assert_status 0
	result 's["partition"]["bg_rate"] > 0 and s["partition"]["fg_requests"] > 10'
	assert_equal "$(where 4 4)" 0
}

@test "a GPU that does not obey masks is not measured as confined" {
	LITHOS_SIM_FAULT=mask-ignored LITHOS_CACHE_DIR="$BATS_TEST_TMPDIR/c" run bench partition
	assert_status 1
	assert_line 'partition, repetition 1: lithosd: exit code 1; its log ends: .*self-test failed'
}

@test "lithos: the daemon serves both and ends" {
	[ -x "$BUILD_DIR/bin/lithosd" ] || skip "no lithosd"
	run bench alone,lithos --keep
	assert_status 0
	result 's["lithos"]["bg_rate"] > 0 and s["lithos"]["fg_requests"] == s["alone"]["fg_requests"]'
	local folder
	folder=$(sed -n 's/^kept: //p' <<< "$output")
	[ -e "$folder/0.lithos/d.sock" ] || [ -s "$folder/0.lithos/lithosd.log" ]
	rm -r "$folder"
}
