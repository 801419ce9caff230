# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the bats files here share: `load common` on top, `common_setup` in setup().
#
# ctest gives BUILD_DIR and, in sanitized builds, TEST_SANITIZER (address or thread) and
# TEST_SANITIZER_LIB; in those that measure coverage, TEST_COVERAGE. By hand:
# BUILD_DIR=build/release bats tests/integration/cli_run.bats

common_setup() {
	: "${BUILD_DIR:?set it to a build folder}"
	BUILD_DIR=$(realpath "$BUILD_DIR")
	# What the caller's shell has set for lithos must not reach the tests.
	local name
	for name in "${!LITHOS_@}"; do
		unset "$name"
	done
	unset LD_LIBRARY_PATH CUDA_VISIBLE_DEVICES
	export LITHOS_SIM=1
	# No daemon is looked for or started, unless a test names one.
	export LITHOS_SOCKET=none
	export LITHOS_CACHE_DIR="$BUILD_DIR/cache"
	mkdir -p "$LITHOS_CACHE_DIR"
	LITHOS="$BUILD_DIR/bin/lithos"
	PROGRAMS="$BUILD_DIR/tests/programs"
	SHIM_DIR="$BUILD_DIR/lib/lithos"
	SIM_DIR="$BUILD_DIR/lib/sim"
	# For the tests, which do not all use all of them.
	export LITHOS PROGRAMS SHIM_DIR SIM_DIR
	cd "$BATS_TEST_TMPDIR" || return 1
}

# The simulated driver itself, nothing of ours in between: the baseline.
natively() {
	LD_LIBRARY_PATH="$SIM_DIR" "$@"
}

# The shim without `lithos run`, options by environment: under_shim env LITHOS_TPC_QUOTA=4
# PROGRAM...
under_shim() {
	LD_LIBRARY_PATH="$SHIM_DIR" "$@"
}

# For programs that are not ours and load libcuda.so.1 (python3): a sanitized library needs its
# runtime to be there first. Leaks of foreign programs are not ours to judge. ThreadSanitizer's does
# not bear Python, so bats files that use this are not registered with THREADS.
foreign() {
	if [ -z "${TEST_SANITIZER:-}" ]; then
		"$@"
		return
	fi
	if [ "$TEST_SANITIZER" = thread ]; then
		echo "foreign programs cannot run under ThreadSanitizer" >&2
		return 1
	fi
	LD_PRELOAD="$TEST_SANITIZER_LIB" ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" "$@"
}

# For what a sanitizer's runtime makes meaningless (memory use, instruction counts, a killed
# process).
skip_under_sanitizer() {
	if [ -n "${TEST_SANITIZER:-}" ]; then
		skip "under the ${TEST_SANITIZER} sanitizer: ${1:-no meaning}"
	fi
}

# For what measures: unoptimised code that counts its lines is too slow for the simulated GPU to
# keep up.
skip_when_instrumented() {
	skip_under_sanitizer "$1"
	[ -z "${TEST_COVERAGE:-}" ] || skip "while coverage is measured: $1"
}

require_command() {
	command -v "$1" > /dev/null || skip "no $1"
}

# field KEY [TEXT]: the value of KEY=VALUE in the text, or in $output of bats' run; empty if not
# there.
field() {
	local text=${2-${output-}}
	grep -oE "(^|[[:space:]])$1=[^[:space:]]*" <<< "$text" | head -n 1 | sed 's/^[^=]*=//'
}

# Fail with both sides shown.
assert_equal() {
	if [ "$1" != "$2" ]; then
		printf '%s: expected "%s", found "%s"\n' "${3:-value}" "$2" "$1" >&2
		[ -z "${output:-}" ] || printf 'output:\n%s\n' "$output" >&2
		return 1
	fi
}

assert_status() {
	assert_equal "${status?}" "$1" status
}

# assert_line REGEX: some line of $output matches.
assert_line() {
	if ! grep -qE -- "$1" <<< "${output-}"; then
		printf 'no line matches "%s" in:\n%s\n' "$1" "${output-}" >&2
		return 1
	fi
}

refute_line() {
	if grep -qE -- "$1" <<< "${output-}"; then
		printf 'a line matches "%s" in:\n%s\n' "$1" "${output-}" >&2
		return 1
	fi
}

# wait_for COMMAND...: until it succeeds; gives up after a minute.
wait_for() {
	local i
	for ((i = 0; i < 600; i++)); do
		! "$@" > /dev/null 2>&1 || return 0
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}
