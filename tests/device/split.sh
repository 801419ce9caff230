#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   split.sh OUT_FOLDER     kernels in atoms and claimed, on a real GPU: exactness, then coverage
#
# Sections: preludes by themselves; the test programs forced into atoms and cut in the middle;
# models, and a sweep over the operations of libraries, whose results must be bit for bit those of
# native runs. A table comes last; exit 1 when anything differs, hangs, or did not run.
#
# OUT_FOLDER gets split.txt (the tables), split-coverage.json (entries, kernels, refusals, gangs),
# split-programs.json (counters) and split.log. The files of single runs, some MB, are in SPLIT_RAW:
# a folder that is removed, unless it is named; then sections of several calls are set side by side.
#
# Environment: LITHOS_BUILD, PYTHON, ALL_TPCS, SPLIT_SECTIONS, SPLIT_RAW; SPLIT_MODELS
# (comma-separated), SPLIT_MODEL_WAYS, SPLIT_MODEL_LIMIT; SPLIT_LIBRARY_WAYS, SPLIT_LIBRARY_LIMIT,
# SPLIT_LIBRARY_ONLY (comma-separated beginnings of entries' names), SPLIT_REPEATS, SPLIT_AT_LEAST
# (kernels). The sections are called by name.
# shellcheck disable=SC2317
set -u

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: split.sh OUT_FOLDER}
build=${LITHOS_BUILD:?the build folder}
programs=$build/tests/programs
lithos=$build/bin/lithos
python=${PYTHON:-python3}
sections=${SPLIT_SECTIONS:-preludes programs models library}
eager=resnet50-b8-eager,resnet50-b64-training,bert-large-b8,llama8-prefill-2048,llama8-training-2x2048,triton-softmax,jax-jit
export LITHOS_SOCKET=none
raw=${SPLIT_RAW:-$(mktemp -d)}
mkdir -p "$out" "$raw" || exit 1
: > "$raw/log.txt"
failed=0

# Also when the time is up. The log must stay small enough to be carried home.
finish() {
	cp "$raw/split.txt" "$out/split.txt"
	tail -c 1000000 "$raw/log.txt" > "$out/split.log"
	[ -n "${SPLIT_RAW:-}" ] || rm -rf "$raw"
}
trap finish EXIT

# note NAME STATUS TEXT...
note() {
	printf '%-28s %-6s %s\n' "$1" "$2" "${*:3}"
	[ "$2" = ok ] || failed=1
}

preludes() {
	local status=ok
	timeout -k 5 60 "$programs/preludes" --peer-dies > "$raw/preludes.txt" 2>&1 || status=FAILED
	cat "$raw/preludes.txt" >> "$raw/log.txt"
	note preludes "$status" "$(tail -n 1 "$raw/preludes.txt" | cut -c1-120)"
}

# counters FILE NAME...
counters() {
	"$python" - "$@" << 'END'
import json, sys
try:
    counters = json.load(open(sys.argv[1]))["counters"]
except (OSError, ValueError):
    print("no statistics")
else:
    print(" ".join(f"{name}={counters[name]}" for name in sys.argv[2:]))
END
}

program() {
	local way=$1 name=$2 status=ok stats
	shift 2
	stats=$raw/program.$name.${way/:/-}.json
	LITHOS_SPLIT=$way timeout -k 5 30 "$lithos" run --quota "${ALL_TPCS:-66}" --stats=json \
		--stats-file="$stats" -- "$programs/$name" "$@" > "$raw/$name.txt" 2>&1 ||
		status=FAILED
	note "$name $way" "$status" \
		"$(counters "$stats" atoms_launched works_claimed works_cut works_helped works_grown split_refused)"
	[ "$status" = ok ] || tail -n 5 "$raw/$name.txt"
}

programs() {
	local way
	for way in atoms:8 preempt:300 preempt:1; do
		program "$way" once
		program "$way" order
		program "$way" clusters
		program "$way" coop
		program "$way" cut --rounds 20 --blocks 40000 --us 100
	done
	"$python" - "$raw" "$out/split-programs.json" << 'END'
import glob, json, os, sys
raw, path = sys.argv[1:]
found = {}
for name in sorted(glob.glob(os.path.join(raw, "program.*.json"))):
    try:
        with open(name, encoding="utf-8") as stats:
            found[os.path.basename(name)[8:-5]] = json.load(stats)["counters"]
    except (OSError, ValueError):
        found[os.path.basename(name)[8:-5]] = None
with open(path, "w", encoding="utf-8") as out:
    json.dump(found, out, indent=1, sort_keys=True)
END
}

