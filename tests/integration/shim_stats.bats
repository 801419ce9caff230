#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The numbers of `lithos run --stats`, for programs whose launches are known.

load common
load shim

setup() {
	common_setup
	require_command python3
}

@test "every launch is counted, and the records account for all of them" {
	run with_stats -- "$PROGRAMS/once"
	assert_status 0
	stats 'k["lk_count"]["launches"] == 40 and k["lk_count"]["timed"] > 20'
	stats 'k["lk_count"]["grid"] == [31, 1, 29] and k["lk_count"]["block"] == [2, 2, 32]'
	stats 'c["records_armed"] == c["records_read"] + c["records_lost"]'
	stats 'sum(row["launches"] for row in k.values()) == c["records_armed"] + c["records_dropped"]'
	stats 'c["qmd_no_device"] == 0 and c["qmd_unknown_version"] == 0 and s["processes"] == 1'
	stats 's["quota_tpcs"] == 0 and s["device_tpcs"] == 66'
}

@test "the launches of graphs are counted kernel by kernel" {
	run with_stats -- "$PROGRAMS/graphs" --replays 100
	assert_status 0
	# Replays of two counts and a sum: 100, 15, then 15 and 27; and 10 of two counts.
	stats 'c["graph_launches"] == 100 + 15 + 10 + 15 + 27 + 20'
	stats 'k["lk_saxpy"]["launches"] == 100 + 15 + 15 + 27 + 20'
	stats 'k["lk_count"]["launches"] == 2 * (100 + 15 + 10 + 15 + 27) + 20'
	stats '"G" in k["lk_saxpy"]["flags"].upper()'
	# Replays that follow one another are sampled; which kernels, depends on when the tracker
	# looks.
	stats 'k["lk_saxpy"]["timed"] + k["lk_count"]["timed"] > 0'
}

@test "graphs uploaded and launched on per-thread streams" {
	run with_stats --quota=5 -- "$PROGRAMS/shim_apis" --times 4
	assert_status 0
	stats 'k["lk_count"]["launches"] == 28 and k["lk_null"]["launches"] == 1'
	stats 'c["graph_launches"] == 8 and c["coop_refused"] == 8'
	stats 's["quota_tpcs"] == 5 and s["device_tpcs"] == 66 and k["lk_count"]["tpcs"] == 5'
}

# Long beside what the simulation adds to 1056 blocks on a slow machine, some milliseconds.
@test "durations are those of the kernels" {
	run with_stats -- "$PROGRAMS/where" --ns 20000000
	stats '5000000 < k["lk_where"]["p50_ns"] < 60000000'
	run with_stats --quota=33 -- "$PROGRAMS/where" --ns 20000000
	stats '5000000 < k["lk_where"]["p50_ns"] < 60000000'
}

@test "processes of one tenant are one table" {
	run with_stats --quota=4 -- sh -c \
		"$PROGRAMS/once; $PROGRAMS/once & wait; exec $PROGRAMS/once"
	assert_status 0
	stats 's["processes"] == 3 and k["lk_count"]["launches"] == 120'
	stats 's["quota_tpcs"] == 4'
}

@test "a child that forks before the driver is started has its own statistics" {
	run with_stats --quota=4 -- "$PROGRAMS/shim_told" --forks 2
	assert_status 0
	assert_equal "$(grep -c 'before=8 after=8 used=8 right=1' <<< "$output")" 3
	stats 's["processes"] == 3 and k["lk_where"]["launches"] == 3'
}

@test "a killed program still has statistics" {
	run with_stats -- "$PROGRAMS/shim_killed" --launches 500
	assert_status 137
	stats 'k["lk_null"]["launches"] == 500 and s["unreadable_files"] == 0'
	stats '0 < c["records_read"] <= 500'
}

@test "many launches cost no memory" {
	local launches=1000000
	[ -z "${TEST_SANITIZER:-}" ] || launches=100000
	run with_stats --quota=8 -- "$PROGRAMS/shim_many" --launches "$launches"
	assert_status 0
	stats "k['lk_null']['launches'] == $launches"
	stats "c['records_read'] + c['records_dropped'] + c['records_lost'] == $launches"
	stats 'c["records_read"] == c["records_armed"] and c["records_read"] > 0'
	assert_equal "$(field statistics_growth_kib)" 0
	# All of it is reserved at the start, so that a full folder kills nobody later.
	[ "$(field statistics_kib)" -lt 8192 ]
	skip_under_sanitizer "memory"
	[ "$(field resident_growth_kib)" -lt 4096 ]
}

@test "more in flight than the record pool holds: all launches are counted" {
	run with_stats -- "$PROGRAMS/threads" --launches 3000
	assert_status 0
	stats 'c["records_armed"] == c["records_read"] + c["records_lost"]'
	stats 'sum(row["launches"] for row in k.values()) == c["records_armed"] + c["records_dropped"]'
}

@test "contexts come and go" {
	run with_stats --quota=4 -- "$PROGRAMS/contexts" --rounds 40
	assert_status 0
	stats 'c["qmd_no_device"] == 0 and c["records_dropped"] == 0'
	stats 'k["lk_count"]["launches"] == c["records_read"] + c["records_lost"]'
	stats 'c["records_lost"] == 0'
}

@test "a profiler beside us keeps release 1, and every launch still has a record" {
	run with_stats --quota=4 -- "$PROGRAMS/shim_guest"
	assert_status 0
	assert_line 'program=guest seen=300 written=300'
	stats 'k["lk_null"]["launches"] == 300 and k["lk_null"]["tpcs"] == 4'
	stats 'c["profiler_seen"] == 300 and c["records_dropped"] == 0'
	stats 'c["records_read"] == c["records_armed"] == 300'
}
