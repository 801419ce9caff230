#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos run` and a daemon that answers as the test wants it: what is asked, what the program gets,
# and what happens when the daemon refuses, babbles, is slow, or dies.
# The programs' own shells expand what stands in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR"
	export LITHOS_SOCKET="$PWD/d.sock"
	daemon_pid=
}

teardown() {
	stop_daemon
	rm -f "$BATS_TEST_TMPDIR/go"
}

daemon() {
	rm -f daemon.log
	python3 "$BATS_TEST_DIRNAME/fake_daemon.py" "$LITHOS_SOCKET" --log daemon.log "$@" 3>&- &
	daemon_pid=$!
	wait_for grep -q listening daemon.log
}

stop_daemon() {
	[ -z "$daemon_pid" ] || kill -KILL "$daemon_pid" 2> /dev/null || true
	[ -z "$daemon_pid" ] || wait "$daemon_pid" 2> /dev/null || true
	daemon_pid=
}

# As the daemon saw it.
assert_asked() {
	grep -qxF -- "$1" daemon.log || {
		printf 'not asked: %s\n' "$1" >&2
		cat daemon.log >&2
		return 1
	}
}

@test "an owner gets its TPCs, a token, the socket and a GPU" {
	daemon
	run "$LITHOS" run --quota 50% --tenant web --priority 7 -- sh -c 'echo "$LITHOS_TPC_QUOTA \
$LITHOS_TENANT $LITHOS_PRIORITY $LITHOS_TOKEN $LITHOS_SOCKET ${CUDA_VISIBLE_DEVICES-unset} \
$LITHOS_TPCS [$CUDA_MPS_PIPE_DIRECTORY] [$CUDA_MPS_CLIENT_PRIORITY]"'
	assert_status 0
	assert_equal "$output" "33 web 7 000102030405060708090a0b0c0d0e0f $LITHOS_SOCKET \
unset 0000000000000000000000000000001f [] []"
	assert_asked 'admit tenant=web tpcs=0 percent=50 priority=7 gpus='
}

@test "without --quota a program is best effort" {
	daemon
	run "$LITHOS" run -- sh -c 'echo "${LITHOS_TPC_QUOTA-unset} $LITHOS_TENANT"'
	assert_status 0
	assert_equal "$output" 'unset nobody'
	assert_asked 'admit tenant= tpcs=0 percent=0 priority=0 gpus='
}

@test "the caller's variables count as options do" {
	daemon
	LITHOS_TPC_QUOTA=9 LITHOS_TENANT=mine LITHOS_PRIORITY=3 run "$LITHOS" run -- true
	assert_status 0
	assert_asked 'admit tenant=mine tpcs=9 percent=0 priority=3 gpus='
}

@test "a refusal is the daemon's sentence and 125, and nothing starts" {
	daemon --admit refuse --text 'web has 60 of 66 TPCs'
	run "$LITHOS" run --quota 33 -- touch started
	assert_status 125
	assert_equal "$output" 'lithos: web has 60 of 66 TPCs'
	[ ! -e started ]
}

@test "control characters of a daemon do not reach the terminal" {
	daemon --admit refuse --text "$(printf 'a\033[2Jb\nc')"
	run "$LITHOS" run -- true
	assert_status 125
	assert_equal "$output" 'lithos: a [2Jb c'
}

@test "answers that are none are errors" {
	local how
	for how in garbage short long owner; do
		daemon --admit "$how"
		run "$LITHOS" run -- touch started
		assert_status 125
		assert_line "^lithos: lithosd at $LITHOS_SOCKET answered something that is not lithosd's$"
		stop_daemon
	done
	daemon --admit version
	run "$LITHOS" run -- touch started
	assert_status 125
	assert_line "lithosd at $LITHOS_SOCKET is of another version than this lithos"
	stop_daemon
	daemon --admit close
	run "$LITHOS" run -- touch started
	assert_status 125
	assert_line "lithosd at $LITHOS_SOCKET closed the connection"
	[ ! -e started ]
}

@test "nobody on the socket is an error, not a reason to look elsewhere" {
	run "$LITHOS" run -- touch started
	assert_status 125
	assert_equal "$output" "lithos: no lithosd at $LITHOS_SOCKET"
	daemon
	stop_daemon
	[ -e "$LITHOS_SOCKET" ]
	run "$LITHOS" run -- touch started
	assert_status 125
	assert_equal "$output" "lithos: no lithosd at $LITHOS_SOCKET"
	[ ! -e started ]
}

