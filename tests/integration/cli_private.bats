#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The private lithosd that `lithos run` starts when there is none. A copy of the command has a fake
# daemon beside it, so that a start can be slow, fail, or hang. cli_lithosd.bats has the real one.
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
	mkdir bin
	cp "$LITHOS" bin/lithos
	ln -s "$BUILD_DIR/lib" lib
	FOLDER="$XDG_RUNTIME_DIR/lithos/sim-h100"
	export STARTS="$PWD/starts.log" FAKE="$BATS_TEST_DIRNAME/fake_daemon.py"
}

# Daemons know their own pid and wrote it down.
teardown() {
	local pid
	[ -e "$BATS_TEST_TMPDIR/pids" ] || return 0
	while read -r pid; do
		kill -KILL "$pid" 2> /dev/null || true
	done < "$BATS_TEST_TMPDIR/pids"
}

# fake_lithosd SHELL-LINES: what the fake does before it listens. $BATS_TEST_TMPDIR/pids gets its
# pid.
fake_lithosd() {
	cat > bin/lithosd <<-EOF
		#!/bin/sh
		echo \$\$ >> "$BATS_TEST_TMPDIR/pids"
		echo "\$*" >> "$STARTS"
		env > "$BATS_TEST_TMPDIR/daemon.env"
		$1
		exec python3 "$FAKE" "\$3" --log "$BATS_TEST_TMPDIR/daemon.log"
	EOF
	chmod +x bin/lithosd
}

@test "ten runs at once start one daemon, and say so once" {
	fake_lithosd 'sleep 1'
	local i pids=()
	for ((i = 0; i < 10; i++)); do
		bin/lithos run -- sh -c \
			'echo "$LITHOS_SOCKET $LITHOS_SIM_DEVICE ${#LITHOS_TOKEN}"' \
			> "out.$i" 2> "err.$i" 3>&- &
		pids+=($!)
	done
	for ((i = 0; i < 10; i++)); do
		wait "${pids[i]}"
		assert_equal "$(cat "out.$i")" "$FOLDER/lithosd.sock $FOLDER/gpu.sock 32"
	done
	assert_equal "$(cat "$STARTS")" \
		"--private --socket $FOLDER/lithosd.sock --idle-exit 10 --sim"
	assert_equal "$(cat err.*)" \
		"lithos: no lithosd is running: started a private one ($FOLDER/lithosd.sock)"
	assert_equal "$(stat -c %a "$FOLDER")" 700
	# The next one finds it, and says nothing.
	run bin/lithos run -- true
	assert_status 0
	assert_equal "$output" ''
	assert_equal "$(wc -l < "$STARTS")" 1
}

@test "the daemon holds nothing of the one who started it" {
	fake_lithosd ''
	exec 9> held
	CUDA_VISIBLE_DEVICES=0 LITHOS_TPC_QUOTA=3 LITHOS_TENANT=x LITHOS_STATS=1 \
		run bin/lithos run -- sh -c 'echo $PPID'
	exec 9>&-
	assert_status 0
	local pid
	pid=$(cat pids)
	[ "$(ps -o sid= -p "$pid")" -ne "$(ps -o sid= -p $$)" ]
	assert_equal "$(readlink "/proc/$pid/cwd")" /
	assert_equal "$(readlink "/proc/$pid/fd/0")" /dev/null
	assert_equal "$(readlink "/proc/$pid/fd/1")" "$FOLDER/lithosd.log"
	run sh -c "ls -l /proc/$pid/fd"
	refute_line held
	refute_line pipe:
	run cat daemon.env
	refute_line '^CUDA_VISIBLE_DEVICES='
	refute_line '^LITHOS_(TPC_QUOTA|TENANT|STATS|RUN_DIR|SOCKET|TOKEN)='
	refute_line "^LD_LIBRARY_PATH=.*lithos"
	assert_line "^LITHOS_SIM_DEVICE=$FOLDER/gpu.sock"
}

@test "a daemon that was killed is replaced" {
	fake_lithosd ''
	run bin/lithos run -- true
	assert_status 0
	kill -KILL "$(cat pids)"
	[ -e "$FOLDER/lithosd.sock" ]
	run bin/lithos run -- true
	assert_status 0
	assert_line 'started a private one'
	assert_equal "$(wc -l < "$STARTS")" 2
}

