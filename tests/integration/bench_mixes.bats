#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Scenarios of `lithos bench` with several owners, or with long graphs of best effort, on the
# simulated GPU. Times mean nothing here; what counts is who ran, who was served, and what the file
# says of each.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export TMPDIR="$BATS_TEST_TMPDIR" XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR" LITHOS_SIM_GPU=small
}

# bench SCENARIO SYSTEMS OPTION...: a moment with few requests.
bench() {
	local scenario=$1 systems=$2
	shift 2
	timeout 300 "$LITHOS" bench --target sim --scenario "$scenario" --system "$systems" \
		--repetitions 1 --seconds 0.6 --allow-short --out out.json \
		--mps-control "$PROGRAMS/fake_mps_control" "$@"
}

# result EXPRESSION: Python over the file `r`, its systems by name `s`, and of them the tenants `t`.
result() {
	python3 - "$1" <<-'PY'
		import json, sys
		r = json.load(open("out.json"))
		s = {row["name"]: row for row in r["systems"]}
		t = {name: {each["name"]: each for each in row["tenants"]}
		     for name, row in s.items()}
		if not eval(sys.argv[1], globals()):
		    sys.exit("not true: %s\n%s" % (sys.argv[1], json.dumps(r["systems"], indent=1)))
	PY
}

# Everybody was served in full, and nobody stood still. Instrumented programs are too slow for the
# first.
expect_served() {
	result 'all(each["rate"] > 0 for row in t.values() for each in row.values())'
	[ -z "${TEST_SANITIZER:-}${TEST_COVERAGE:-}" ] || return 0
	result 'all(each["unfinished"] in (0, None) for row in t.values() for each in row.values())'
}

@test "stacking: a service, a job with a quota and best effort" {
	run bench stacking alone,partition,lithos --rate 20 --partition 4,2,2
	assert_status 0
	assert_line '^lithos +b +'
	expect_served
	result 'all(sorted(row) == ["a", "b", "c"] for row in t.values())'
	result 'len({row["a"]["requests"] for row in t.values()}) == 1 and t["lithos"]["a"]["requests"] > 3'
	result 't["lithos"]["b"]["requests"] is None and t["lithos"]["b"]["rate_ratio"] > 0'
	result 't["alone"]["a"]["p50_ratio"] == 1 and t["lithos"]["a"]["p99_ratio"] > 0'
	result 't["lithos"]["a"]["worst"]["p99_ratio"] == t["lithos"]["a"]["p99_ratio"]'
	result 's["lithos"]["rate_sum"] > 0 and s["alone"]["rate_sum"] is None'
	result '"fg_p99_ms" not in s["lithos"] and r["model"] == "bert-large"'
	result '[p["quota"] for p in r["parameters"]["tenants"]] == ["75%", "24%", None]'
}

@test "two-services: each has requests of its own" {
	run bench two-services alone,lithos --rate 20,60
	assert_status 0
	expect_served
	result 't["lithos"]["b"]["requests"] > t["lithos"]["a"]["requests"] > 3'
	result 't["lithos"]["c"]["requests"] is None'
	result '[p["request_rate"] for p in r["parameters"]["tenants"]] == [20, 60, 0]'
	result 'all(t["lithos"][name]["p99_ratio"] > 0 for name in "ab")'
}

@test "besteffort-graph: a pair" {
	run bench besteffort-graph alone,lithos --rate 30
	assert_status 0
	expect_served
	result 's["lithos"]["fg_requests"] > 10 and s["lithos"]["bg_rate"] > 0'
	result 's["lithos"]["fg_p50_ratio"] > 0 and s["lithos"]["bg_rate_ratio"] > 0'
}

@test "other models, and other seeds, are other runs" {
	run bench two-services alone --model resnet101 --rate 30,20 --seed 5
	assert_status 0
	assert_line 'two-services with resnet101'
	expect_served
	local first
	first=$(python3 -c 'import json; print(json.load(open("out.json"))["systems"][0]["tenants"][0]["requests"])')
	# A service that is not named keeps the rate of its row.
	run bench two-services alone --model resnet101 --rate 30 --seed 6
	assert_status 0
	result '[p["request_rate"] for p in r["parameters"]["tenants"]] == [30, 150, 0]'
	result "t['alone']['a']['requests'] != $first"
}

@test "services alone under MPS and under lithos" {
	run --separate-stderr bench hybrid alone,alone-mps,lithos-alone --rate 30 --progress
	assert_status 0
	result 's["alone-mps"]["fg_p50_ratio"] > 0 and s["lithos-alone"]["fg_p99_ratio"] > 0'
	result 's["alone-mps"]["bg_rate"] is None and s["lithos-alone"]["bg_rate"] is None'
	result 's["alone"]["bg_rate"] > 0'
	# shellcheck disable=SC2154 # bats sets it
	assert_equal "$(grep -c '^hybrid [a-z-]* repetition 1: .foreground p50' <<< "$stderr")" 3 "$stderr"
}

@test "a tenant that dies is named" {
	LITHOS_SIM_FAULT=launch-error=20 run bench two-services mps --rate 20
	assert_status 1
	assert_line 'mps, repetition 1: c: exit code 1; its log ends: .*error 719'
}