@test "a slow daemon is waited for, a silent one not for ever" {
	daemon --admit slow
	run "$LITHOS" run --quota 3 -- sh -c 'echo $LITHOS_TPC_QUOTA'
	assert_status 0
	assert_equal "$output" 3
	stop_daemon
	daemon --admit silent
	run "$LITHOS" run -- touch started
	assert_status 125
	assert_line "lithosd at $LITHOS_SOCKET does not answer"
	[ ! -e started ]
}

@test "names and priorities that are none are refused before anything is asked" {
	daemon
	local name
	for name in '' 'a b' "$(printf 'a\tb')" 'ä' "$(printf '%064d' 1)"; do
		run "$LITHOS" run --tenant "$name" -- touch started
		assert_status 125
	done
	run "$LITHOS" run --priority 1001 -- touch started
	assert_status 125
	run "$LITHOS" run --priority x -- touch started
	assert_status 125
	[ ! -e started ]
	run grep admit daemon.log
	assert_status 1
	run "$LITHOS" run --tenant "$(printf '%063d' 1)" -- true
	assert_status 0
}

@test "the daemon chooses from the UUIDs of the caller, and the program gets the chosen one" {
	daemon --gpus 8
	CUDA_VISIBLE_DEVICES='GPU-aa, GPU-00112233-4455-6677-8899-aabbccddeeff' \
		run "$LITHOS" run -- sh -c 'echo $CUDA_VISIBLE_DEVICES'
	assert_status 0
	assert_equal "$output" GPU-00112233-4455-6677-8899-aabbccddeeff
	assert_asked 'admit tenant= tpcs=0 percent=0 priority=0 gpus=GPU-aa,GPU-00112233-4455-6677-8899-aabbccddeeff'
}

@test "indices are left alone where there is one GPU, and refused where there are more" {
	daemon --gpus 1
	CUDA_VISIBLE_DEVICES=0 run "$LITHOS" run -- sh -c 'echo $CUDA_VISIBLE_DEVICES'
	assert_status 0
	assert_equal "$output" 0
	CUDA_VISIBLE_DEVICES='' run "$LITHOS" run -- sh -c 'echo "[${CUDA_VISIBLE_DEVICES-unset}]"'
	assert_status 0
	assert_equal "$output" '[]'
	stop_daemon
	daemon --gpus 8
	CUDA_VISIBLE_DEVICES=0 run "$LITHOS" run -- touch started
	assert_status 125
	assert_line 'CUDA_VISIBLE_DEVICES=0 does not name GPUs by UUID, and this machine has 8'
	[ ! -e started ]
}

@test "with MPS the program learns where it is, and its priority unless the caller has set one" {
	daemon --mps /run/lithos/mps
	local show='echo "$CUDA_MPS_PIPE_DIRECTORY $CUDA_MPS_CLIENT_PRIORITY"'
	run "$LITHOS" run -- sh -c "$show"
	assert_equal "$output" '/run/lithos/mps 1'
	run "$LITHOS" run --no-mps -- sh -c \
		'echo "$CUDA_MPS_PIPE_DIRECTORY ${CUDA_MPS_CLIENT_PRIORITY-unset}"'
	assert_equal "$output" '/dev/null/no-mps unset'
	run "$LITHOS" run --quota 3 -- sh -c "$show"
	assert_equal "$output" '/run/lithos/mps 0'
	CUDA_MPS_CLIENT_PRIORITY=0 run "$LITHOS" run -- sh -c "$show"
	assert_equal "$output" '/run/lithos/mps 0'
}

@test "the connection is not the program's, and ends with lithos run" {
	daemon
	run "$LITHOS" run -- sh -c 'ls -l /proc/self/fd'
	assert_status 0
	refute_line 'socket:'
	wait_for grep -q closed daemon.log
	rm -f go
	"$LITHOS" run -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' 3>&- &
	local run_pid=$!
	wait_for sh -c 'test "$(grep -c admit daemon.log)" -eq 2'
	assert_equal "$(grep -c closed daemon.log)" 1
	kill -KILL "$run_pid"
	wait_for sh -c 'test "$(grep -c closed daemon.log)" -eq 2'
	touch go
}

@test "notices are printed while the program runs" {
	daemon --notice 'MPS was restarted'
	"$LITHOS" run -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done; exit 3' \
		2> said 3>&- &
	local run_pid=$! code=0
	wait_for grep -qx 'lithos: MPS was restarted' said
	touch go
	wait "$run_pid" || code=$?
	assert_equal "$code" 3
}

