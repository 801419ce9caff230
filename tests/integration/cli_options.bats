#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The verbs that only print, and what is said to a line that is none.

load common

setup() {
	common_setup
}

@test "no verb, an unknown one and a mistyped one exit with 2" {
	run "$LITHOS"
	assert_status 2
	assert_line '^Usage: lithos VERB'
	run "$LITHOS" frobnicate
	assert_status 2
	assert_line "'frobnicate' is not a verb. See 'lithos --help'"
	run "$LITHOS" optoins
	assert_status 2
	assert_line "Did you mean 'lithos options'"
}

@test "help lists every verb, and each verb has help and a version, in every spelling" {
	run "$LITHOS" --help
	assert_status 0
	local verb verbs help version
	assert_equal "$("$LITHOS" -h)" "$output"
	assert_equal "$("$LITHOS" help)" "$output"
	verbs=$(sed -n 's/^  \([a-z]\+\)  .*/\1/p' <<< "$output")
	[ "$(wc -w <<< "$verbs")" -ge 6 ]
	version=$("$LITHOS" --version)
	for verb in $verbs; do
		run "$LITHOS" "$verb" --help
		assert_status 0
		assert_line "Usage: lithos $verb"
		help=$output
		assert_equal "$("$LITHOS" "$verb" -h)" "$help"
		assert_equal "$("$LITHOS" help "$verb")" "$help"
		assert_equal "$("$LITHOS" "$verb" --version)" "$version"
	done
	run "$LITHOS" help frobnicate
	assert_status 2
	# What follows the program of run is the program's.
	run "$LITHOS" run -- echo -h --version
	assert_line '^-h --version$'
}

@test "each way of sharing that bench has is in its help" {
	run "$LITHOS" bench --system nonsense --out x
	assert_status 2
	local name names
	names=$(sed -n "s/.*'nonsense' is not one of: //p" <<< "$output" | tr -d ,)
	[ "$(wc -w <<< "$names")" -ge 8 ]
	run "$LITHOS" bench --help
	for name in $names; do
		assert_line "(^|[ ,])$name(,|\$)"
	done
}

@test "the daemon and the simulated GPU have help and a version, too" {
	local program
	for program in lithosd lithos-simgpu; do
		run "$BUILD_DIR/bin/$program" --help
		assert_status 0
		assert_line "[Uu]sage: .*$program"
		assert_equal "$("$BUILD_DIR/bin/$program" -h)" "$output"
		run "$BUILD_DIR/bin/$program" --version
		assert_status 0
		assert_line "^$program [0-9]+\.[0-9]+\.[0-9]+\$"
	done
}

@test "version" {
	run "$LITHOS" version
	assert_status 0
	assert_line '^lithos [0-9]+\.[0-9]+\.[0-9]+$'
	assert_equal "$("$LITHOS" --version)" "$output"
}

@test "options as a table" {
	run "$LITHOS" options
	assert_status 0
	assert_line '^VARIABLE +TYPE +DEFAULT'
	assert_line '^LITHOS_TPC_QUOTA +str +- +N or P% +startup'
	assert_line '^LITHOS_LOG +str +warn'
	assert_line '^LITHOS_SPLIT +str +auto +auto[|]whole[|]atoms.*atoms:N[|]preempt:N +startup'
}

@test "options as JSON has a row for each row of the table" {
	require_command python3
	local lines rows
	lines=$("$LITHOS" options | wc -l)
	rows=$("$LITHOS" options --format=json | python3 -c '
import json, sys
rows = json.load(sys.stdin)
assert all(set(r) == {"variable", "type", "default", "range", "when", "meaning"} for r in rows)
print(len(rows))')
	assert_equal "$rows" "$((lines - 1))"
}

@test "mistakes in options exit with 2" {
	run "$LITHOS" options --format=xml
	assert_status 2
	run "$LITHOS" options extra
	assert_status 2
	run "$LITHOS" options --nonsense
	assert_status 2
}
