#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos run` and `lithos status` with the real lithosd, started privately on the simulated GPU.
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
	FOLDER="$XDG_RUNTIME_DIR/lithos/sim-h100"
}

teardown() {
	touch "$BATS_TEST_TMPDIR/go"
	! daemon_pid > pid 2> /dev/null || kill -KILL "$(cat pid)"
}

# status EXPRESSION: Python over the report `s`, its tenants by name `t` and first GPU `g` is true.
status() {
	"$LITHOS" status --format=json > status.json && python3 - "$1" <<-'PY'
		import json, sys
		s = json.load(open("status.json"))
		t = {tenant["name"]: tenant for tenant in s["tenants"]}
		g = s["gpus"][0]
		if not eval(sys.argv[1]):
		    sys.exit("not true: %s\n%s" % (sys.argv[1], json.dumps(s, indent=1)))
	PY
}

daemon_pid() {
	"$LITHOS" status --format=json | python3 -c \
		'import json, sys; print(json.load(sys.stdin)["daemon"]["pid"])'
}

# Gone, or a zombie where nobody takes care of orphans.
has_ended() {
	! grep -q '^State:[[:space:]][^Z]' "/proc/$1/status" 2> /dev/null
}

# hold NAME LITHOS-ARGS...: a tenant that stays until the file "go" is there; its own errors in
# NAME.err.
hold() {
	local name=$1
	shift
	"$LITHOS" run --tenant "$name" "$@" -- sh -c \
		'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done; exit 5' \
		2> "$name.err" 3>&- &
	wait_for status "'$name' in t"
}

@test "the first run starts a daemon, the others share it, and it ends when it has nobody" {
	local i pids=() pid
	for ((i = 0; i < 10; i++)); do
		"$LITHOS" run --tenant "many-$i" --quota 6 -- \
			sh -c 'echo "$LITHOS_SOCKET $LITHOS_TPC_QUOTA"; while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' \
			> "out.$i" 2> "err.$i" 3>&- &
		pids+=($!)
	done
	wait_for status 'len(t) == 10 and g["own"] == 60 and g["free"] == 6 and g["lent"] == 0'
	status 's["daemon"]["private"] and s["ledger"]["is_consistent"]'
	assert_equal "$(cat err.*)" \
		"lithos: no lithosd is running: started a private one ($FOLDER/lithosd.sock)"
	pid=$(daemon_pid)
	touch go
	for ((i = 0; i < 10; i++)); do
		wait "${pids[i]}"
		assert_equal "$(cat "out.$i")" "$FOLDER/lithosd.sock 6"
	done
	wait_for status 'not t and g["free"] == 66'
	# What is measured is idleness without connections, and status is one.
	wait_for has_ended "$pid"
	[ ! -e "$FOLDER/lithosd.sock" ]
	run "$LITHOS" status
	assert_status 1
	assert_equal "$output" "lithos: no lithosd at $FOLDER/lithosd.sock"
}

@test "what is taken is refused, with who has it, and given when it is free again" {
	hold web --quota 40
	hold db --quota 20
	run "$LITHOS" run --tenant late --quota 33 -- touch started
	assert_status 125
	assert_line '^lithos: .*33 of 66.* web \(40.* db \(20'
	[ ! -e started ]
	run "$LITHOS" run --quota 67 -- touch started
	assert_status 125
	assert_line '^lithos: 67 TPCs wanted, but the GPU has 66'
	# Best effort is not refused.
	run "$LITHOS" run -- sh -c 'echo ${LITHOS_TPC_QUOTA-unset}'
	assert_status 0
	assert_equal "$output" unset
	touch go
	wait_for status 'not t'
	run "$LITHOS" run --quota 66 -- sh -c 'echo $LITHOS_TPC_QUOTA'
	assert_status 0
	assert_equal "$output" 66
}

@test "the GPU of the reservation is the one the program sees, and may be chosen by UUID" {
	run "$LITHOS" run -- sh -c '"$LITHOS" status --format=json'
	assert_status 0
	local uuid
	uuid=$(grep -o 'GPU-[0-9a-f-]*' <<< "$output" | head -n 1)
	status "g['uuid'] == '$uuid'"
	CUDA_VISIBLE_DEVICES=$uuid run "$LITHOS" run -- sh -c 'echo $CUDA_VISIBLE_DEVICES'
	assert_status 0
	assert_equal "$output" "$uuid"
	CUDA_VISIBLE_DEVICES=GPU-00000000-0000-0000-0000-000000000001 run "$LITHOS" run -- touch \
		started
	assert_status 125
	[ ! -e started ]
}

@test "lithos run that is killed leaves its program what it had, and that ends with the program" {
	"$LITHOS" run --tenant doomed --quota 50 -- sh -c 'while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' \
		3>&- &
	local run_pid=$!
	wait_for status '"doomed" in t'
	kill -KILL "$run_pid"
	wait "$run_pid" 2> /dev/null || true
	sleep 1
	status 't["doomed"]["own"] == 50 and g["free"] == 16' # its program is still there
	touch go
	wait_for status 'not t and g["free"] == 66'
}

