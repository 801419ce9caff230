#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `lithos doctor` on the simulated GPU and on machines that lack things.

load common

setup() {
	common_setup
	require_command python3
}

# status_of ID: that check's status in doctor.json.
status_of() {
	python3 -c 'import json, sys
print({c["id"]: c["status"] for c in json.load(open("doctor.json"))["checks"]}.get(sys.argv[1]))' "$1"
}

# doctor ARGS...: runs it, its JSON in doctor.json, its exit code in $code.
doctor() {
	code=0
	"$LITHOS" doctor --format=json "$@" > doctor.json || code=$?
}

@test "all is well on the simulated GPU" {
	doctor --sim
	assert_equal "$code" 0
	local id
	for id in driver shim device hook qmd topology mask record cache run-dir; do
		assert_equal "$(status_of "$id")" OK "$id"
	done
	assert_equal "$(status_of mps)" SKIPPED
	assert_equal "$(status_of devices)" SKIPPED
}

@test "the table has a line a check" {
	run "$LITHOS" doctor --sim
	assert_status 0
	assert_line '^CHECK +STATUS +FINDING$'
	assert_line '^TPC mask +OK +a launch allowed [0-9]+ SMs ran on [0-9]+ of them$'
	assert_line '^Topology +OK +66 TPCs, 62 of them in 8 GPCs, 4 left over'
	assert_line '^Launch descriptor +OK +V04_00, verified$'
}

@test "a configured driver that is not there is critical" {
	unset LITHOS_SIM
	LITHOS_REAL_LIBCUDA=/no/such/libcuda.so.1 doctor
	assert_equal "$code" 2
	assert_equal "$(status_of driver)" CRITICAL
	assert_equal "$(status_of mask)" SKIPPED
}

@test "a lithos library configured as the driver is noticed" {
	unset LITHOS_SIM
	LITHOS_REAL_LIBCUDA="$SHIM_DIR/libcuda.so.1" doctor
	assert_equal "$code" 2
	assert_equal "$(status_of driver)" CRITICAL
	grep -q 'is a lithos library, not a driver' doctor.json
}

@test "a file that is no driver at all is a finding of its own" {
	unset LITHOS_SIM
	echo 'not a library' > libcuda.so.1
	LITHOS_REAL_LIBCUDA="$PWD/libcuda.so.1" doctor
	assert_equal "$code" 2
	assert_equal "$(status_of device)" CRITICAL
	assert_equal "$(status_of hook)" SKIPPED
}

@test "a missing shim is critical" {
	[ ! -e "/usr/lib/$(uname -m)-linux-gnu/lithos/libcuda.so.1" ] || skip 'lithos is installed'
	mkdir bin
	cp "$LITHOS" bin/lithos
	LITHOS="$PWD/bin/lithos" doctor --sim
	assert_equal "$code" 2
	assert_equal "$(status_of shim)" CRITICAL
	assert_equal "$(status_of driver)" CRITICAL
}

@test "mistakes on the line exit with 2" {
	run "$LITHOS" doctor --format=xml
	assert_status 2
	run "$LITHOS" doctor extra
	assert_status 2
}

# programs FOLDER NAME...: executable files of these names.
programs() {
	local folder=$1 name
	shift
	mkdir -p "$folder"
	for name in "$@"; do
		printf '#!/bin/sh\n' > "$folder/$name"
		chmod +x "$folder/$name"
	done
}

# doctor_with PATH: without a simulated GPU, and with these folders for programs.
doctor_with() {
	unset LITHOS_SIM
	code=0
	PATH=$1 LITHOS_REAL_LIBCUDA=/no/such/libcuda.so.1 "$LITHOS" doctor --format=json \
		> doctor.json ||
		code=$?
}

@test "the programs of MPS are found on PATH, in one folder or in two" {
	programs both nvidia-cuda-mps-control nvidia-cuda-mps-server
	doctor_with "/no/such:$PWD/both"
	assert_equal "$(status_of mps)" OK
	grep -q "$PWD/both/nvidia-cuda-mps-control and $PWD/both/nvidia-cuda-mps-server" doctor.json
	programs one nvidia-cuda-mps-control
	programs two nvidia-cuda-mps-server
	doctor_with "$PWD/one:$PWD/two"
	assert_equal "$(status_of mps)" OK
	grep -q "$PWD/two/nvidia-cuda-mps-server" doctor.json
}

@test "without MPS, doctor says what is lost" {
	if PATH=$PATH:/usr/local/nvidia/bin:/opt/nvidia/bin command -v nvidia-cuda-mps-control; then
		skip 'MPS is installed'
	fi
	doctor_with /no/such
	assert_equal "$(status_of mps)" WARNING
	grep -q 'no nvidia-cuda-mps-control on PATH' doctor.json
	grep -q "time-slices: a neighbour's work delays yours by milliseconds" doctor.json
	# One of the two is not enough, nor is a file that cannot be run.
	programs one nvidia-cuda-mps-control
	doctor_with "$PWD/one"
	assert_equal "$(status_of mps)" WARNING
	grep -q "no nvidia-cuda-mps-server on PATH or in $PWD/one" doctor.json
	programs two nvidia-cuda-mps-control nvidia-cuda-mps-server
	chmod -x two/nvidia-cuda-mps-server
	doctor_with "$PWD/two"
	assert_equal "$(status_of mps)" WARNING
}
