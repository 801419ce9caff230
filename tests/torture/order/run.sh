#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD PROGRAMS [SEED]: the order checker on the bare simulated driver, under the shim, and under the
# shim with every launch held back for a random time. Fails when a program computes something else, when
# the three do not agree, or when no launch was held.
set -uo pipefail
build=$(cd "${1:?usage: run.sh BUILD PROGRAMS [SEED]}" && pwd)
nr=${2:?usage: run.sh BUILD PROGRAMS [SEED]}
seed=${3:-1}
check=$build/tests/programs/order_check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/run" "$work/cache"
export LITHOS_SIM=1 LITHOS_SIM_KERNELS=$build/tests/liborder_sim_kernels.so LITHOS_CACHE_DIR=$work/cache
export LITHOS_RUN_DIR=$work/run LITHOS_SOCKET=none
[ -x "$check" ] && [ -x "$build/bin/lithos" ] || exit 77

# held FILE: how many launches the statistics say were held back.
held() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["counters"]["launches_held"])' "$1"
}

# run MODE COMMAND...: the checker's line, named; its hash goes to $work/MODE.
run() {
	local mode=$1 line status
	shift
	line=$("$@" "$check" --seed "$seed" --programs "$nr")
	status=$?
	grep -o 'hash=[0-9a-f]*' <<< "$line" > "$work/$mode"
	printf 'order=%s %s' "$mode" "$line"
	if [ -s "$work/$mode.json" ]; then
		printf ' launches_held=%s' "$(held "$work/$mode.json")"
	fi
	printf '\n'
	[ "$status" -eq 0 ] || failed=1
}

# shellcheck disable=SC2317 # called by run
under_lithos() {
	"$build/bin/lithos" run --sim --stats=json --stats-file="$1" -- "${@:2}"
}

failed=0
run native env LD_LIBRARY_PATH="$build/lib/sim"
LITHOS_HOLD=off run shim under_lithos "$work/shim.json"
LITHOS_HOLD=always:$seed run held under_lithos "$work/held.json"
if ! cmp -s "$work/native" "$work/shim" || ! cmp -s "$work/native" "$work/held"; then
	echo "order: the runs do not agree" >&2
	failed=1
fi
if [ "$(held "$work/held.json")" -lt "$nr" ] || [ "$(held "$work/shim.json")" -ne 0 ]; then
	echo "order: launches were not held back as asked" >&2
	failed=1
fi
exit "$failed"