@test "after the daemon was killed the reservation comes back to the next one" {
	hold web --quota 40
	local run_pid=$! code=0
	kill -KILL "$(daemon_pid)"
	wait_for grep -q 'is gone; the program keeps running' web.err
	hold db --quota 20
	wait_for grep -q 'is back, and with it the reservation' web.err
	status 't["web"]["own"] == 40 and t["db"]["own"] == 20 and t["web"]["reserved"]'
	run "$LITHOS" run --quota 7 -- touch started
	assert_status 125
	touch go
	wait "$run_pid" || code=$?
	assert_equal "$code" 5
}

@test "status is a table of the GPU and its tenants" {
	hold web --quota 50% --priority 3
	hold other
	run "$LITHOS" status
	assert_status 0
	assert_line '^GPU-[0-9a-f]{8}  .*H100: 66 TPCs, 33 own, 0 lent, 33 free; MPS off$'
	assert_line '^web +0 +50% +3 +33 +0 +0 +idle '
	assert_line '^other +0 +best +0 +0 +0 +0 +idle '
}

# spin NAME QUOTA-OPTION...: a tenant that keeps the GPU busy while the file busy.NAME is there.
spin() {
	local name=$1
	shift
	"$LITHOS" run --tenant "$name" "$@" -- "$BUILD_DIR/tests/device/feed" --dir s --name \
		"$name" \
		--ns 2000000 --blocks 512 > "$name.out" 2>&1 3>&- &
	spinners+=($!)
	wait_for test -e "s/ready.$name"
}

@test "what an idle owner lends is what a borrower has, and comes back when it works" {
	local spinners=() spinner rows
	mkdir s
	touch s/pause.owner
	spin owner --quota 40
	spin guest
	hold other --quota 6
	python3 -c 'import time; n = time.monotonic_ns(); print(n, n, n)' > s/go.new
	mv s/go.new s/go
	wait_for status 't["guest"]["borrowed"] == 66 and t["owner"]["lent"] == 40 and t["other"]["lent"] == 6'
	status '(g["own"], g["lent"], g["free"]) == (0, 66, 0)'
	status 't["guest"]["lent"] == 0 and t["owner"]["borrowed"] == 0 and t["owner"]["state"] == "idle"'
	rows=$("$LITHOS" status)
	grep -qE '^owner +1 +40 +0 +40 +40 +0 +idle ' <<< "$rows"
	grep -qE '^guest +1 +best +0 +0 +0 +66 +active ' <<< "$rows"
	rm s/pause.owner
	# The owner wants more than it has, too, and bars nobody from what others lend.
	wait_for status 't["owner"]["state"] == "active" and t["owner"]["lent"] == 0 and t["guest"]["borrowed"] == 26'
	status 't["owner"]["borrowed"] == 26 and t["other"]["lent"] == 6 and (g["own"], g["lent"]) == (40, 26)'
	rows=$("$LITHOS" status)
	grep -qE '^owner +1 +40 +0 +40 +0 +[0-9]+ +active ' <<< "$rows"
	touch s/pause.owner
	wait_for status 't["guest"]["borrowed"] == 66 and t["owner"]["lent"] == 40'
	touch s/stop go
	for spinner in "${spinners[@]}"; do
		wait "$spinner"
	done
	wait_for status 'not t'
}

@test "best effort that has nothing to run on waits, and it is said for whom" {
	local spinners=() spinner
	mkdir s
	touch s/pause.owner
	spin owner --quota 100%
	spin guest
	python3 -c 'import time; n = time.monotonic_ns(); print(n, n, n)' > s/go.new
	mv s/go.new s/go
	wait_for status 't["guest"]["state"] == "active" and t["guest"]["waiting_for"] is None'
	rm s/pause.owner
	wait_for status 't["guest"]["state"] == "waiting"'
	status 't["guest"]["waiting_for"] == "owner at work" and t["owner"]["waiting_for"] is None'
	run "$LITHOS" status
	assert_line '^guest +1 +best +0 +0 +0 +0 +waiting '
	assert_line '^guest waits \(owner at work\)'
	touch s/pause.owner
	wait_for status 't["guest"]["state"] == "active"'
	touch s/stop
	for spinner in "${spinners[@]}"; do
		wait "$spinner"
	done
}

@test "programs on the GPU are processes of their tenant" {
	hold idle --quota 10
	"$LITHOS" run --tenant busy --quota 10 -- sh -c \
		'while [ -e "$PWD" ] && [ ! -e go ]; do "$0" --threads 2 --launches 20000 || exit 1; done; exit 5' \
		"$PROGRAMS/threads" > threads.out 3>&- &
	local run_pid=$! code=0
	wait_for status 'len(t["busy"]["pids"]) == 1 and t["busy"]["launches"] > 0 and t["busy"]["own_gpu_s"] > 0'
	status 't["idle"]["pids"] == [] and t["idle"]["launches"] == 0'
	touch go
	wait "$run_pid" || code=$?
	assert_equal "$code" 5
	wait_for status 'not t'
}
