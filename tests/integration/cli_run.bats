#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos run` around programs that never touch CUDA: exit codes, signals, environment, refusals.
# The programs' own shells expand what stands in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR"
}

# Nothing may be left of any run.
teardown() {
	run ls -d "$BATS_TEST_TMPDIR"/lithos-run-*
	[ "$status" -ne 0 ]
}

@test "a program's exit code is passed through" {
	run "$LITHOS" run -- true
	assert_status 0
	run "$LITHOS" run -- sh -c 'exit 3'
	assert_status 3
	run "$LITHOS" run sh -c 'exit 99'
	assert_status 99
}

@test "a program's output is its own" {
	run "$LITHOS" run -- echo hello
	assert_status 0
	assert_equal "$output" hello
}

@test "a signal's number is added to 128" {
	run "$LITHOS" run -- sh -c 'kill -TERM $$'
	assert_status 143
	run "$LITHOS" run -- sh -c 'kill -KILL $$'
	assert_status 137
}

@test "126 for what cannot be executed, 127 for what is not there" {
	run "$LITHOS" run -- /etc/passwd
	assert_status 126
	assert_line "lithos: cannot run '/etc/passwd': Permission denied"
	run -127 "$LITHOS" run -- no-such-program-here
	assert_line "lithos: cannot run 'no-such-program-here': No such file"
}

@test "125 for mistakes on the line" {
	run "$LITHOS" run
	assert_status 125
	assert_line 'no program given'
	run "$LITHOS" run --no-such-option -- true
	assert_status 125
	assert_line "unrecognized option '--no-such-option'"
	run "$LITHOS" run --stats=xml -- true
	assert_status 125
	assert_line "'table' or 'json', not 'xml'"
}

@test "a quota that is none is refused before the program starts" {
	local quota
	for quota in 0 0% 101% -1 x 3.5 '' 5x '50%%'; do
		run "$LITHOS" run --quota "$quota" -- touch started
		assert_status 125
		assert_line "neither a number of TPCs"
	done
	[ ! -e started ]
}

@test "quota, tenant and priority reach the program" {
	run "$LITHOS" run --quota 50% --tenant web --priority 7 -- \
		sh -c 'echo "$LITHOS_TPC_QUOTA $LITHOS_TENANT $LITHOS_PRIORITY"'
	assert_status 0
	assert_equal "$output" '50% web 7'
}

@test "a priority that is none is refused" {
	run "$LITHOS" run --priority 1001 -- touch started
	assert_status 125
	assert_line "LITHOS_PRIORITY: '1001' is out of range"
	[ ! -e started ]
}

@test "a bad LITHOS_ variable of the caller is refused" {
	LITHOS_SIM_GPU=none run "$LITHOS" run -- touch started
	assert_status 125
	assert_line "LITHOS_SIM_GPU: 'none' is not one of the choices"
	[ ! -e started ]
}

@test "options of later parts are refused, not ignored" {
	local option
	for option in --slo=5 --slip=1.1 --memory=1G; do
		run "$LITHOS" run "$option" -- touch started
		assert_status 125
		assert_line 'comes with a later part.* has no effect yet'
	done
	[ ! -e started ]
}

@test "--profile excludes quota and statistics" {
	run "$LITHOS" run --profile --quota 3 -- true
	assert_status 125
	run "$LITHOS" run --profile --stats -- true
	assert_status 125
	run "$LITHOS" run --profile -- sh -c 'echo $LITHOS_PROFILE'
	assert_status 0
	assert_equal "$output" 1
}

@test "the shim's folder comes first on LD_LIBRARY_PATH, and what was there stays" {
	LD_LIBRARY_PATH=/somewhere run "$LITHOS" run -- sh -c 'echo $LD_LIBRARY_PATH'
	assert_status 0
	assert_equal "$output" "$SHIM_DIR:/somewhere"
	run "$LITHOS" run -- sh -c 'echo $LD_LIBRARY_PATH'
	assert_equal "$output" "$SHIM_DIR"
}

@test "a missing shim is named" {
	mkdir -p bin
	cp "$LITHOS" bin/lithos
	[ ! -e "/usr/lib/$(uname -m)-linux-gnu/lithos/libcuda.so.1" ] || skip 'lithos is installed'
	run bin/lithos run -- touch started
	assert_status 125
	assert_line "no libcuda.so.1 in $PWD/bin/../lib/lithos"
	[ ! -e started ]
}

@test "--sim names the simulated driver, and a missing one is an error" {
	unset LITHOS_SIM
	run "$LITHOS" run --sim -- sh -c 'echo "$LITHOS_SIM $LITHOS_SIM_LIBCUDA"'
	assert_status 0
	assert_equal "$output" "1 $SIM_DIR/libcuda.so.1"
	mkdir -p bin lib/lithos
	cp "$LITHOS" bin/lithos
	cp "$SHIM_DIR/libcuda.so.1" lib/lithos/
	run bin/lithos run --sim -- touch started
	assert_status 125
	assert_line "no simulated driver at $PWD/bin/../lib/sim/libcuda.so.1"
	[ ! -e started ]
}

@test "the run directory is private and gone afterwards" {
	run "$LITHOS" run -- sh -c 'stat -c "%a %n" "$LITHOS_RUN_DIR"; touch "$LITHOS_RUN_DIR/x"'
	assert_status 0
	[[ "$output" == "700 $BATS_TEST_TMPDIR/lithos-run-"* ]]
}

@test "without a usable XDG_RUNTIME_DIR the run directory is in /tmp" {
	XDG_RUNTIME_DIR=/no/such/folder run "$LITHOS" run -- sh -c 'echo "$LITHOS_RUN_DIR"'
	assert_status 0
	[[ "$output" == /tmp/lithos-run-* ]]
	[ ! -e "$output" ]
}

