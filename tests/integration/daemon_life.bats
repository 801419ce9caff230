#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# lithosd as a program: command line, bad configurations, start and end, what it tells its manager,
# and drivers that are not as they should be.

load common

setup() {
	common_setup
	LITHOSD="$BUILD_DIR/bin/lithosd"
	SOCKET="$BATS_TEST_TMPDIR/lithosd.sock"
	export LITHOS_LOG=info
	pid=
}

teardown() {
	[ -z "$pid" ] || kill -KILL "$pid" 2> /dev/null || true
}

# A private daemon in the background; its log is ./log.
start() {
	start_with --private --idle-exit 600 "$@"
}

start_with() {
	: > log
	"$LITHOSD" --sim --socket "$SOCKET" "$@" 2> log 3>&- &
	pid=$!
}

wait_for_line() {
	local i
	for ((i = 0; i < 600; i++)); do
		grep -q "$1" log && return 0
		sleep 0.05
	done
	cat log >&2
	return 1
}

# The exit status of the daemon, into $status.
wait_for_end() {
	status=0
	wait "$pid" || status=$?
	pid=
}

yaml() {
	printf '%s\n' "$@" > lithosd.yaml
}

@test "needs libc only" {
	skip_under_sanitizer "its runtime is a library, too"
	run ldd "$LITHOSD"
	assert_status 0
	refute_line '(yaml|sqlite|jansson|systemd|libz)'
	[ "${#lines[@]}" -le 4 ]
}

@test "an unknown option is a usage error" {
	run "$LITHOSD" --no-such-thing
	[ "$status" -ne 0 ]
	run "$LITHOSD" --idle-exit soon
	[ "$status" -ne 0 ]
	assert_line 'idle-exit is 0 to 86400 seconds'
}

@test "--check-config says where the file is wrong" {
	yaml 'version: v1' 'limits:' '  tenants_per_user: 0'
	run "$LITHOSD" --check-config --config lithosd.yaml
	assert_status 2
	assert_line 'lithosd.yaml:3:21: limits.tenants_per_user is .0.,'
	yaml 'version: v1' 'lgo: info'
	run "$LITHOSD" --check-config --config lithosd.yaml
	assert_status 2
	assert_line 'lithosd.yaml:2:1: Unexpected key: lgo'
	run "$LITHOSD" --check-config --config none.yaml
	assert_status 2
	assert_line 'none.yaml: No such file'
	yaml 'version: v1' 'log: info'
	run "$LITHOSD" --check-config --config lithosd.yaml
	assert_status 0
}

@test "a bad configuration keeps it from starting" {
	yaml 'version: v7'
	run "$LITHOSD" --sim --config lithosd.yaml --socket "$SOCKET"
	assert_status 2
	[ ! -e "$SOCKET" ]
}

@test "SIGTERM and SIGINT end it in order and remove the socket" {
	local signal
	for signal in TERM INT; do
		start
		wait_for_line 'msg="ready"'
		[ -S "$SOCKET" ]
		kill "-$signal" "$pid"
		wait_for_end
		assert_status 0
		[ ! -e "$SOCKET" ]
		# It was idle and private: nothing is left but the lock.
		[ ! -e "$BATS_TEST_TMPDIR/lithosd.db" ]
	done
}

@test "SIGHUP reads the log level again, and only if the file is right" {
	yaml 'version: v1' 'log: warn'
	unset LITHOS_LOG
	start_with --config lithosd.yaml --state ""
	local i
	for ((i = 0; i < 600; i++)); do
		[ -S "$SOCKET" ] && break
		sleep 0.05
	done
	yaml 'version: v1' 'log: nonsense'
	kill -HUP "$pid"
	wait_for_line 'lithosd.yaml:2:6: log is .*, not off, error, warn, info or debug'
	yaml 'version: v1' 'log: info'
	kill -HUP "$pid"
	wait_for_line 'log level read again'
	! grep -q 'counts from the next start' log || return 1
	yaml 'version: v1' 'log: info' 'sharing:' '  bound_us: 300' 'limits:' '  tenants_per_user: 7'
	kill -HUP "$pid"
	wait_for_line 'counts from the next start on" keys="sharing.bound_us, limits.tenants_per_user"'
	kill "$pid"
	wait_for_end
	assert_status 0
}

