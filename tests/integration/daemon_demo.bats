#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# tools/demo.sh on the simulated GPU: it shows what it says, and leaves nothing behind.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	unset LITHOS_SOCKET LITHOS_SIM
	export TMPDIR="$BATS_TEST_TMPDIR/t" LITHOS_BUILD="$BUILD_DIR"
	mkdir "$TMPDIR"
	! nvidia-smi -L > /dev/null 2>&1 || skip "the demo would use the GPU"
	DEMO="$BATS_TEST_DIRNAME/../../tools/demo.sh"
}

# A daemon that was asked to end may take a while on a busy machine.
nothing_is_left() {
	local i
	for ((i = 0; i < 600; i++)); do
		[ -n "$(ls -A "$TMPDIR")" ] || break
		sleep 0.1
	done
	[ -z "$(ls -A "$TMPDIR")" ]
	! grep -qa -- "$TMPDIR" /proc/[0-9]*/cmdline 2> /dev/null
}

@test "the demo confines, lends and takes back" {
	run timeout 300 "$DEMO"
	assert_status 0
	assert_line '^web +1 +33 +0 +33 +33 +0 +idle '
	assert_line '^batch +1 +best +0 +0 +0 +66 +active '
	assert_line '^web +1 +33 +0 +33 +0 +[0-9]+ +active '
	assert_line '^lk_spin '
	assert_line '^result: +confined, .* lent, and taken back$'
	nothing_is_left
}

@test "a demo that is ended in the middle leaves nothing behind" {
	# The second tenant is still on its way when the signal comes.
	LITHOS_SIM_FAULT=slow-init=1000 "$DEMO" > out.txt 2>&1 3>&- &
	local demo=$! i code=0
	for ((i = 0; i < 1200; i++)); do
		! compgen -G "$TMPDIR/*/ready.web" > /dev/null || break
		sleep 0.05
	done
	compgen -G "$TMPDIR/*/lithos/*/lithosd.sock"
	kill -TERM "$demo"
	wait "$demo" || code=$?
	[ "$code" -ne 0 ]
	run cat out.txt
	refute_line '^result:'
	nothing_is_left
}

@test "a demo whose GPU fails says so" {
	LITHOS_SIM_FAULT=launch-error=3 run timeout 300 "$DEMO"
	[ "$status" -ne 0 ]
	assert_line '^demo: '
	nothing_is_left
}
