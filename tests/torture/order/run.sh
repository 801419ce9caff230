#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD PROGRAMS [SEED]: the order checker on the bare simulated driver, under the shim, and
# under the shim with every launch held back for a random time, made in three atoms, and claimed and
# told to go after 1 us. Fails when a program computes something else, when the runs do not agree,
# or when no launch was held, split or cut.
set -uo pipefail
build=$(cd "${1:?usage: run.sh BUILD PROGRAMS [SEED]}" && pwd)
nr=${2:?usage: run.sh BUILD PROGRAMS [SEED]}
seed=${3:-1}
check=$build/tests/programs/order_check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/run" "$work/cache"
export LITHOS_SIM=1 LITHOS_SIM_KERNELS=$build/tests/liborder_sim_kernels.so \
	LITHOS_CACHE_DIR=$work/cache
export LITHOS_RUN_DIR=$work/run LITHOS_SOCKET=none
[ -x "$check" ] && [ -x "$build/bin/lithos" ] || exit 77

# counter NAME FILE: what the statistics say.
counter() {
	python3 -c 'import json, sys; print(json.load(open(sys.argv[2]))["counters"][sys.argv[1]])' "$1" "$2"
}

# run MODE COMMAND...: the checker's line, named; its hash goes to $work/MODE.
run() {
	local mode=$1 line status name
	shift
	line=$("$@" "$check" --seed "$seed" --programs "$nr")
	status=$?
	grep -o 'hash=[0-9a-f]*' <<< "$line" > "$work/$mode"
	printf 'order=%s %s' "$mode" "$line"
	if [ -s "$work/$mode.json" ]; then
		for name in launches_held atoms_launched works_claimed works_cut; do
			printf ' %s=%s' "$name" "$(counter "$name" "$work/$mode.json")"
		done
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
LITHOS_SPLIT=atoms:3 run atoms under_lithos "$work/atoms.json"
LITHOS_SPLIT=preempt:1 run cut under_lithos "$work/cut.json"
for mode in shim held atoms cut; do
	if ! cmp -s "$work/native" "$work/$mode"; then
		echo "order: the runs do not agree: $mode" >&2
		failed=1
	fi
done
if [ "$(counter launches_held "$work/held.json")" -lt "$nr" ] ||
	[ "$(counter launches_held "$work/shim.json")" -ne 0 ]; then
	echo "order: launches were not held back as asked" >&2
	failed=1
fi
if [ "$(counter atoms_launched "$work/atoms.json")" -lt "$nr" ] ||
	[ "$(counter works_cut "$work/cut.json")" -lt "$nr" ]; then
	echo "order: launches were not split as asked" >&2
	failed=1
fi
exit "$failed"