@test "a socket in a folder that is not there is named" {
	run "$LITHOSD" --sim --private --socket "$BATS_TEST_TMPDIR/none/d.sock"
	[ "$status" -ne 0 ]
	[[ "$output" == *"$BATS_TEST_TMPDIR/none/d.sock: No such file or directory"* ]]
}

@test "a second daemon on one socket is refused, the first goes on" {
	start
	wait_for_line 'msg="ready"'
	run "$LITHOSD" --sim --private --socket "$SOCKET"
	assert_status 1
	assert_line 'another lithosd serves this socket'
	[ -S "$SOCKET" ]
	kill -0 "$pid"
}

@test "a socket that a killed daemon left is taken over" {
	start
	wait_for_line 'msg="ready"'
	kill -KILL "$pid"
	wait "$pid" || true
	[ -S "$SOCKET" ]
	start
	wait_for_line 'msg="ready"'
}

@test "without tenants it ends by itself" {
	start --idle-exit 1
	wait_for_line 'msg="ready"'
	wait_for_end
	assert_status 0
	grep -q 'why="idle"' log
}

@test "its manager hears READY, WATCHDOG and STOPPING" {
	require_command python3
	python3 - "$BATS_TEST_TMPDIR/notify" > heard 2> listener.log 3>&- << 'END' &
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
s.settimeout(60)
while True:
    text = s.recv(4096).decode()
    print(text, flush=True)
    if "STOPPING=1" in text:
        break
END
	local listener=$! i
	for ((i = 0; i < 600; i++)); do
		[ -S notify ] && break
		sleep 0.05
	done
	NOTIFY_SOCKET="$BATS_TEST_TMPDIR/notify" WATCHDOG_USEC=300000 start
	for ((i = 0; i < 600; i++)); do
		grep -q WATCHDOG=1 heard && break
		sleep 0.05
	done
	kill "$pid"
	wait_for_end
	assert_status 0
	wait "$listener"
	run cat heard
	assert_line '^READY=1$'
	assert_line '^STATUS=Managing 1 GPUs$'
	assert_line '^WATCHDOG=1$'
	assert_line '^STOPPING=1$'
}

@test "no driver: it says so and ends" {
	LITHOS_SIM_LIBCUDA=/nonexistent/libcuda.so.1 run "$LITHOSD" --sim --private --socket \
		"$SOCKET"
	assert_status 1
	assert_line 'no CUDA driver'
	assert_line 'no GPU to manage'
	[ ! -e "$SOCKET" ]
}

@test "a driver that is no library, and one that kills the probe" {
	LITHOS_SIM_LIBCUDA=/dev/null run "$LITHOSD" --sim --private --socket "$SOCKET"
	assert_status 1
	assert_line 'no CUDA driver'
	require_command gcc
	skip_under_sanitizer "a foreign library"
	printf '__attribute__((constructor)) static void f(void) { __builtin_trap(); }\n' > crash.c
	gcc -shared -fPIC -o crash.so crash.c
	LITHOS_SIM_LIBCUDA="$PWD/crash.so" run "$LITHOSD" --sim --private --socket "$SOCKET"
	assert_status 1
	assert_line 'the probe ended early'
}

@test "only the GPUs named are managed" {
	yaml 'version: v1' 'gpus: [00000000000000000000000000000001]'
	run "$LITHOSD" --sim --config lithosd.yaml --socket "$SOCKET" --state ""
	assert_status 1
	assert_line 'no GPU to manage'
}

@test "a driver that hangs does not keep SIGTERM from ending it" {
	require_command gcc
	skip_under_sanitizer "a foreign library"
	printf '#include <unistd.h>\n__attribute__((constructor)) static void f(void) { sleep(1000); }\n' > hang.c
	gcc -shared -fPIC -o hang.so hang.c
	LITHOS_SIM_LIBCUDA="$PWD/hang.so" start
	sleep 0.5
	kill "$pid"
	wait_for_end
	assert_status 0
}
