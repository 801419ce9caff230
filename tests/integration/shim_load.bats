#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Which driver the shim forwards to, and what it does when there is none or it is told to keep out.
# The programs' own shells expand what stands in single quotes.
# shellcheck disable=SC2016

load common
load shim

setup() {
	common_setup
	require_command python3
	export TOLD="$PROGRAMS/shim_told"
}

@test "no driver: cuInit says that there is no device, and one line is logged" {
	unset LITHOS_SIM
	run tenant LITHOS_REAL_LIBCUDA=/nonexistent LITHOS_TPC_QUOTA=4 shim_told
	assert_status 77
	assert_line 'skipped=1'
	assert_equal "$(nr_complaints)" 1
	assert_line '^lithos: level=error msg="no CUDA driver" path="/nonexistent"'
}

@test "a file that is no library: the same, with the loader's reason" {
	unset LITHOS_SIM
	echo 'not a library' > driver.so
	run tenant LITHOS_REAL_LIBCUDA="$PWD/driver.so" shim_told
	assert_status 77
	assert_equal "$(nr_complaints)" 1
	assert_line 'level=error msg="no CUDA driver".*(invalid ELF header|file too short|Exec format)'
}

@test "no simulated driver where it should be" {
	mkdir -p elsewhere/lithos
	cp "$SHIM_DIR/libcuda.so.1" elsewhere/lithos/
	run env LD_LIBRARY_PATH="$PWD/elsewhere/lithos" "$TOLD"
	assert_status 77
	assert_line "msg=\"no CUDA driver\" path=\"$PWD/elsewhere/lithos/../sim/libcuda.so.1\""
	LITHOS_SIM_LIBCUDA="$SIM_DIR/libcuda.so.1" LITHOS_TPC_QUOTA=4 run \
		env LD_LIBRARY_PATH="$PWD/elsewhere/lithos" "$TOLD"
	assert_status 0
	assert_equal "$(field used)" 8
}

@test "a driver named by its path" {
	unset LITHOS_SIM
	run tenant LITHOS_REAL_LIBCUDA="$SIM_DIR/libcuda.so.1" LITHOS_TPC_QUOTA=4 shim_told
	assert_status 0
	assert_equal "$(field used)" 8
	assert_equal "$(nr_complaints)" 0
}

@test "LITHOS_DISABLE forwards and does nothing else" {
	run tenant LITHOS_DISABLE=1 LITHOS_TPC_QUOTA=4 LITHOS_STATS=1 shim_told
	assert_status 0
	assert_equal "$output" "program=told before=132 after=132 used=132 right=1"
	[ -z "$(ls run)" ]
	[ -z "$(ls cache)" ]
	trace 'not probes'
}

@test "LITHOS_PROFILE leaves the hook to others" {
	run tenant LITHOS_PROFILE=1 LITHOS_TPC_QUOTA=4 shim_told
	assert_status 0
	assert_equal "$(field used)" 132
	trace 'not probes'
}

@test "nothing asked for: nothing done" {
	run tenant shim_told
	assert_status 0
	assert_equal "$output" "program=told before=132 after=132 used=132 right=1"
	trace 'not probes'
	[ -z "$(ls cache)" ]
}

@test "a quota that is none is named, and the program runs without" {
	local quota
	for quota in nonsense 0 -3 200% 3.5; do
		rm -f trace.txt
		run tenant LITHOS_TPC_QUOTA="$quota" shim_told
		assert_status 0
		assert_equal "$(field used)" 132 "$quota"
		assert_equal "$(nr_complaints)" 1
		assert_line "level=error msg=\"bad quota, running without\" LITHOS_TPC_QUOTA=\"$quota\""
	done
}

@test "an option that cannot be read is named" {
	run tenant LITHOS_STATS=maybe LITHOS_TPC_QUOTA=4 shim_told
	assert_status 0
	assert_equal "$(field used)" 8
	assert_equal "$(nr_complaints)" 1
	assert_line 'level=warn msg="option ignored" problem="LITHOS_STATS: '
}

