#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run.sh SECONDS [TARGET...]: fuzzes each target for so long, two at a time, with libFuzzer and the
# address and undefined-behaviour sanitizers. New inputs are kept in build/fuzz/corpus, so that the
# next run goes on from there. Ends with 1 when something was found: the input lies in
# build/fuzz/found; mend what it found, and give it a name in seeds/TARGET, where every suite runs
# it.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
seconds=${1:?usage: run.sh SECONDS [TARGET...]}
shift
tree=build/fuzz
# The longest input that makes sense, where libFuzzer's 4096 bytes are not it.
declare -A longest=([code]=16384 [protocol]=4096 [statistics]=6000 [topology]=800 [state]=2048)

targets=("$@")
if [ "${#targets[@]}" -eq 0 ]; then
	for file in tests/fuzz/target_*.c; do
		file=${file##*/target_}
		targets+=("${file%.c}")
	done
fi
mkdir -p "$tree/found"
cmake --preset fuzz > "$tree/configure.log" 2>&1 || {
	cat "$tree/configure.log"
	exit 1
}
cmake --build --preset fuzz --parallel "${JOBS:-$(nproc)}" -- --quiet || exit 1

fuzz() {
	local target=$1 corpus=$tree/corpus/$1
	mkdir -p "$corpus"
	"$tree/tests/fuzz_$target" -max_total_time="$seconds" -max_len="${longest[$target]:-4096}" \
		-timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$tree/found/$target-" \
		"$corpus" "tests/fuzz/seeds/$target" > "$tree/$target.log" 2>&1
}

status=0
# report TARGET PID: waits for it.
report() {
	if wait "$2"; then
		printf 'fuzz %s: ok, %s runs, %s edges\n' "$1" \
			"$(sed -n 's/^stat::number_of_executed_units: *//p' "$tree/$1.log")" \
			"$(grep -oE 'cov: [0-9]+' "$tree/$1.log" | tail -n 1 | cut -c6-)"
		return
	fi
	printf 'fuzz %s: FOUND SOMETHING (%s)\n' "$1" "$tree/$1.log"
	tail -n 60 "$tree/$1.log"
	status=1
}

for ((i = 0; i < ${#targets[@]}; i += 2)); do
	pids=()
	for target in "${targets[@]:i:2}"; do
		fuzz "$target" &
		pids+=("$!")
	done
	for j in "${!pids[@]}"; do
		report "${targets[i + j]}" "${pids[j]}"
	done
done
exit "$status"
