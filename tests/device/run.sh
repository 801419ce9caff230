#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything that needs a real GPU. Sections: doctor programs models cost profiler (all when none is
# named), and, only when named, sharing (several programs through lithosd), split (kernels in atoms
# and claimed), drains (how long a launch that is told to go takes to leave), split-cost (what
# splitting costs models that are alone), graph-gaps (what MPS and an owner's epoch add to the
# kernels of a graph), bench (ways of sharing, side by side), mixes (the same for several
# scenarios and seeds, as many as there is time for) and service (what a service takes by itself,
# natively and under lithos).
#
#   tests/device/run.sh [SECTION...]
#
# Results: JSON files and log.txt under $OUT, or results/raw. A table comes last. Exit code: 0 when
# every section passed, 1 otherwise. Nothing runs without a time limit, and the models alternate
# native and lithos. Uses the build in build/release (or $LITHOS_BUILD); builds it when bin/lithos
# is missing there.
#
# Settings: MODEL_CONFIGS ("native 66 33 16 4 native2"), MODEL_LIMIT (seconds a process, 58),
# MODEL_NAMES, QUOTAS (66,33,16,4), ALL_TPCS (66), COST_OPTIONS, SHARING_OPTIONS, DRAINS_OPTIONS,
# SPLIT_COST_OPTIONS, GRAPH_GAPS_OPTIONS, BENCH_OPTIONS, MIXES_OPTIONS, SERVICE_OPTIONS, PYTHON
# (python3).
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
export LITHOS_BUILD=${LITHOS_BUILD:-$root/build/release}
export PYTHONDONTWRITEBYTECODE=1
out=${OUT:-$root/results/raw}
python=${PYTHON:-python3}
lithos=$LITHOS_BUILD/bin/lithos
all_tpcs=${ALL_TPCS:-66}
failed=()

mkdir -p "$out" || exit 1
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
log=$out/log.txt
: >"$log"

# Notes a failed section by name and goes on with the next.
section() {
	local name=$1 begin=$SECONDS
	shift
	# What one program is confined to is measured without a daemon, which would lend it all the
	# others.
	case $name in
	sharing | bench | mixes | service) unset LITHOS_SOCKET ;;
	*) export LITHOS_SOCKET=none ;;
	esac
	echo "== $name" | tee -a "$log"
	if "$@" >"$scratch/$name.table" 2>>"$log"; then
		echo "$name: passed in $((SECONDS - begin)) s" >>"$scratch/summary"
	else
		echo "$name: FAILED in $((SECONDS - begin)) s; the log ends:" >>"$scratch/summary"
		tail -4 "$log" | cut -c1-300 | sed 's/^/    /' >>"$scratch/summary"
		failed+=("$name")
	fi
}

build() {
	[ -x "$lithos" ] && return 0
	cmake -S "$root" -B "$LITHOS_BUILD" -DCMAKE_BUILD_TYPE=RelWithDebInfo &&
		timeout -k 5 400 cmake --build "$LITHOS_BUILD" -j "$(nproc)"
}

doctor() {
	local rc=0
	timeout -k 5 60 "$lithos" doctor --format=json >"$out/doctor.json" || rc=$?
	timeout -k 5 60 "$lithos" doctor || rc=$?
	# 1 is a warning, as for an MPS that is not installed.
	[ "$rc" -le 1 ]
}

programs() {
	timeout -k 5 570 "$python" "$here/programs.py" --out "$out/programs.json" \
		--quotas "${QUOTAS:-66,33,16,4}"
}

