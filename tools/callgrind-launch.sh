#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How many instructions the shim adds to one call, counted by callgrind on the simulated GPU.
#
# The program makes the call N and then 2N times under the shim; start-up cancels out in the
# difference. Counted is what runs in the shim's own file, inside --function, by the program's own
# thread: neither the driver's work, which changes with what the descriptor says, nor what other
# threads do meanwhile.
#
#   callgrind-launch.sh --build DIR --call NAME [--count N] [--max M] [--program FILE] [--function
#   NAME]
#
# The program is run as FILE --call NAME --count N. Prints `calls_NAME_added_instructions VALUE
# instructions N`; ends with 1 when VALUE is above M. LITHOS_* variables are handed on, so that
# LITHOS_TPC_QUOTA=33 or LITHOS_STATS=1 count those paths.
set -euo pipefail

build=build/release
call=pass
count=1000
max=""
program=""
function=bench_loop
while [ $# -gt 0 ]; do
	case "$1" in
	--build) build=$2 ;;
	--call) call=$2 ;;
	--count) count=$2 ;;
	--max) max=$2 ;;
	--program) program=$2 ;;
	--function) function=$2 ;;
	*)
		sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
		exit 2
		;;
	esac
	shift 2
done
program=${program:-$build/bin/bench_calls}
if [ ! -x "$program" ]; then
	echo "callgrind-launch: no program $program" >&2
	exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# instructions FOLDER COUNT: executed by libcuda.so.1 of that folder inside the function.
instructions() {
	local out=$scratch/callgrind.out
	rm -f "$out"
	if ! LD_LIBRARY_PATH="$build/lib/$1" LITHOS_SIM=1 valgrind --tool=callgrind \
		--toggle-collect="$function" --callgrind-out-file="$out" \
		"$program" --call "$call" --count "$2" > "$scratch/log" 2>&1; then
		cat "$scratch/log" >&2
		return 1
	fi
	# Not by callgrind_annotate: it takes functions of one source file for one, though both
	# libraries have them.
	awk -v file="/lib/$1/libcuda.so.1" '
		/^c?ob=/ {
			id = $1; sub(/^c?ob=/, "", id)
			if (NF > 1) is_ours[id] = index($0, file) > 0
			if (/^o/) here = id
		}
		/^calls=/ { getline; next } # what the callee took
		/^[0-9+*-]/ && is_ours[here] { n += $2 }
		END { print n + 0 }' "$out"
}

shim_once=$(instructions lithos "$count")
shim_twice=$(instructions lithos $((2 * count)))

if [ "$shim_twice" -le "$shim_once" ]; then
	echo "callgrind-launch: nothing was counted: is there a function $function in $program?" >&2
	exit 2
fi

awk -v call="$call" -v n="$count" -v max="$max" -v shim="$((shim_twice - shim_once))" 'BEGIN {
	added = shim / n
	printf "calls_%s_added_instructions %.3f instructions %d\n", call, added, n
	if (max != "" && added > max + 0) {
		printf "more than %s\n", max
		exit 1
	}
}'
