#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which GPU a tenant gets, and what its program finds in CUDA_VISIBLE_DEVICES: the form that its
# user chose. The real lithosd, started privately, on one simulated GPU and on two.
# The programs' own shells expand what stands in single quotes.
# bats runs each test in a shell of its own, and what it exports is meant for it alone.
# shellcheck disable=SC2016,SC2030,SC2031

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	unset LITHOS_SOCKET CUDA_VISIBLE_DEVICES
	export LITHOS
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/r"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	FIRST=GPU-6c697468-6f73-696d-2d68-313030000000
	SECOND=GPU-6c697469-6f73-696d-2d68-313030000001
}

teardown() {
	touch "$BATS_TEST_TMPDIR/go"
	"$LITHOS" status --format=json 2> /dev/null | python3 -c 'import json, os, sys
os.kill(json.load(sys.stdin)["daemon"]["pid"], 9)' 2> /dev/null || true
}

# sees VALUE GPU [LITHOS-ARGS...]: what a program finds in the variable ("unset" where it is not),
# and which GPU, by number, its tenant is on.
sees() {
	local value=$1 gpu=$2
	shift 2
	"$LITHOS" run --tenant probe "$@" -- sh -c \
		'echo "${CUDA_VISIBLE_DEVICES-unset}" > seen; "$LITHOS" status --format=json > s.json'
	assert_equal "$(cat seen)" "$value"
	assert_equal "$(python3 -c 'import json
s = json.load(open("s.json"))
on = [t["gpu"] for t in s["tenants"] if t["name"] == "probe"][0]
print([g["uuid"] for g in s["gpus"]].index(on))')" "$gpu"
}

# with VALUE SEES GPU: the same for a user who has set the variable.
with() {
	export CUDA_VISIBLE_DEVICES=$1
	sees "$2" "$3"
	unset CUDA_VISIBLE_DEVICES
}

@test "with one GPU the variable is left as it was" {
	sees unset 0
	local value
	for value in 0 '' 5 -1 0,1 "$FIRST" GPU-6c6974 NoDevFiles; do
		with "$value" "$value" 0
	done
	CUDA_VISIBLE_DEVICES=$SECOND run "$LITHOS" run -- touch started
	assert_status 125
	assert_line "no such GPU is managed here: $SECOND"
	[ ! -e started ]
}

@test "with two GPUs a program that said nothing gets the index of its own" {
	export LITHOS_SIM_NR_GPUS=2
	"$LITHOS" run --tenant holder --quota 60 -- sh -c \
		'echo $CUDA_VISIBLE_DEVICES > first; while [ -e "$PWD" ] && [ ! -e go ]; do sleep 0.05; done' 3>&- &
	wait_for [ -s first ]
	assert_equal "$(cat first)" 0
	sees 1 1 --quota 60
	# And that is where it runs.
	run "$LITHOS" run --quota 60 --stats -- "$PROGRAMS/once"
	assert_status 0
	assert_line 'quota 60 of 66 TPCs'
	touch go
}

@test "with two GPUs a list means what CUDA says, and is narrowed in its own form" {
	export LITHOS_SIM_NR_GPUS=2
	with 1 1 1
	with 0 0 0
	with 1,0 1 1 || with 1,0 0 0
	# What is no GPU hides itself and all after it.
	with 1,7,0 1 1
	with "1,GPU-00,0" 1 1
	with "$SECOND" "$SECOND" 1
	with GPU-6c697469 GPU-6c697469 1
	with GPU-6C697469,5,0 GPU-6C697469 1
	with GPU-00,GPU-6c697469 GPU-00,GPU-6c697469 0 ||
		with GPU-00,GPU-6c697469 GPU-00,GPU-6c697469 1
	local value
	for value in '' -1 7,0; do
		export CUDA_VISIBLE_DEVICES=$value
		run "$LITHOS" run -- sh -c 'echo "[$CUDA_VISIBLE_DEVICES]"'
		assert_status 0
		assert_line "^\\[$value\\]\$"
	done
}

@test "--gpu names the GPU by number or UUID, and is refused where there is none" {
	export LITHOS_SIM_NR_GPUS=2
	sees 1 1 --gpu 1
	sees "$SECOND" 1 --gpu "$SECOND"
	export CUDA_VISIBLE_DEVICES=1
	sees 0 0 --gpu 0
	unset CUDA_VISIBLE_DEVICES
	local gpu
	for gpu in x -1 '' 0,1 GPU- 1x; do
		run "$LITHOS" run --gpu "$gpu" -- touch started
		assert_status 125
		assert_line "gpu '$gpu' is neither a GPU's number"
	done
	run "$LITHOS" run --gpu 2 -- touch started
	assert_status 125
	assert_line 'gpu 2: CUDA shows no such GPU; this machine has 2'
	run "$LITHOS" run --gpu GPU-77 -- touch started
	assert_status 125
	assert_line 'no such GPU is managed here: GPU-77'
	[ ! -e started ]
}

@test "with one GPU, --gpu is 0 or its UUID" {
	sees 0 0 --gpu 0
	run "$LITHOS" run --gpu 1 -- touch started
	assert_status 125
	assert_line 'gpu 1: this machine has one GPU, which is 0'
	[ ! -e started ]
}

@test "a driver that cannot be asked is said, with what to do" {
	export LITHOS_SIM_NR_GPUS=2
	sees 0 0
	CUDA_VISIBLE_DEVICES=1 LITHOS_SIM_LIBCUDA=/no/such/driver run "$LITHOS" run -- touch started
	assert_status 125
	assert_line 'CUDA_VISIBLE_DEVICES=1: the driver cannot be asked which GPUs that are'
	[ ! -e started ]
}

@test "two simulated GPUs can be told apart in status" {
	export LITHOS_SIM_NR_GPUS=2
	run "$LITHOS" run -- "$LITHOS" status
	assert_status 0
	assert_line '^GPU-6c697468  '
	assert_line '^GPU-6c697469  '
}
