#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything that can be tested without a GPU: the suites in three builds, coverage, lint. One
# failure does not stop the rest; the last line printed is the total of all, and the status follows
# it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

rm -rf "$results_dir"
mkdir -p "$results_dir"

export ASAN_OPTIONS="${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-second_deadlock_stack=1}"

# shellcheck disable=SC2317 # called by check
build() {
	cmake --preset "$1" > "$results_dir/$1.configure.log" 2>&1 || {
		cat "$results_dir/$1.configure.log"
		return 1
	}
	cmake --build --preset "$1" --parallel "$jobs_wanted" -- --quiet
}

# suite NAME CTEST-ARGUMENTS...: builds the preset and runs its tests.
suite() {
	local name=$1
	shift
	check "build $name" build "$name" || return 1
	say "tests $name"
	"${wrapper[@]}" ctest --test-dir "build/$name" --parallel "$tests_at_once" \
		--output-on-failure \
		--no-tests=error --output-junit "$PWD/$results_dir/$name.xml" "$@"
	[ -s "$results_dir/$name.xml" ] || printf 'failed tests %s\n' "$name" >> \
		"$results_dir/checks.txt"
}

# Where the kernel spreads mappings wider than ThreadSanitizer's shadow allows, its programs die at
# their start, some of the time; without randomisation they do not.
wrapper=()
wrap_tsan() {
	local bits
	bits=$(cat /proc/sys/vm/mmap_rnd_bits 2> /dev/null || echo 28)
	if [ "$bits" -gt 28 ] && setarch -R true 2> /dev/null; then
		wrapper=(setarch -R)
	fi
}

started=$SECONDS
suite release
suite asan --label-regex '^(unit|integration)$'
wrap_tsan
suite tsan --label-regex '^threads$'
wrapper=()
tools/coverage.sh
tools/lint.sh

say "total after $((SECONDS - started)) s"
python3 tools/total.py "$results_dir" | tee "$results_dir/summary"
status=${PIPESTATUS[0]}
tail -n 1 "$results_dir/summary" > "$results_dir/total"
exit "$status"