# way_run WAY STATS SECONDS COMMAND...: natively, or split in that way on all TPCs.
way_run() {
	local way=$1 stats=$2 seconds=$3 run
	shift 3
	run=("$@")
	case $way in
	native*) ;;
	*) run=(env "LITHOS_SPLIT=$way" "$lithos" run --quota "${ALL_TPCS:-66}" --stats=json
		--stats-file "$stats" -- "$@") ;;
	esac
	timeout -k 5 "$seconds" "${run[@]}" < /dev/null >> "$raw/log.txt" 2>&1
}

# model WAY: one process for all models.
model() {
	local way=$1 label=${1/:/-} limit=${SPLIT_MODEL_LIMIT:-70} rc=0
	rm -f "$raw/models.$label".*
	way_run "$way" "$raw/models.$label.stats.json" "$((limit + 10))" \
		"$python" "$here/models.py" --label "$label" --out "$raw/models.$label.json" \
		--ptx "$programs/kernels.ptx" --limit "$limit" --seconds 0.3 --warm 2 \
		--models "${SPLIT_MODELS:-$eager}" || rc=$?
	[ "$rc" -eq 0 ] || note "models $way" FAILED "exit $rc, see split.log"
}

models() {
	local way
	for way in ${SPLIT_MODEL_WAYS:-native atoms:8 preempt:1000 native2}; do
		model "$way"
	done
	"$python" - "$raw" << 'END'
import glob, json, os, sys
for path in sorted(glob.glob(os.path.join(sys.argv[1], "models.*.json"))):
    if ".stats" in os.path.basename(path):
        continue
    with open(path, encoding="utf-8") as run:
        run = json.load(run)
    times = (f"{name} {row['ms']:.2f}" if "ms" in row else f"{name} {row['error'][:60]}"
             for name, row in run["models"].items())
    print(f"ms, {run['label']}: " + ", ".join(times))
END
}

# sweep WAY: one process, and another for what is left each time that an entry hangs or breaks the
# context.
sweep() {
	local way=$1 label=${1/:/-} limit=${SPLIT_LIBRARY_LIMIT:-80} attempt rc=3
	rm -f "$raw/library.$label".*
	for attempt in 1 2 3 4; do
		rc=0
		way_run "$way" "$raw/library.$label.stats.$attempt.json" "$((limit + 45))" \
			"$python" "$here/library.py" --label "$label" --out \
			"$raw/library.$label.json" \
			--limit "$limit" --repeats "${SPLIT_REPEATS:-4}" --only \
			"${SPLIT_LIBRARY_ONLY:-}" --resume ||
			rc=$?
		[ "$rc" -eq 3 ] || break
	done
	[ "$rc" -eq 0 ] || note "library $way" FAILED "exit $rc in process $attempt, see split.log"
}

# Few kernels of the sweep run for the millisecond after which preempt:1000 cuts: preempt:30 cuts
# more.
library() {
	local way
	for way in ${SPLIT_LIBRARY_WAYS:-native atoms:8 preempt:1000 preempt:30 native2}; do
		sweep "$way"
	done
}

# What the sections models and library left in SPLIT_RAW; runs after either, and can be named alone.
coverage() {
	local at_least=()
	compgen -G "$raw/library.*.json" > /dev/null &&
		at_least=(--at-least "${SPLIT_AT_LEAST:-300}")
	timeout -k 5 120 "$python" "$here/coverage.py" --out "$out/split-coverage.json" \
		--gangs "$here/gangs.txt" "${at_least[@]}" "$raw" || failed=1
}

all() {
	local section
	for section in $sections; do
		"$section"
	done
	case $sections in
	*models* | *library*) coverage ;;
	esac
	return "$failed"
}

all > "$raw/split.txt" || failed=1
cat "$raw/split.txt"
exit "$failed"
