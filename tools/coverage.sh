#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Line coverage by the unit and integration tests, and the limits it must keep (tools/coverage.py).
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

tree=build/coverage
mkdir -p "$results_dir"

# shellcheck disable=SC2317 # called by check
build() {
	cmake --preset coverage > /dev/null &&
		cmake --build --preset coverage --parallel "$jobs_wanted" -- --quiet
}

# shellcheck disable=SC2317 # called by check
measure() {
	find "$tree" -name '*.gcda' -delete
	ctest --test-dir "$tree" --parallel "$tests_at_once" --output-on-failure --no-tests=error \
		--label-regex '^(unit|integration)$' --output-junit \
		"$PWD/$results_dir/coverage.xml" \
		> "$tree/ctest.log" || tail -n 40 "$tree/ctest.log"
	gcovr --root . --object-directory "$tree" --filter \
		'src/(base|hw|sched|shim|sim|cli|daemon|bench)/' \
		--json-summary "$tree/summary.json" "$tree" \
		> "$tree/gcovr.log" 2>&1 || {
		cat "$tree/gcovr.log"
		return 1
	}
}

check "build coverage" build || exit 1
check "measure coverage" measure || exit 1
check "coverage limits" python3 tools/coverage.py "$tree/summary.json"
