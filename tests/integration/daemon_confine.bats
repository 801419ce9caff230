#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Nobody escapes: a tenant's processes when its daemon is stopped or gone, and those that get the
# driver past the shim. A private daemon, the simulated GPU, quotas of 4 TPCs.
# The programs' own shells expand what stands in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	unset LITHOS_SOCKET
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/r"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	export TOLD="$PROGRAMS/shim_told" DRIVER="$SIM_DIR/libcuda.so.1" LITHOS
	# Has a library until there is a file `go`.
	cat > have.py <<-'PY'
		import ctypes, os, sys, time
		library = ctypes.CDLL(sys.argv[1])
		open("has", "w").close()
		while not os.path.exists("go"):
		    time.sleep(0.05)
	PY
	# Itself, not a script that finds it: each process is counted.
	PYTHON=$(python3 -c 'import sys; print(sys.executable)')
	HAVE="$PWD/have.py"
	export HAVE PYTHON
}

teardown() {
	touch "$BATS_TEST_TMPDIR/go"
	if [ -e "$BATS_TEST_TMPDIR/daemon.pid" ]; then
		kill -CONT "$(cat "$BATS_TEST_TMPDIR/daemon.pid")" 2> /dev/null || true
		kill -KILL "$(cat "$BATS_TEST_TMPDIR/daemon.pid")" 2> /dev/null || true
	fi
}

# The shell of a tenant: $DAEMON is its daemon.
DAEMON_PID='DAEMON=$("$LITHOS" status --format=json | python3 -c "
import json, sys
print(json.load(sys.stdin)[\"daemon\"][\"pid\"])"); echo $DAEMON > daemon.pid;'

@test "a daemon that is stopped: confined from the first launch, and attached when it goes on" {
	run "$LITHOS" run --quota 4 -- sh -c "$DAEMON_PID"'
		kill -STOP $DAEMON; "$TOLD"; "$TOLD"; kill -CONT $DAEMON'
	assert_status 0
	assert_equal "$(grep -c 'before=8 after=8 used=8 right=1' <<< "$output")" 2
	assert_equal "$(grep -c 'no daemon answers: confined until it does to 4 TPCs named' \
		<<< "$output")" 2
}

@test "a daemon that was killed: the same" {
	run "$LITHOS" run --quota 4 -- sh -c "$DAEMON_PID"'kill -KILL $DAEMON; "$TOLD"'
	assert_status 0
	assert_line 'before=8 after=8 used=8 right=1'
	assert_line 'confined until it does to 4 TPCs named at the start'
}

@test "two owners without their daemon are not on the same TPCs" {
	"$LITHOS" run --quota 4 -- sh -c 'echo $LITHOS_TPCS > one; while [ ! -e go ]; do sleep 0.1; done' \
		3>&- &
	wait_for test -s one
	"$LITHOS" run --quota 4 -- sh -c "$DAEMON_PID"'echo $LITHOS_TPCS > two'
	touch go
	wait
	python3 -c 'import sys
one, two = (int(open(name).read(), 16) for name in ("one", "two"))
sys.exit(one & two != 0 or bin(one).count("1") != 4 or bin(two).count("1") != 4)'
}

@test "best effort without a daemon goes to what was nobody's" {
	"$LITHOS" run --quota 60 -- sh -c 'touch up; while [ ! -e go ]; do sleep 0.1; done' 3>&- &
	wait_for test -e up
	run "$LITHOS" run -- sh -c "$DAEMON_PID"'kill -KILL $DAEMON; "$TOLD"'
	touch go
	assert_status 0
	assert_line 'used=12 right=1'
	assert_line 'confined until it does to 6 TPCs named at the start'
}

# escapes NAME COMMAND...: it is said at once, and in the status, and at the end.
escapes() {
	rm -f has go
	"$LITHOS" run --quota 4 --tenant web -- sh -c "$DAEMON_PID \$0 \"\$@\"; exit 7" "$@" \
		2> said 3>&- &
	local pid=$! code=0
	wait_for grep -q '^lithos: unconfined: .* has the driver itself' said
	wait_for sh -c '"$LITHOS" status | grep -q "unconfined: pid"'
	touch go
	wait "$pid" || code=$?
	assert_equal "$code" 7
	cat said; 	assert_equal "$(grep -c 'has the driver itself' said)" 1
	grep -q '^lithos: 1 process of the program ran unconfined$' said
}

@test "the driver by its path, by another LD_LIBRARY_PATH, preloaded, with an empty environment" {
	skip_under_sanitizer "a sanitized driver does not load into python"
	escapes "$PYTHON" "$HAVE" "$DRIVER"
	escapes env LD_LIBRARY_PATH="$SIM_DIR" "$PYTHON" "$HAVE" libcuda.so.1
	escapes env LD_PRELOAD="$DRIVER" LD_LIBRARY_PATH= "$PYTHON" "$HAVE" libc.so.6
	escapes env -i "$PYTHON" "$HAVE" "$DRIVER"
}

@test "a process that left its parents is found" {
	skip_under_sanitizer "a sanitized driver does not load into python"
	escapes sh -c '(setsid sh -c "\$PYTHON \$0 \$1 &" "$HAVE" "$DRIVER") &
		while [ ! -e go ]; do sleep 0.1; done'
}

@test "--strict ends who escaped, and exits with 125" {
	skip_under_sanitizer "a sanitized driver does not load into python"
	run timeout 60 "$LITHOS" run --strict --quota 4 -- sh -c "$DAEMON_PID"'
		env -i "$PYTHON" "$HAVE" "$DRIVER"; echo "ended $?"'
	assert_status 125
	assert_line '^ended 143$'
	assert_line 'unconfined: python3.*; it is ended \(--strict\)$'
	# Also one that does not want to.
	run timeout 60 "$LITHOS" run --strict --quota 4 -- sh -c \
		'trap "" TERM; "$PYTHON" "$HAVE" "$DRIVER"; echo "ended $?"'
	assert_status 125
	assert_line '^ended 137$'
}

@test "who has the shim is nobody to speak of" {
	skip_under_sanitizer "a sanitized driver does not load into python"
	local library
	for library in libcuda.so.1 libcuda.so; do
		rm -f has go
		"$LITHOS" run --strict --quota 4 -- sh -c "$DAEMON_PID"'"$PYTHON" "$HAVE" '"$library" \
			2> said 3>&- &
		wait_for test -e has
		sleep 0.5 # some looks
		touch go
		wait $!
		refute_line unconfined < said
		! grep -q unconfined said
	done
}

@test "lithos run asks for its daemon without spinning" {
	"$LITHOS" run --quota 4 -- sh -c "$DAEMON_PID"'while [ ! -e go ]; do sleep 0.1; done' \
		2> said 3>&- &
	local pid=$! before after
	wait_for test -s daemon.pid
	sleep 5.5 # from then on a connection counted as one that had lasted
	kill -KILL "$(cat daemon.pid)"
	wait_for grep -q 'is gone' said
	before=$(awk '{print $14 + $15}' "/proc/$pid/stat")
	sleep 2
	after=$(awk '{print $14 + $15}' "/proc/$pid/stat")
	touch go
	wait "$pid"
	[ $((after - before)) -lt 20 ] # of 200 ticks
}
