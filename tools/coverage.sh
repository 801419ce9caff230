#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# coverage.sh [--measured]: line coverage by the unit and integration tests, and the limits it must
# keep (tools/coverage.py). With --measured the suite has run already. The build is that of the
# address sanitizer, which counts lines as well.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

tree=build/asan
if [ "${1:-}" != --measured ]; then
	rm -f "$results_dir/asan.xml"
	find "$tree" -name '*.gcda' -delete 2> /dev/null
	suite asan --label-regex '^(unit|integration)$'
fi
gcovr --root . --object-directory "$tree" \
	--filter 'src/(base|hw|sched|shim|sim|cli|daemon|bench)/' \
	--json-summary "$tree/summary.json" "$tree" > "$tree/gcovr.log" 2>&1 || {
	cat "$tree/gcovr.log"
	exit 1
}
python3 tools/coverage.py "$tree/summary.json"
