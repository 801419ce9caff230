#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD [RESULTS]: the torture tests at full counts; a line each, also in the file RESULTS.
# About three quarters of an hour. Ends with 1 when one failed. STRICT=1: limits on times count as
# well.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:?usage: run.sh BUILD [RESULTS]}" && pwd)
results=${2:-/dev/null}
strict=()
[ -z "${STRICT:-}" ] || strict=(--strict)
failed=0
: > "$results"

# step COMMAND...: its output, and whether it failed.
step() {
	"$@" | tee -a "$results"
	local status=${PIPESTATUS[0]}
	if [ "$status" -ne 0 ] && [ "$status" -ne 77 ]; then
		failed=1
		printf 'FAILED status=%d %s\n' "$status" "$*" | tee -a "$results"
	fi
}

scenario() {
	step python3 "$here/run.py" --build "$build" "${strict[@]}" --scenario "$@"
}

step "$here/order/run.sh" "$build" 10000
step "$here/model/run.sh"
step python3 "$here/../properties/mixes.py" --build "$build" --seed 1000 --count 2000
scenario kill --tenants 32 --count 1000
scenario daemon --tenants 16 --count 200
scenario stop --count 30
scenario hostile --count 60
scenario attach --count 300
scenario rounds --count 1000
exit "$failed"
