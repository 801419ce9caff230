#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [DIRECTORY]: checks the model, and that each mutant of it is refuted. 0 all as expected, 1
# not, 77 no spin or gcc.
set -uo pipefail
model=$(cd "$(dirname "$0")" && pwd)/lend.pml
command -v spin > /dev/null && command -v gcc > /dev/null || exit 77
work=${1:-$(mktemp -d)}
mkdir -p "$work"
failed=0

# verify NAME PROPERTY FLAGS: one verifier, compiled and run. PROPERTY asserts: what is asserted at
# each step; otherwise the ltl of that name, under weak fairness. KILLS, CRASHES, T0_LAUNCHES,
# HAS_T2: bounds.
verify() {
	local dir=$work/$1 property=$2 flags=$3
	local cc=(gcc -w -O2 -DMEMLIM=6000 -o pan pan.c) run=(./pan -m2000000 -w24)
	if [ "$property" = asserts ]; then
		cc+=(-DSAFETY)
	else
		cc+=(-DNFAIR=4)
		run+=(-a -f -N "$property")
		flags+=" -DPROGRESS"
	fi
	mkdir -p "$dir"
	(
		cd "$dir" || exit 2
		# shellcheck disable=SC2086 # several flags
		spin $flags -a "$model" > spin.log 2>&1 && "${cc[@]}" > gcc.log 2>&1 &&
			timeout 400 "${run[@]}" > pan.log 2>&1
	)
}

# errors NAME: their number; empty when the search did not end.
errors() {
	sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$work/$1/pan.log" | tail -n 1
}

states() {
	sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/$1/pan.log" | tail -n 1
}

# holds NAME PROPERTY FLAGS: no counter-example, and the search was exhaustive.
holds() {
	verify "$@"
	local why=holds
	[ "$(errors "$1")" = 0 ] || why="REFUTED or failed"
	grep -qE 'max search depth too small|out of memory|not completed' "$work/$1/pan.log" &&
		why="NOT EXHAUSTIVE"
	[ "$why" = holds ] || failed=1
	printf 'model=%s property=%s states=%s result="%s"\n' "$1" "$2" "$(states "$1")" "$why"
}

# refuted MUTANT PROPERTY FLAGS: a counter-example is found.
refuted() {
	verify "$1" "$2" "$3 -D$1"
	local why=refuted
	[[ "$(errors "$1")" =~ ^[1-9] ]] || why="NOT REFUTED"
	[ "$why" = refuted ] || failed=1
	printf 'mutant=%s property=%s states=%s result="%s"\n' "$1" "$2" "$(states "$1")" "$why"
}

# Two halves, each with a kill and a crash of the daemon: an owner and a borrower; an owner that
# only holds, a borrower, and one that arrives, owns and borrows.
words="-DKILLS=1 -DCRASHES=1 -DT0_LAUNCHES=true -DHAS_T2=false"
sets="-DKILLS=1 -DCRASHES=1 -DT0_LAUNCHES=false -DHAS_T2=true"
calm="-DKILLS=0 -DCRASHES=0 -DT0_LAUNCHES=false -DHAS_T2=true"

holds words asserts "$words"
holds sets asserts "$sets"
holds freed freed "$words"
holds served served "$words"
holds served_two served "$calm"
refuted NO_FENCE asserts "$words"
refuted NO_RECHECK asserts "$words"
refuted FREE_EARLY asserts "-DKILLS=0 -DCRASHES=1 -DT0_LAUNCHES=false -DHAS_T2=true"
refuted LEND_AT_RESTART asserts "$sets"
refuted GROW_FIRST asserts "$sets"
refuted BOARD_LATE asserts "$calm"
refuted NEVER_FREED freed "$words"
refuted NO_ROTATION served "-DKILLS=0 -DCRASHES=0 -DT0_LAUNCHES=true -DHAS_T2=true"
refuted STAYS_DOWN served "-DKILLS=0 -DCRASHES=1 -DT0_LAUNCHES=false -DHAS_T2=true"
[ $# -gt 0 ] || rm -rf "$work"
exit "$failed"
