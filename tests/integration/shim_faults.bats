#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Drivers that are not as expected: the program runs as if lithos were not there, with one line of
# log.

load common
load shim

setup() {
	common_setup
	require_command python3
}

# left_alone FAULT REASON: a fresh tenant with a quota of 4 under the fault is told and given the
# whole GPU, its results are right, and the one line of log has the reason.
left_alone() {
	run tenant LITHOS_SIM_FAULT="$1" LITHOS_TPC_QUOTA=4 LITHOS_STATS=1 shim_told
	assert_status 0
	assert_equal "$(field after)" 132 after
	assert_equal "$(field used)" 132 used
	assert_equal "$(field right)" 1 right
	assert_equal "$(nr_complaints)" 1 "lines of log"
	assert_line "^lithos: level=error msg=\"unconfined: .*$2"
	trace 'used == chip and not any(grid.hang for grid in g)'
}

@test "without a fault the quota holds, and nothing is logged" {
	run tenant LITHOS_TPC_QUOTA=4 LITHOS_STATS=1 shim_told
	assert_status 0
	assert_equal "$output" "program=told before=8 after=8 used=8 right=1"
	trace 'len(used) == 4'
}

@test "a tools table of another size" {
	left_alone table-size=104 'launch hook not available: unknown driver"'
}

@test "no tools table" {
	left_alone no-table 'launch hook not available: unknown driver"'
}

@test "another tool holds the subscription" {
	left_alone subscribe-busy 'launch hook not available: another tool holds it"'
}

@test "an unknown descriptor version" {
	left_alone qmd-version=0x55 'reason="unknown launch descriptor version"'
}

@test "a GPU that does not obey masks" {
	left_alone mask-ignored 'reason="the topology probe or the self-test failed"'
}

@test "a GPU that writes no records" {
	left_alone record-ignored 'reason="the topology probe or the self-test failed"'
}

# The self-test runs in every process, so a topology of better days does not hide the fault.
@test "a GPU that went wrong after its topology was cached" {
	local fault
	run tenant LITHOS_TPC_QUOTA=4 shim_told
	assert_equal "$(field after)" 8 after
	for fault in qmd-version=0x55 mask-ignored record-ignored; do
		rm -f trace.txt
		run tenant LITHOS_SIM_FAULT=$fault LITHOS_TPC_QUOTA=4 LITHOS_STATS=1 shim_told
		assert_status 0
		assert_equal "$(field right)" 1 right
		assert_equal "$(field after)" 132 "after $fault"
		assert_equal "$(nr_complaints)" 1 "lines of log"
		trace 'len(used) > 4'
	done
}

@test "a version that nobody verified is used when it is asked for, where it has a TPC mask" {
	run tenant LITHOS_TPC_QUOTA=4 LITHOS_QMD_ALLOW=V02_04,V09_99 shim_told
	assert_status 0
	assert_equal "$(nr_complaints)" 1
	assert_line 'unknown descriptor version.* LITHOS_QMD_ALLOW="V02_04,V09_99"'
	trace 'len(used) == 4'
}

# calls CODE: Python with the shim in front of a driver of four functions, as `cuda`.
calls() {
	LITHOS_SIM=0 LITHOS_REAL_LIBCUDA="$BUILD_DIR/tests/libshim_tiny_driver.so" \
		LD_LIBRARY_PATH="$SHIM_DIR" \
		foreign env LITHOS_TPC_QUOTA=4 python3 -c "
import ctypes
cuda = ctypes.CDLL('libcuda.so.1')
n = ctypes.c_int()
p = ctypes.c_void_p()
$1"
}

@test "a driver that lacks a symbol lithos needs" {
	run calls 'print("init=%d" % cuda.cuInit(0))
print("attribute=%d" % cuda.cuDeviceGetAttribute(ctypes.byref(n), 16, 0), "sms=%d" % n.value)'
	assert_status 0
	assert_equal "$(nr_complaints)" 2
	assert_line 'level=error msg="unconfined: .* lacks a symbol that lithos needs"'
	assert_line 'level=warn msg="driver lacks a symbol, forwarding only" symbol=cuGetErrorName'
	assert_equal "$(field init)" 0
	assert_equal "$(field sms)" 44
}

@test "what a driver lacks answers that it is not supported" {
	run calls 'print("alloc=%d" % cuda.cuMemAlloc_v2(ctypes.byref(p), 4))
print("launch=%d" % cuda.cuLaunchKernel(None, 1, 1, 1, 1, 1, 1, 0, None, None, None))'
	assert_status 0
	assert_equal "$(field alloc)" 801
	assert_equal "$(field launch)" 801
}

@test "addresses from the driver lead to the shim, unknown ones are handed on" {
	run calls '
def address(name):
    assert cuda.cuGetProcAddress(name, ctypes.byref(p), 12000, ctypes.c_uint64(0)) == 0
    return p.value
ours = ctypes.cast(cuda.cuInit, ctypes.c_void_p).value
print("known=%d" % (address(b"cuInit") == ours))
new = address(b"cuBrandNew")
print("new=%d" % ctypes.CFUNCTYPE(ctypes.c_int)(new)())
print("none=%d" % cuda.cuGetProcAddress(b"cuNothing", ctypes.byref(p), 12000, ctypes.c_uint64(0)))'
	assert_status 0
	assert_equal "$(field known)" 1
	assert_equal "$(field new)" 4711
	assert_equal "$(field none)" 500
}

@test "statistics without a run directory" {
	run tenant LITHOS_STATS=1 LITHOS_RUN_DIR=/no/such/folder LITHOS_TPC_QUOTA=4 shim_told
	assert_status 0
	assert_equal "$(nr_complaints)" 1
	assert_line 'msg="no statistics" dir=/no/such/folder errno=2'
	trace 'len(used) == 4'
}

@test "a launch that the driver refuses is the program's to see" {
	run tenant LITHOS_SIM_FAULT=launch-error=1 LITHOS_LOG=error shim_told
	assert_status 1
	assert_line 'prog_run'
	refute_line '^lithos:'
}
