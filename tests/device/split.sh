#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
#   split.sh OUT_FOLDER     kernels in atoms and claimed, on a real GPU: exactness, then cost
#
# The preludes by themselves, the test programs forced into atoms and cut in the middle, and models whose
# results must be bit for bit those of a native run. A table comes last; exit 1 when anything differs.
# Environment: LITHOS_BUILD, PYTHON, SPLIT_MODELS (comma-separated), SPLIT_SECTIONS.
# The sections are called by name.
# shellcheck disable=SC2317
set -u

here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: split.sh OUT_FOLDER}
build=${LITHOS_BUILD:?the build folder}
programs=$build/tests/programs
lithos=$build/bin/lithos
python=${PYTHON:-python3}
sections=${SPLIT_SECTIONS:-preludes programs models}
export LITHOS_SOCKET=none
mkdir -p "$out"
failed=0

# note NAME STATUS TEXT...
note() {
	printf '%-28s %-6s %s\n' "$1" "$2" "${*:3}"
	[ "$2" = ok ] || failed=1
}

preludes() {
	local status=ok
	timeout -k 5 60 "$programs/preludes" --peer-dies --drains --cost > "$out/preludes.txt" 2>&1 || status=FAILED
	note preludes "$status" "$(tail -n 1 "$out/preludes.txt" | cut -c1-120)"
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
	stats=$out/$name.${way/:/-}.json
	LITHOS_SPLIT=$way timeout -k 5 30 "$lithos" run --quota 66 --stats=json --stats-file="$stats" -- \
		"$programs/$name" "$@" > "$out/$name.txt" 2>&1 || status=FAILED
	note "$name $way" "$status" "$(counters "$stats" atoms_launched works_claimed works_cut works_helped split_refused)"
	[ "$status" = ok ] || tail -n 5 "$out/$name.txt"
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
}

# model WAY: one process for all models.
model() {
	local way=$1 label=${1/:/-}
	local run=("$python" "$here/models.py" --label "$label" --out "$out/models.$label.json"
		--ptx "$programs/kernels.ptx" --limit 70 --seconds 0.3 --models "${SPLIT_MODELS:-resnet50-b8-eager,llama8-training-2x2048}")
	if [ "$way" != native ]; then
		run=(env "LITHOS_SPLIT=$way" "$lithos" run --quota 66 --stats=json
			--stats-file "$out/models.$label.stats.json" -- "${run[@]}")
	fi
	timeout -k 5 80 "${run[@]}" < /dev/null >> "$out/models.log" 2>&1 || note "models $way" FAILED "see models.log"
}

models() {
	local way
	for way in native atoms:8 preempt:1000; do
		model "$way"
	done
	"$python" - "$out" << 'END'
import json, sys
out = sys.argv[1]
def rows(label):
    try:
        return json.load(open(f"{out}/models.{label}.json")).get("models", {})
    except (OSError, ValueError):
        return {}
native = rows("native")
for label in ("atoms-8", "preempt-1000"):
    for name, row in rows(label).items():
        same = row.get("sha256") == native.get(name, {}).get("sha256")
        print(f"{name:28} {label:14} {'same bits' if same else 'DIFFERS'} {row.get('ms', 0):.2f} ms, native {native.get(name, {}).get('ms', 0):.2f}")
    try:
        stats = json.load(open(f"{out}/models.{label}.stats.json"))
    except (OSError, ValueError):
        continue
    ways = {}
    for kernel in stats["kernels"]:
        key = f"{kernel['way']}: {kernel['reason']}"
        ways[key] = ways.get(key, 0) + 1
    print(label, {k: v for k, v in stats["counters"].items() if v and k.startswith(("works", "atoms", "split", "code"))})
    for key, nr in sorted(ways.items(), key=lambda item: -item[1]):
        print(f"  {nr} kernels {key}")
END
}

for section in $sections; do
	"$section"
done
exit "$failed"
