#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs what src/bench has on this machine: instruction counts on the simulated GPU anywhere, times
# only on a real GPU, since those of a simulated one say nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build/release

if command -v valgrind > /dev/null; then
	LITHOS_RUN_DIR=$(mktemp -d)
	export LITHOS_RUN_DIR
	trap 'rm -rf "$LITHOS_RUN_DIR"' EXIT
	for options in LITHOS_STATS=0 LITHOS_TPC_QUOTA=33 LITHOS_STATS=1 "LITHOS_TPC_QUOTA=33 LITHOS_STATS=1"; do
		echo "# $options"
		for call in pass launch graph; do
			# shellcheck disable=SC2086 # options are words
			env $options tools/callgrind-launch.sh --build "$build" --call "$call"
		done
	done
else
	echo "# valgrind is not installed: no instruction counts" >&2
fi

if ! nvidia-smi -L > /dev/null 2>&1; then
	echo "# no GPU: no times" >&2
	exit 0
fi
# Each of the others alternates between native and lithos by itself.
for bench in "$build"/bin/bench_*; do
	[ "$bench" = "$build/bin/bench_calls" ] && continue
	[ -x "$bench" ] || continue
	echo "# $bench"
	"$bench"
done