@test "a quota larger than the GPU is the GPU, and that is said" {
	run tenant LITHOS_TPC_QUOTA=66 shim_told
	assert_equal "$(nr_complaints)" 0
	run tenant LITHOS_TPC_QUOTA=67 shim_told
	assert_line 'the quota is more than the GPU has.* LITHOS_TPC_QUOTA=67 tpcs=66'
	assert_equal "$(nr_complaints)" 1
	run tenant LITHOS_TPC_QUOTA=500 shim_told
	assert_status 0
	assert_equal "$(field after)" 132
	assert_equal "$(field used)" 132
}

@test "the shim never takes itself for the driver" {
	unset LITHOS_SIM
	mkdir copy plain
	cp "$SHIM_DIR/libcuda.so.1" copy/
	ln -s "$SHIM_DIR/libcuda.so.1" plain/libcuda.so.1
	local path="$SHIM_DIR:$PWD/copy:$SHIM_DIR:$PWD/plain"
	# The simulator is behind all of them; it says that it is none of NVIDIA's, so it is skipped
	# too.
	run env LITHOS_TPC_QUOTA=4 LD_LIBRARY_PATH="$path:$SIM_DIR" timeout 60 "$TOLD"
	if [ "$status" -eq 77 ]; then
		assert_equal "$(nr_complaints)" 1
		assert_line 'msg="no CUDA driver"'
	else
		assert_status 0 # this machine has a driver
	fi
	# The copy in front, and the driver named.
	run env LITHOS_REAL_LIBCUDA="$SIM_DIR/libcuda.so.1" LITHOS_CACHE_DIR="$PWD/copy" \
		LITHOS_TPC_QUOTA=4 LD_LIBRARY_PATH="$PWD/copy:$path" timeout 60 "$TOLD"
	assert_status 0
	assert_equal "$(field used)" 8
	# A shim named as the driver is no driver.
	local shim
	for shim in "$PWD/copy/libcuda.so.1" "$SHIM_DIR/libcuda.so.1" "$PWD/plain/libcuda.so.1"; do
		run env LITHOS_REAL_LIBCUDA="$shim" LD_LIBRARY_PATH="$SHIM_DIR" timeout 60 "$TOLD"
		assert_status 77
		assert_equal "$(nr_complaints)" 1
		assert_line "msg=\"no CUDA driver\" path=\"$shim\" reason=\"it is a lithos shim itself\""
	done
}

@test "children of a tenant are tenants" {
	run "$LITHOS" run --sim --quota 4 -- sh -c '"$TOLD"; sh -c "$TOLD"; (exec "$TOLD")'
	assert_status 0
	assert_equal "$(grep -c 'before=8 after=8 used=8 right=1' <<< "$output")" 3
	run "$LITHOS" run --sim --quota 4 -- python3 -c \
		'import os, sys; sys.exit(os.system(os.environ["TOLD"]))'
	assert_status 0
	assert_equal "$(field used)" 8
	run "$LITHOS" run --sim --quota 4 -- "$TOLD" --forks 3
	assert_status 0
	assert_equal "$(grep -c 'before=8 after=8 used=8 right=1' <<< "$output")" 4
}

@test "a foreign program that opens the library by itself" {
	run foreign env LITHOS_TPC_QUOTA=4 LD_LIBRARY_PATH="$SHIM_DIR" python3 -c '
import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
n = ctypes.c_int()
assert cuda.cuInit(0) == 0
assert cuda.cuDeviceGetAttribute(ctypes.byref(n), 16, 0) == 0
print("told=%d" % n.value)
assert cuda.cuDeviceGetAttribute(ctypes.byref(n), 16, 1000) != 0
assert cuda.cuDeviceGetAttribute(ctypes.byref(n), 16, -1) != 0
'
	assert_status 0
	assert_equal "$(field told)" 8
}
