#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# How much device memory `lithos status` says a tenant has, with the real lithosd on the simulated
# GPU that processes share.
# The programs' own shells expand what stands in single quotes, and every test has its own `pids`.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	unset LITHOS_SOCKET
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/r"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	HOLDER="$PROGRAMS/memory_holder"
	export HOLDER
	pids=()
}

teardown() {
	local pid
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2> /dev/null || true
	done
	rm -f "$BATS_TEST_TMPDIR"/*.[0-9]
	! daemon_pid > pid 2> /dev/null || kill -KILL "$(cat pid)"
}

daemon_pid() {
	"$LITHOS" status --format=json | python3 -c \
		'import json, sys; print(json.load(sys.stdin)["daemon"]["pid"])'
}

# has TENANT MIB: what the report says.
has() {
	"$LITHOS" status --format=json | python3 -c '
import json, sys
have = [t["memory_bytes"] for t in json.load(sys.stdin)["tenants"] if t["name"] == sys.argv[1]]
sys.exit(have != [int(sys.argv[2]) << 20])' "$1" "$2"
}

# is_gone TENANT: it is not in the report.
is_gone() {
	"$LITHOS" status --format=json | python3 -c '
import json, sys
sys.exit(any(t["name"] == sys.argv[1] for t in json.load(sys.stdin)["tenants"]))' "$1"
}

# after NAME STEP TENANT MIB: so much after the step, and then on with the program.
after() {
	wait_for test -e "$1.$2"
	wait_for has "$3" "$4"
	rm "$1.$2"
}

go_through() {
	local code=0
	"$LITHOS" run --tenant web --quota 6 -- \
		"$HOLDER" a alloc refused free context destroy alloc reset 2> err 3>&- &
	pids+=($!)
	after a 1 web 192
	after a 2 web 192
	after a 3 web 0
	after a 4 web 32
	after a 5 web 0
	after a 6 web 192
	# The primary context's memory is gone, the pool's outlives it.
	after a 7 web 64
	wait "${pids[0]}" || code=$?
	[ "$code" -eq 0 ] || cat err >&2
	assert_equal "$code" 0
}

@test "64 MiB in three ways are 192, and 0 when freed; contexts take theirs along" {
	go_through
}

@test "the same with the queue in front of every call" {
	export LITHOS_HOLD=always
	go_through
}

@test "processes of a tenant add up, and one that is killed holds nothing" {
	local killed
	"$LITHOS" run --tenant two --quota 6 -- sh -c '
		"$HOLDER" a alloc & echo $! > a.pid
		"$HOLDER" b alloc free
		wait' 2> err 3>&- &
	pids+=($!)
	wait_for test -e a.1
	wait_for test -e b.1
	wait_for has two 384
	killed=$(cat a.pid)
	kill -KILL "$killed"
	wait_for has two 192
	rm b.1
	wait_for test -e b.2
	wait_for has two 0
	rm b.2
	wait "${pids[0]}"
	wait_for is_gone two
}

@test "without a daemon nothing is counted and nothing breaks" {
	local code=0
	LITHOS_SOCKET=none LITHOS_STATS=1 LITHOS_RUN_DIR="$PWD" \
		"$LITHOS" run --quota 6 -- "$HOLDER" a alloc free context destroy 2> err 3>&- &
	pids+=($!)
	local n
	for n in 1 2 3 4; do
		wait_for test -e "a.$n"
		rm "a.$n"
	done
	wait "${pids[0]}" || code=$?
	assert_equal "$code" 0
}