@test "a daemon that goes between being found and being asked is replaced" {
	# Takes the first connection away without an answer, as one does that ends of idleness.
	cat > gone.py <<-'PY'
		import os, socket, sys
		listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		listener.bind(sys.argv[1])
		listener.listen(8)
		listener.accept()
		os.unlink(sys.argv[1])
	PY
	fake_lithosd "mkdir '$PWD/once' 2> /dev/null && exec python3 '$PWD/gone.py' \"\$3\""
	run bin/lithos run -- echo ran
	assert_status 0
	assert_line '^ran$'
	assert_equal "$(wc -l < "$STARTS")" 2
}

@test "a daemon that cannot start is an error with its last words" {
	fake_lithosd 'echo "level=error msg=\"no GPU was found\"" >&2; echo >&2; exit 1'
	run bin/lithos run -- touch started
	assert_status 125
	assert_line '^lithos: a private lithosd was started and ended: level=error msg="no GPU was found"'
	assert_line "$FOLDER/lithosd.log"
	refute_line 'lithos doctor'
	# Without a GPU people want to know what to do.
	run env -u LITHOS_SIM bin/lithos run -- touch started
	assert_status 125
	assert_line "no GPU was found.*'lithos doctor' says what is missing, and --sim runs on a simulated"
	[ ! -e started ]
	# The lock is free again.
	fake_lithosd ''
	run bin/lithos run -- true
	assert_status 0
}

@test "a daemon that never listens is given up" {
	fake_lithosd 'exec sleep 300'
	run bin/lithos run -- touch started
	assert_status 125
	assert_line 'a private lithosd was started and does not answer'
	[ ! -e started ]
}

@test "without the program of the daemon the error names the way out" {
	PATH=/usr/bin:/bin run bin/lithos run -- touch started
	assert_status 125
	assert_line "no lithosd is running, and 'lithosd' cannot be started: No such file"
	assert_line 'LITHOS_SOCKET=none'
	[ ! -e started ]
}

@test "a folder that is not the user's alone is not used" {
	fake_lithosd ''
	mkdir -p elsewhere
	chmod 700 elsewhere
	ln -s "$PWD/elsewhere" "$XDG_RUNTIME_DIR/lithos"
	run bin/lithos run -- touch started
	assert_status 125
	assert_line "$FOLDER is not a folder of this user alone"
	rm "$XDG_RUNTIME_DIR/lithos"
	mkdir -m 770 "$XDG_RUNTIME_DIR/lithos"
	run bin/lithos run -- touch started
	assert_status 125
	chmod 700 "$XDG_RUNTIME_DIR/lithos"
	mkdir -m 755 "$FOLDER"
	run bin/lithos run -- touch started
	assert_status 125
	[ ! -e started ]
	chmod 700 "$FOLDER"
	if [ "$(id -u)" = 0 ]; then
		chown nobody "$FOLDER"
		run bin/lithos run -- touch started
		chown root "$FOLDER"
		assert_status 125
	fi
	[ ! -e "$STARTS" ]
	run bin/lithos run -- true
	assert_status 0
}

@test "each kind of simulated chip has a daemon of its own" {
	fake_lithosd ''
	LITHOS_SIM_GPU=small run bin/lithos run -- sh -c 'echo $LITHOS_SOCKET'
	assert_status 0
	assert_line "lithos/sim-small/lithosd.sock$"
	LITHOS_SIM_DEVICE=/my/gpu run bin/lithos run -- sh -c 'echo $LITHOS_SIM_DEVICE'
	assert_status 0
	assert_line '^/my/gpu$'
}

@test "a machine without a simulated GPU has its daemon beside, without --sim" {
	[ ! -e /run/lithos/lithosd.sock ] || skip 'the machine has a lithosd'
	fake_lithosd ''
	unset LITHOS_SIM
	run bin/lithos run -- sh -c 'echo "$LITHOS_SOCKET ${LITHOS_SIM_DEVICE-no}"'
	assert_status 0
	assert_line "^$XDG_RUNTIME_DIR/lithos/lithosd.sock no$"
	assert_equal "$(cat "$STARTS")" \
		"--private --socket $XDG_RUNTIME_DIR/lithos/lithosd.sock --idle-exit 10"
}