# Waits for a file that the child makes when its trap is set. Gives up after a minute.
wait_for_file() {
	local i
	for ((i = 0; i < 600; i++)); do
		[ ! -e "$1" ] || return 0
		sleep 0.1
	done
	return 1
}

@test "signals sent to lithos run reach the program, whose answer counts" {
	local name pid code
	for name in TERM HUP USR1 USR2; do
		rm -f ready
		"$LITHOS" run -- sh -c \
			"trap 'exit 42' $name; touch ready; while [ -e \"\$PWD\" ]; do sleep 0.05; done" 3>&- &
		pid=$!
		wait_for_file ready
		kill -s "$name" "$pid"
		code=0
		wait "$pid" || code=$?
		assert_equal "$code" 42 "$name"
	done
}

@test "a program that ignores SIGTERM keeps running" {
	"$LITHOS" run -- sh -c \
		"trap '' TERM; touch ready; while [ -e \"\$PWD\" ] && [ ! -e stop ]; do sleep 0.05; done; exit 6" 3>&- &
	local pid=$! code=0
	wait_for_file ready
	kill -TERM "$pid"
	touch stop
	wait "$pid" || code=$?
	assert_equal "$code" 6
}

@test "a caller that ignores SIGCHLD does not lose the exit code" {
	require_command python3
	run python3 - "$LITHOS" <<-'PY'
		import signal, subprocess, sys
		signal.signal(signal.SIGCHLD, signal.SIG_IGN)
		import os
		os.execv(sys.argv[1], [sys.argv[1], "run", "--", "sh", "-c", "exit 7"])
	PY
	assert_status 7
}

@test "one lithos run inside another works" {
	run "$LITHOS" run -- "$LITHOS" run -- sh -c 'exit 8'
	assert_status 8
}

@test "the folder of a run that was killed goes with the next run, one in use stays" {
	export XDG_RUNTIME_DIR="$PWD/runtime"
	mkdir -m 700 runtime
	"$LITHOS" run -- sh -c 'echo $$ > pid; echo $LITHOS_RUN_DIR > killed; exec sleep 60' 3>&- &
	local first=$!
	"$LITHOS" run -- sh -c 'echo $LITHOS_RUN_DIR > used; exec sleep 60' 3>&- &
	local second=$!
	wait_for [ -s killed ]
	wait_for [ -s used ]
	touch "$(cat killed)/stats.1" "$(cat used)/stats.1"
	kill -KILL "$first"
	wait "$first" || true
	kill -KILL "$(cat pid)"
	[ -d "$(cat killed)" ]
	run "$LITHOS" run -- true
	assert_status 0
	[ ! -e "$(cat killed)" ]
	[ -e "$(cat used)/stats.1" ]
	kill "$second"
	wait "$second" || true
	[ ! -e "$(cat used)" ]
}

@test "without XDG_RUNTIME_DIR the folder is in TMPDIR" {
	mkdir temporary
	run env -u XDG_RUNTIME_DIR TMPDIR="$PWD/temporary" "$LITHOS" run -- sh -c 'echo $LITHOS_RUN_DIR'
	assert_status 0
	assert_line "^$PWD/temporary/lithos-run-"
	run env -u XDG_RUNTIME_DIR TMPDIR=/no/such/folder "$LITHOS" run -- sh -c 'echo $LITHOS_RUN_DIR'
	assert_status 0
	assert_line "^/tmp/lithos-run-"
}

@test "with a read-only /tmp all goes into TMPDIR" {
	skip_when_instrumented "what counts lines writes files at the end"
	unshare -rm true 2> /dev/null || skip "no mount namespaces here"
	# The build may lie in /tmp itself: it is seen through another folder then.
	run unshare -rm sh -c 'cd / && mount -t tmpfs none /mnt && mkdir /mnt/build &&
		mount --bind "$0" /mnt/build && mount -t tmpfs -o ro none /tmp &&
		! touch /tmp/x 2> /dev/null &&
		unset XDG_RUNTIME_DIR LITHOS_SOCKET LITHOS_CACHE_DIR &&
		TMPDIR=/mnt /mnt/build/bin/lithos run --sim -- sh -c \
			'\''echo "$LITHOS_RUN_DIR $LITHOS_SOCKET"'\' "$BUILD_DIR"
	assert_status 0
	assert_line "^/mnt/lithos-run-.* /mnt/lithos-0/"
}

@test "what is closed of 0, 1 and 2 is taken by nothing that lithos opens" {
	local closed
	for closed in '0<&-' '1>&-' '2>&-'; do
		sh -c "exec $closed; exec \"\$0\" run -- sh -c 'ls -l /proc/\$PPID/fd > fds'" "$LITHOS"
		run cat fds
		assert_line " ${closed%%[<>]*} -> /dev/null"
	done
}

@test "a limit of file sizes ends neither lithos nor the program, which has it, too" {
	skip_when_instrumented "what counts lines writes files at the end"
	run bash -c 'ulimit -f 0; exec env LITHOS_SOCKET=none LITHOS_CACHE_DIR="$PWD" "$0" \
		run --sim \
		--quota 4 -- "$1"' "$LITHOS" "$PROGRAMS/once"
	assert_status 0
	run bash -c 'ulimit -f 0; exec env LITHOS_SOCKET=none "$0" run -- sh -c \
		"grep SigIgn /proc/self/status"' "$LITHOS"
	# SIGXFSZ is number 25: bit 24.
	(( (0x${output##*[[:space:]]} >> 24 & 1) == 0 ))
}