@test "the daemon's death does not touch the program, and the reservation is offered again" {
	daemon
	"$LITHOS" run --quota 5 -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done; exit 4' 2> said \
		3>&- &
	local run_pid=$! code=0
	wait_for grep -q admit daemon.log
	stop_daemon
	wait_for grep -q "lithosd at $LITHOS_SOCKET is gone; the program keeps running" said
	daemon
	wait_for grep -q "lithosd at $LITHOS_SOCKET is back" said
	assert_asked 'return token=000102030405060708090a0b0c0d0e0f uuid=00112233445566778899aabbccddeeff flags=1 line=0'
	touch go
	wait "$run_pid" || code=$?
	assert_equal "$code" 4
	assert_equal "$(wc -l < said)" 2
}

# Ticks of CPU time that a process has had.
cpu_of() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

@test "while there is no daemon, however long, nobody spins" {
	daemon
	"$LITHOS" run -- sh -c 'while [ ! -e go ]; do sleep 0.05; done' \
		2> said 3>&- &
	local run_pid=$! before
	wait_for grep -q admit daemon.log
	stop_daemon
	wait_for grep -q 'is gone' said
	sleep 6 # longer than a connection must last to be a good one
	before=$(cpu_of "$run_pid")
	sleep 2
	[ "$(($(cpu_of "$run_pid") - before))" -lt 5 ]
	touch go
	wait "$run_pid"
}

@test "signals arrive while there is no daemon" {
	daemon
	"$LITHOS" run -- sh -c 'trap "exit 9" TERM; touch ready; while [ -e "$PWD" ]; do sleep 0.05; done' 2> \
		said 3>&- &
	local run_pid=$! code=0
	wait_for test -e ready
	stop_daemon
	wait_for grep -q 'is gone' said
	kill -TERM "$run_pid"
	wait "$run_pid" || code=$?
	assert_equal "$code" 9
}

@test "a daemon that does not want the reservation back is not asked again" {
	daemon
	"$LITHOS" run -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' \
		2> said 3>&- &
	local run_pid=$!
	wait_for grep -q admit daemon.log
	stop_daemon
	daemon --return refuse --text 'the tenant is unknown'
	wait_for grep -qx 'lithos: the tenant is unknown' said
	sleep 3 # longer than the longest pause
	assert_equal "$(grep -c '^return' daemon.log)" 1
	touch go
	wait "$run_pid"
}

@test "a daemon that closes or babbles is asked again, but not in a loop" {
	daemon
	"$LITHOS" run -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' \
		2> said 3>&- &
	local run_pid=$! how
	wait_for grep -q admit daemon.log
	for how in close garbage; do
		stop_daemon
		daemon --return "$how"
		wait_for sh -c 'test "$(grep -c ^return daemon.log)" -ge 3'
		sleep 2
		# Pauses of 100 ms doubling to 2 s: a loop would be thousands.
		[ "$(grep -c '^return' daemon.log)" -lt 40 ]
	done
	assert_equal "$(wc -l < said)" 1
	touch go
	wait "$run_pid"
}

@test "lithos run inside a tenant is that tenant, and with wishes another" {
	daemon
	run "$LITHOS" run --quota 5 -- "$LITHOS" run -- sh -c 'echo $LITHOS_TPC_QUOTA'
	assert_status 0
	assert_equal "$output" 5
	assert_equal "$(grep -c admit daemon.log)" 1
	run "$LITHOS" run --quota 5 --tenant outer -- "$LITHOS" run --priority 2 -- \
		sh -c 'echo ${LITHOS_TPC_QUOTA-unset}'
	assert_status 0
	assert_equal "$output" unset
	assert_asked 'admit tenant= tpcs=0 percent=0 priority=2 gpus='
}

@test "--profile and LITHOS_DISABLE ask no daemon, and --profile says so" {
	daemon
	run "$LITHOS" run --profile -- sh -c 'echo ran ${LITHOS_TOKEN-without}'
	assert_status 0
	assert_line '^ran without$'
	assert_line '^lithos: --profile: no lithosd is asked'
	LITHOS_DISABLE=1 run "$LITHOS" run -- sh -c 'echo ran ${LITHOS_TOKEN-without}'
	assert_status 0
	assert_equal "$output" 'ran without'
	run grep admit daemon.log
	assert_status 1
}

@test "LITHOS_SOCKET=none asks nobody" {
	LITHOS_SOCKET=none run "$LITHOS" run --quota 7 -- \
		sh -c 'echo "$LITHOS_TPC_QUOTA $LITHOS_SOCKET ${LITHOS_TOKEN-no} ${CUDA_VISIBLE_DEVICES-no}"'
	assert_status 0
	assert_equal "$output" '7 none no no'
}

@test "a socket named from a folder works in another" {
	daemon
	LITHOS_SOCKET=d.sock run "$LITHOS" run -- sh -c 'echo $LITHOS_SOCKET'
	assert_status 0
	assert_equal "$output" "$LITHOS_SOCKET"
}
