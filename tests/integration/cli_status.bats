#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos status` and the report of a daemon that tells what the test wants.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR"
	export LITHOS_SOCKET="$PWD/d.sock"
	daemon_pid=
	cat > report.json <<-'JSON'
		{"version": 1, "gpus": [
		  {"uuid": "GPU-00112233-4455-6677-8899-aabbccddeeff", "name": "Sim H100",
		   "nr_tpcs": 66, "own": 13, "lent": 20, "free": 33, "mps": "running"},
		  {"uuid": "GPU-ffffffff-4455-6677-8899-aabbccddeeff", "name": "Sim H100",
		   "nr_tpcs": 66, "own": 0, "lent": 0, "free": 66, "mps": "off"}],
		 "tenants": [
		  {"name": "web", "gpu": "GPU-00112233-4455-6677-8899-aabbccddeeff",
		   "pids": [7, 8, 9], "quota": 33, "quota_percent": 0, "priority": 5, "state": "idle", "own": 33, "lent": 20,
		   "borrowed": 0, "launches": 1234, "own_gpu_s": 1.5, "borrowed_gpu_s": 0.25,
		   "memory_bytes": 1048576, "last_error": 0},
		  {"name": "train\u001b[2J", "gpu": "GPU-00112233-4455-6677-8899-aabbccddeeff",
		   "pids": [], "quota": 0, "quota_percent": 0, "priority": 0, "own": 0, "lent": 0,
		   "borrowed": 20, "state": "active", "last_error": 700}]}
	JSON
}

teardown() {
	stop_daemon
}

daemon() {
	python3 "$BATS_TEST_DIRNAME/fake_daemon.py" "$LITHOS_SOCKET" --log daemon.log \
		--report report.json "$@" 3>&- &
	daemon_pid=$!
	wait_for grep -q listening daemon.log
}

stop_daemon() {
	[ -z "$daemon_pid" ] || kill -KILL "$daemon_pid" 2> /dev/null || true
	[ -z "$daemon_pid" ] || wait "$daemon_pid" 2> /dev/null || true
	daemon_pid=
	rm -f daemon.log
}

@test "a block a GPU, a line a tenant" {
	daemon
	run "$LITHOS" status
	assert_status 0
	assert_equal "${lines[0]}" \
		'GPU-00112233  Sim H100: 66 TPCs, 13 own, 20 lent, 33 free; MPS running'
	assert_line '^TENANT +PIDS +QUOTA +PRIO +OWN +LENT +BORROWED +STATE +LAUNCHES +OWN_S +BORROWED_S +MIB +ERROR$'
	assert_line '^web +3 +33 +5 +33 +20 +0 +idle +1234 +1.50 +0.25 +1 +-$'
	assert_line '^train\?\[2J +0 +best +0 +0 +0 +20 +active +- +- +- +- +700$'
	assert_line '^GPU-ffffffff  Sim H100: 66 TPCs, 0 own, 0 lent, 66 free; MPS off$'
	assert_line '^no tenants$'
}

@test "json is the daemon's own, in its order" {
	daemon
	run "$LITHOS" status --format=json
	assert_status 0
	python3 -c 'import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert a == b and list(a["tenants"][0]) == list(b["tenants"][0])' report.json /dev/stdin <<< "$output"
	[ "${#lines[@]}" -gt 20 ]
}

@test "--socket goes before LITHOS_SOCKET" {
	daemon
	local socket=$LITHOS_SOCKET
	LITHOS_SOCKET=none run "$LITHOS" status --socket "$socket"
	assert_status 0
	run "$LITHOS" status --socket /no/such
	assert_status 1
	assert_equal "$output" 'lithos: no lithosd at /no/such'
}

@test "no daemon is 1 and starts none" {
	run "$LITHOS" status
	assert_status 1
	assert_equal "$output" "lithos: no lithosd at $LITHOS_SOCKET"
	LITHOS_SOCKET=none run "$LITHOS" status
	assert_status 1
	assert_line 'LITHOS_SOCKET=none'
	unset LITHOS_SOCKET
	run "$LITHOS" status
	assert_status 1
	assert_equal "$output" "lithos: no lithosd at $XDG_RUNTIME_DIR/lithos/sim-h100/lithosd.sock"
	[ ! -e "$XDG_RUNTIME_DIR/lithos" ]
}

@test "mistakes on the line are 2" {
	run "$LITHOS" status --format=xml
	assert_status 2
	run "$LITHOS" status now
	assert_status 2
	run "$LITHOS" status --socket ''
	assert_status 2
	run "$LITHOS" status --socket "/$(printf '%0120d' 1)"
	assert_status 2
}

@test "a report that could change or is shorter than told is not read" {
	daemon --unsealed
	run "$LITHOS" status
	assert_status 1
	assert_line "answered something that is not lithosd's"
	stop_daemon
	# A whole page, so that one byte more would be a fault and not a zero.
	python3 -c 'f = open("report.json", "r+"); t = f.read(); f.write(" " * (4096 - len(t)))'
	assert_equal "$(stat -c %s report.json)" 4096
	daemon --report-bytes 100000
	run "$LITHOS" status
	assert_status 1
	assert_line "answered something that is not lithosd's"
	stop_daemon
	daemon --report-bytes 99999999999999
	run "$LITHOS" status
	assert_status 1
	stop_daemon
	daemon --report-bytes 40
	run "$LITHOS" status
	assert_status 1
	assert_line "answered something that is not lithosd's"
}

@test "a full disk is an error" {
	[ -e /dev/full ] || skip 'no /dev/full'
	daemon
	run sh -c "'$LITHOS' status > /dev/full"
	assert_status 1
}
