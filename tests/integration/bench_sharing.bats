#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The programs and the script of the device section `sharing`, on the simulated GPU: that they run
# and measure what they say. How good the numbers are is for a GPU to tell.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export TMPDIR="$BATS_TEST_TMPDIR" LITHOS_SIM_GPU=small LITHOS_BUILD="$BUILD_DIR"
	export PYTHONDONTWRITEBYTECODE=1
	DEVICE="$BUILD_DIR/tests/device"
	SCRIPTS="$BATS_TEST_DIRNAME/../device"
}

python_in() {
	PYTHONPATH="$SCRIPTS" python3 "$@"
}

# sharing PART OPTION...
sharing() {
	local part=$1
	shift
	timeout 400 python3 "$SCRIPTS/sharing.py" --sim --out out.json --parts "$part" --sms 16 \
		--block-us 500 \
		--blocks 320 --mps-control "$PROGRAMS/fake_mps_control" "$@"
}

@test "reclaim's brackets hold the clock's offset" {
	natively timeout 100 "$DEVICE/reclaim" --samples 30 --idle-us 500 > out.json
	python_in - <<-'PY'
		import json, sharing
		samples = json.load(open("out.json"))["samples"]
		assert len(samples) == 30
		# The simulated GPU's clock is the CPU's: the offset is 0 within what the brackets
		# leave.
		for i in range(30):
		    offset, error = sharing.clock_offset(samples, i)
		    assert abs(offset) <= error, (offset, error)
		values, error = sharing.latencies(samples)
		assert all(v > -error for v in values)
		assert sum(sharing.histogram(values).values()) == 30
		# A GPU whose clock is 5 s ahead gives the same latencies.
		ahead = [[[a, g + 5 * 10**9, b] for a, g, b in s] for s in samples]
		assert max(abs(x - y) for x, y in zip(values, sharing.latencies(ahead)[0])) < 0.01
	PY
}

@test "feed works, pauses and pulses" {
	mkdir s
	LITHOS_SIM_DEVICE="$PWD/gpu" natively timeout 100 "$DEVICE/feed" --dir s --name a --ns \
		200000 --blocks 64 \
		--pulse-on 20 --pulse-off 20 --state state 3>&- &
	local feed=$! i
	for ((i = 0; i < 1000; i++)); do
		[ -e s/ready.a ] && break
		sleep 0.02
	done
	python3 -c 'import time; n = time.monotonic_ns(); print(n, n, n)' > s/go.new
	mv s/go.new s/go
	# Launches that count only while the owner is at work.
	run natively timeout 100 "$DEVICE/launch_cost" --launches 100 --batch 10 --state state
	assert_status 0
	assert_line '"median_ns":'
	touch s/pause.a
	sleep 0.3
	python3 -c 'import time; print(time.monotonic_ns())' > paused
	sleep 0.3
	touch s/stop
	wait "$feed"
	python_in - <<-'PY'
		start = int(open("s/go").read().split()[0])
		done = [int(line.split()[1]) for line in open("s/result.a")]
		assert len(done) > 20, len(done)
		assert max(done) < int(open("paused").read()) - start
		state = int.from_bytes(open("state", "rb").read(), "little")
		assert state >= 4 and state % 2 == 0, state
	PY
}

@test "nearest rank, and rates without a step at the window's edges" {
	python_in - <<-'PY'
		import sharing
		assert sharing.nearest_rank(range(1, 101), 0.99) == 99
		assert sharing.nearest_rank(range(1, 1001), 0.99) == 990
		assert sharing.nearest_rank([7], 0.5) == 7
		assert abs(sharing.rate(range(0, 10**10, 10**8), (5, 10**9 * 5 + 3)) - 10) < 1e-9
	PY
}

@test "shares follow quotas" {
	[ -x "$BUILD_DIR/bin/lithosd" ] || skip "no lithosd"
	run sharing shares --seconds 3 --quotas 2,6
	# The limits are for a GPU; here both must have run, and by their order.
	assert_line 'first +2 '
	refute_line 'PROBLEM'
	python3 - <<-'PY'
		import json
		percent = json.load(open("out.json"))["shares"]["percent"]
		assert 15 < percent["first"] < 35, percent
	PY
}

@test "reclaim beside a borrower" {
	[ -x "$BUILD_DIR/bin/lithosd" ] || skip "no lithosd"
	run sharing reclaim --samples 20 --durations-ms 2
	refute_line 'PROBLEM'
	assert_status 0
	python3 - <<-'PY'
		import json
		rows = json.load(open("out.json"))["reclaim"]["rows"]
		assert [r["borrower_kernel_ms"] for r in rows] == [0, 2.0]
		assert all(r["samples"] == 20 for r in rows) and rows[1]["borrower_kernels"] > 0
	PY
}

@test "cost, held launches included" {
	[ -x "$BUILD_DIR/bin/lithosd" ] || skip "no lithosd"
	run sharing cost --rounds 1 --launches 500
	assert_status 0
	assert_line 'best effort, held'
}
