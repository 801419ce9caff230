#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# test.sh quick|rest|all: what can be tested without a GPU.
#   quick   the suite in the release build, and the quick lint steps: what one waits for
#   rest    the suites with sanitizers, coverage, the other lint steps, a minute of fuzzing a target
#   all     both (`make test-all`)
# One failure does not stop the others. The last line printed is the total of all that has run since
# `quick` began, and the status follows it.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

what=${1:-all}
case $what in
quick | rest | all) ;;
*)
	echo "usage: test.sh quick|rest|all" >&2
	exit 2
	;;
esac

export ASAN_OPTIONS="${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"
export TSAN_OPTIONS="${TSAN_OPTIONS:-second_deadlock_stack=1}"

# Where the kernel spreads mappings wider than ThreadSanitizer's shadow allows, its programs die at
# their start, some of the time; without randomisation they do not.
wrap_tsan() {
	local bits
	bits=$(cat /proc/sys/vm/mmap_rnd_bits 2> /dev/null || echo 28)
	if [ "$bits" -gt 28 ] && setarch -R true 2> /dev/null; then
		wrapper=(setarch -R)
	fi
}

run_quick() {
	rm -rf "$results_dir"
	mkdir -p "$results_dir"
	suite release
	tools/lint.sh quick
}

# Coverage is measured in the build with the address sanitizer: one suite less to wait for.
run_rest() {
	mkdir -p "$results_dir"
	find build/asan -name '*.gcda' -delete 2> /dev/null
	suite asan --label-regex '^(unit|integration)$'
	check "coverage limits" tools/coverage.sh --measured
	wrap_tsan
	suite tsan --label-regex '^threads$'
	wrapper=()
	tools/lint.sh full
	check "fuzz" tests/fuzz/run.sh "${FUZZ_SECONDS:-60}"
}

started=$SECONDS
[ "$what" = rest ] || run_quick
[ "$what" = quick ] || run_rest

say "total after $((SECONDS - started)) s"
python3 tools/total.py "$results_dir" | tee "$results_dir/summary"
status=${PIPESTATUS[0]}
tail -n 1 "$results_dir/summary" > "$results_dir/total"
exit "$status"
