# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the shim's bats files share, on top of common.bash: `load shim`.

# tenant ENV... PROGRAM ARG...: a program of tests/programs under the shim, with this run's own
# trace (trace.txt), run directory (run) and topology cache (cache).
tenant() {
	local settings=()
	while [[ "$1" == *=* ]]; do
		settings+=("$1")
		shift
	done
	local program=$1
	shift
	mkdir -p run cache
	LITHOS_SIM_TRACE="$PWD/trace.txt" LITHOS_RUN_DIR="$PWD/run" LITHOS_CACHE_DIR="$PWD/cache" \
		LD_LIBRARY_PATH="$SHIM_DIR" env "${settings[@]}" \
		timeout 100 "$PROGRAMS/$program" "$@" # a grid that hangs never ends by itself
}

# with_stats LITHOS-ARGS... -- PROGRAM...: `lithos run` with the statistics in stats.json.
with_stats() {
	"$LITHOS" run --sim --stats=json --stats-file=stats.json "$@"
}

# stats EXPRESSION: Python over the statistics `s`, its counters `c` and kernels by name `k` is
# true.
stats() {
	python3 - "$1" <<-'PY'
		import json, sys
		s = json.load(open("stats.json"))
		c = s["counters"]
		k = {row["name"]: row for row in s["kernels"]}
		if not eval(sys.argv[1]):
		    sys.exit("not true: %s\n%s" % (sys.argv[1], json.dumps(s, indent=1)))
	PY
}

# trace EXPRESSION: Python over the grids `g` of trace.txt, those of the probe left out; each has
# kernel, type, blocks, bits (the set of mask bits whose TPCs ran a block) and disabled (the
# descriptor's mask). `chip` are an H100's bits.
trace() {
	python3 - "$1" <<-'PY'
		import re, sys
		chip = set([*range(0, 4), *range(9, 17), *range(18, 26), *range(27, 35),
		            *range(36, 44),
		            *range(45, 53), *range(54, 72), 75, 78, 81, 83])
		class Grid:
		    def __init__(self, line):
		        f = dict(pair.split("=", 1) for pair in line.split())
		        mask = int(f["smset"], 16)
		        self.kernel, self.type, self.hang = f["kernel"], int(f["type"]), int(f["hang"])
		        self.blocks, self.sms = int(f["blocks_run"]), int(f["sms"])
		        self.bits = {bit for bit in range(128) if mask >> bit & 1}
		        mask = int(f["disabled"], 16)
		        self.disabled = {bit for bit in range(128) if mask >> bit & 1}
		g = [Grid(line) for line in open("trace.txt")]
		probes = [grid for grid in g if grid.kernel.startswith("lithos_probe")]
		g = [grid for grid in g if not grid.kernel.startswith("lithos_probe")]
		used = set().union(*(grid.bits for grid in g))
		if not eval(sys.argv[1], globals()):
		    sys.exit("not true: %s\n%d grids, %d TPCs: %s" %
		             (sys.argv[1], len(g), len(used), sorted(used)))
	PY
}

# Lines of the shim's log in $output that say more than "info".
nr_complaints() {
	grep -cE '^lithos: level=(warn|error)' <<< "${output-}" || true
}