# One configuration: "native" or "native2", or a number of TPCs.
model_run() {
	local label=$1 limit=${MODEL_LIMIT:-58}
	local run=("$python" "$here/models.py" --label "$label" --out "$scratch/models.$label.json"
		--ptx "$LITHOS_BUILD/tests/programs/kernels.ptx" --limit "$limit")
	[ -n "${MODEL_NAMES:-}" ] && run+=(--models "$MODEL_NAMES")
	case $label in
	native*) ;;
	q*) run=("$lithos" run --quota "${label#q}" --stats=json
		--stats-file "$scratch/stats.$label.json" -- "${run[@]}") ;;
	esac
	timeout -k 5 "$((limit + 7))" "${run[@]}" </dev/null >&2
	local rc=$?
	[ "$rc" -eq 0 ] || echo "models $label: exit $rc" >&2
}

models() {
	local config label files=() stats=()
	for config in ${MODEL_CONFIGS:-native 66 33 16 4 native2}; do
		label=$config
		[[ $config =~ ^[0-9]+$ ]] && label=q$config
		model_run "$label"
		files+=("$scratch/models.$label.json")
		[ -e "$scratch/stats.$label.json" ] && stats+=(--stats "$label=$scratch/stats.$label.json")
	done
	"$python" "$here/compare.py" --out "$out/models.json" "${stats[@]}" "${files[@]}"
}

cost() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 5 400 "$python" "$here/cost.py" --out "$out/cost.json" --all-tpcs "$all_tpcs" \
		${COST_OPTIONS:-}
}

profiler() {
	timeout -k 5 280 "$python" "$here/profiler.py" --out "$out/profiler.json"
}

sharing() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 30 560 "$python" "$here/sharing.py" --out "$out/sharing.json" \
		${SHARING_OPTIONS:-}
}

split() {
	timeout -k 30 560 "$here/split.sh" "$out"
}

# Natively: the program is in the place of the shim.
drains() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 5 150 "$LITHOS_BUILD/tests/programs/preludes" --drains --drain-out "$out/drains.json" \
		${DRAINS_OPTIONS:-}
}

split_cost() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 5 240 "$python" "$here/split_cost.py" --out "$out/split_cost.json" \
		${SPLIT_COST_OPTIONS:-}
}

# Natively and under an MPS of its own.
graph_gaps() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 30 240 "$python" "$here/graph_gaps.py" --out "$out/graph_gaps.json" \
		${GRAPH_GAPS_OPTIONS:-}
}

# Three repetitions of all systems take longer than one command may: see docs/bench.md.
bench() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 60 530 "$lithos" bench --scenario hybrid --target gpu --python "$python" \
		--out "$out/bench.json" ${BENCH_OPTIONS:-}
}

mixes() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 30 590 "$python" "$here/mixes.py" --out "$out/mixes" ${MIXES_OPTIONS:-}
}

service() {
	# shellcheck disable=SC2086 # options are words
	timeout -k 5 120 "$python" "$here/service.py" --out "$out/service.json" \
		${SERVICE_OPTIONS:-} &&
		timeout -k 5 120 "$lithos" run --quota 100% -- "$python" "$here/service.py" \
			--out "$out/service-lithos.json" ${SERVICE_OPTIONS:-}
}

[ $# -gt 0 ] || set -- doctor programs models cost profiler
for name in "$@"; do
	case $name in
	doctor | programs | models | cost | profiler | sharing) ;;
	split | drains | split-cost | graph-gaps | bench | mixes | service) ;;
	*)
		echo "usage: run.sh [doctor] [programs] [models] [cost] [profiler] [sharing] [split] [drains] [split-cost]" \
			"[graph-gaps] [bench] [mixes] [service]" >&2
		exit 2
		;;
	esac
done

if ! build >>"$log" 2>&1; then
	echo "build failed, see $log" >&2
	tail -20 "$log" >&2
	exit 1
fi
for name in "$@"; do
	section "$name" "${name//-/_}"
done

for name in "$@"; do
	echo "== $name"
	# A table is short; what is long is in the JSON.
	head -c 4000 "$scratch/$name.table"
done
# The log must stay small enough to be carried home.
tail -c 4000000 "$log" >"$scratch/log" && cp "$scratch/log" "$log"
cat "$scratch/summary"
[ ${#failed[@]} -eq 0 ]
