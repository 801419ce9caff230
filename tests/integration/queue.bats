#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Programs whose launches are held back print what they print without.

load common

setup() {
	common_setup
	export LITHOS_STATS=1 LITHOS_TPC_QUOTA=33 LITHOS_RUN_DIR="$BATS_TEST_TMPDIR" \
		LITHOS_SOCKET=none
}

# Times differ from run to run; nothing else may.
without_times() {
	sed -E 's/(seconds|event_ms)=[0-9.]+//'
}

same_output() {
	local natural held
	natural=$(under_shim env LITHOS_HOLD=off "$@" | without_times)
	[ -n "$natural" ]
	for seed in 1 2 3; do
		held=$(under_shim env LITHOS_HOLD="always:$seed" "$@" 2>&1 | without_times)
		[ "$held" = "$natural" ]
	done
}

@test "programs print the same with all launches held back" {
	local name
	for name in where once order dlopens coop clusters linked deferred; do
		same_output "$PROGRAMS/$name"
	done
	same_output "$PROGRAMS/graphs" --replays 50
	same_output "$PROGRAMS/contexts" --rounds 5
	same_output "$PROGRAMS/threads" --launches 20
}

@test "launches are in fact held back, and other calls queued behind them" {
	unset LITHOS_STATS LITHOS_TPC_QUOTA
	run env LITHOS_HOLD=always "$LITHOS" run --quota 33 --stats -- "$PROGRAMS/order"
	[ "$status" -eq 0 ]
	[[ "$output" =~ ([0-9]+)" launches held back" ]]
	[ "${BASH_REMATCH[1]}" -ge 60 ]
	[[ "$output" =~ ([0-9]+)" other calls queued" ]]
	[ "${BASH_REMATCH[1]}" -ge 10 ]
	[[ ! "$output" =~ "held calls that failed" ]]
}

@test "by default, and with hold=off, nothing is held" {
	unset LITHOS_STATS LITHOS_TPC_QUOTA
	for hold in auto off; do
		run env LITHOS_HOLD=$hold "$LITHOS" run --quota 33 --stats -- "$PROGRAMS/order"
		[ "$status" -eq 0 ]
		[[ ! "$output" =~ "held back" ]]
	done
}

@test "a program that ends with work held back ends well" {
	for seed in 1 2 3 4 5; do
		run under_shim env LITHOS_HOLD="always:$seed" "$PROGRAMS/deferred" --leave
		[ "$status" -eq 0 ]
		[[ "$output" =~ "left=1" ]]
	done
}
