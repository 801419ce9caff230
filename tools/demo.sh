#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows lithos at work in half a minute: the machine is checked, one unmodified CUDA program runs
# natively and then confined to 33 TPCs, and the SMs it reached are compared. Uses the GPU where there
# is one (and PyTorch, if it can), and the simulated GPU elsewhere.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$PWD/build/release
lithos=$build/bin/lithos
where=$build/tests/programs/where
quota=33

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Prints the command, then runs it.
show() {
	printf '$ %s\n' "${*//$PWD\//}"
	"$@"
}

# field KEY TEXT: the value of KEY=VALUE.
field() {
	grep -oE "(^|[[:space:]])$1=[^[:space:]]*" <<< "$2" | head -n 1 | sed 's/^[^=]*=//'
}

must_have_run() {
	[ "$1" -eq 0 ] && return
	echo "demo: the program above failed with status $1" >&2
	exit 1
}

if nvidia-smi -L > /dev/null 2>&1; then
	gpu=$(nvidia-smi -L | head -n 1 | sed 's/ (UUID.*//')
	sim=()
	native=("$where")
else
	gpu="the simulated GPU (no NVIDIA GPU here)"
	export LITHOS_SIM=1
	sim=(--sim)
	native=(env "LD_LIBRARY_PATH=$build/lib/sim" "$where")
fi
LITHOS_CACHE_DIR=$(mktemp -d)
export LITHOS_CACHE_DIR
trap 'rm -rf "$LITHOS_CACHE_DIR"' EXIT

say "1. Is this machine fit for lithos? ($gpu)"
doctor=0
show "$lithos" doctor "${sim[@]}" || doctor=$?
if [ "$doctor" -gt 1 ]; then
	echo "demo: lithos doctor found a critical fault; its lines above say what to do" >&2
	exit 1
fi

say "2. A CUDA program, natively: it counts the SMs that its launches reach"
status=0
native_line=$(show "${native[@]}") || status=$?
printf '%s\n' "$native_line"
must_have_run "$status"

say "3. The same program, confined to $quota TPCs (2 SMs each), with statistics"
confined=$(show "$lithos" run "${sim[@]}" --quota "$quota" --stats -- "$where") || status=$?
printf '%s\n' "$confined"
must_have_run "$status"

if [ "${#sim[@]}" -eq 0 ] && python3 -c 'import sys, torch
sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
	say "4. PyTorch, natively and on half of the GPU"
	show python3 tools/demo_torch.py
	show "$lithos" run --quota 50% -- python3 tools/demo_torch.py
fi

# What the program was told and what it reached by each way to launch: `SMs count`, one line a number.
ways=$(grep -oE '[a-z_]+=[0-9]+' <<< "$(grep '^program=where' <<< "$confined")" |
	sed 's/.*=//' | sort | uniq -c | awk '{ print $2, $1 }')
confined_sms=$(field launch "$confined")
say "Summary ($gpu)"
echo "natively:          told of $(field reported_sms "$native_line") SMs, used $(field launch "$native_line")"
echo "lithos --quota $quota: told of $(field reported_sms "$confined") SMs, used $confined_sms"
if [ "$confined_sms" = $((2 * quota)) ] && [ "$(wc -l <<< "$ways")" -eq 1 ]; then
	echo "result:            confined, whichever way it launched (graphs, clusters, ...), and unchanged"
else
	echo "result:            NOT confined as asked"
	exit 1
fi
