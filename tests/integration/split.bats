#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Kernels in atoms, and kernels told to go in the middle: nobody notices but the statistics.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command python3
	# Few blocks make several waves there, so the simulation keeps up on slow machines.
	export LITHOS_SIM_GPU=small
	CUT=("$PROGRAMS/cut" --rounds 3 --blocks 1300 --us 300)
}

# Times differ from run to run; nothing else may.
without_times() {
	sed -E 's/(seconds|event_ms)=[0-9.]+//'
}

same_output() {
	local natural split way
	natural=$(under_shim env LITHOS_SPLIT=whole "$@" 2>&1 | without_times)
	[ -n "$natural" ]
	for way in atoms:2 atoms:8 preempt:1 preempt:300; do
		split=$(under_shim env LITHOS_SPLIT="$way" LITHOS_TPC_QUOTA=8 "$@" 2>&1 |
			without_times)
		assert_equal "$split" "$natural" "$way: $1"
	done
}

# counter NAME [FILE]
counter() {
	python3 -c 'import json, sys
print(json.load(open(sys.argv[1]))["counters"][sys.argv[2]])' \
		"${2:-stats.json}" "$1"
}

# kernel FIELD [NAME]: of lk_count.
kernel() {
	python3 -c 'import json, sys
print(next(k for k in json.load(open("stats.json"))["kernels"]
           if k["name"] == sys.argv[2])[sys.argv[1]])' \
		"$1" "${2:-lk_count}"
}

split_run() {
	local way=$1
	shift
	LITHOS_SPLIT=$way "$LITHOS" run --quota 8 --stats=json --stats-file=stats.json -- "$@"
}

@test "programs print the same in atoms and when told to go" {
	local name
	for name in once order dlopens clusters coop linked deferred attrs; do
		same_output "$PROGRAMS/$name"
	done
	same_output "$PROGRAMS/graphs" --replays 20
	same_output "$PROGRAMS/contexts" --rounds 3
	same_output "$PROGRAMS/threads" --launches 20
	same_output "${CUT[@]}"
}

@test "every launch is made in as many atoms as asked for" {
	LITHOS_SIM_TRACE="$PWD/trace.txt" run split_run atoms:8 "${CUT[@]}"
	assert_status 0
	assert_line '^program=cut .*ok=1'
	# The grid ends with the atom: blocks in front of it pass the gate in vain, those behind it
	# do not come.
	assert_equal "$(grep -c 'kernel=lk_count .*blocks_run=163 .*left=0 ' trace.txt)" 8
	assert_equal "$(grep -c 'kernel=lk_count .*blocks_run=163 .*left=978 ' trace.txt)" 8
	# The first one goes whole: its code is not read yet.
	assert_equal "$(counter atoms_launched)" 64
	assert_equal "$(kernel split)" 8
	assert_equal "$(kernel way)" atoms
	assert_equal "$(kernel atoms)" 8
	assert_equal "$(kernel launches)" 9
	# Three waves of 300 us each, of which an atom is one or a part of one.
	[ "$(kernel total_ns)" -ge 8100000 ]
}

# overlap_trace: of the kernels of `overlap` with 133 blocks, in trace.txt, the number of atoms that
# began before the one in front had ended. Wrong when the first one of a kernel, or its last, or a
# kernel that was launched whole, began before everything in front had ended.
overlap_trace() {
	python3 - <<- 'END'
		import sys
		total, grids = {"lk_count": 133, "lk_saxpy": 5}, []
		for line in open("trace.txt"):
		    f = dict(pair.split("=", 1) for pair in line.split())
		    if f["kernel"] in total:
		        grids.append((int(f["start_ns"]), int(f["end_ns"]), f["kernel"], int(f["blocks_run"])))
		grids.sort()
		before = ended = done = overlapping = 0
		for start, end, kernel, blocks in grids:
		    may_overlap = 0 < done and done + blocks < total[kernel]
		    if start < ended and not may_overlap:
		        sys.exit(f"{kernel} began too early at block {done}: {start} < {ended}")
		    overlapping += may_overlap and start < before
		    before, ended = end, max(ended, end)
		    done = (done + blocks) % total[kernel]
		print(overlapping)
	END
}

@test "atoms begin while the last blocks of those in front run; the last one sees them all" {
	local program=("$PROGRAMS/overlap" --rounds 2 --waves 4 --extra 5 --us 4000) early
	for early in "" --early; do
		rm -f trace.txt
		LITHOS_SIM_TRACE="$PWD/trace.txt" LITHOS_SPLIT=atoms:8 "$LITHOS" run --quota 8 -- \
			"${program[@]}" $early > out.txt
		grep -q '^program=overlap .*ok=1' out.txt
		run overlap_trace
		assert_status 0
		[ "$output" -gt 0 ]
	done
	# Two atoms are a first and a last one.
	rm trace.txt
	LITHOS_SIM_TRACE="$PWD/trace.txt" LITHOS_SPLIT=atoms:2 "$LITHOS" run --quota 8 -- \
		"${program[@]}"
	assert_equal "$(overlap_trace)" 0
}

@test "a driver that refuses the attribute of atoms loses none" {
	LITHOS_SIM_FAULT=no-programmatic LITHOS_SIM_TRACE="$PWD/trace.txt" run split_run atoms:8 \
		"$PROGRAMS/overlap" --rounds 2 --waves 4 --us 1000 --extra 5
	assert_status 0
	assert_line '^program=overlap .*ok=1'
	assert_equal "$(overlap_trace)" 0
	[ "$(counter atoms_launched)" -gt 8 ]
	assert_equal "$(counter split_refused)" 0
}

@test "kernels are cut and resumed, and nobody sees half of one" {
	run split_run preempt:300 "$PROGRAMS/cut" --rounds 2 --blocks 1300 --us 20000
	assert_status 0
	assert_line '^program=cut .*ok=1'
	[ "$(counter works_cut)" -gt 0 ]
	assert_equal "$(counter works_resumed)" "$(counter works_cut)"
	assert_equal "$(kernel cut)" "$(counter works_cut)"
	assert_equal "$(kernel way)" claimed
	assert_equal "$(kernel launches)" 6
}

@test "gangs are launched whole" {
	run split_run preempt:100 "$PROGRAMS/coop"
	assert_status 0
	assert_equal "$(counter works_claimed)" 0
	run split_run atoms:4 "$PROGRAMS/coop"
	assert_equal "$(counter atoms_launched)" 0
}

@test "a way that is none is refused with its name and what there is, and the shim ignores it" {
	local way
	for way in foo atoms:none atoms:0 preempt:1ms 'auto|whole' whole:always; do
		run env LITHOS_SPLIT="$way" "$LITHOS" run --quota 8 -- touch started
		assert_status 125
		assert_line "LITHOS_SPLIT: '$way' is not one of the choices .auto[|]whole"
	done
	[ ! -e started ]
	run env LITHOS_HOLD=sometimes "$LITHOS" run --quota 8 -- touch started
	assert_status 125
	assert_line "LITHOS_HOLD: 'sometimes' is not one of the choices"
	run under_shim env LITHOS_SPLIT=foo LITHOS_TPC_QUOTA=8 "$PROGRAMS/once"
	assert_status 0
	assert_line "option ignored.*LITHOS_SPLIT: 'foo' is not one of the choices"
}

# A gang that no reader of code finds, on half of the TPCs that it needs: told to go, and nothing
# moves.
meet_run() {
	LITHOS_SIM_KERNELS="$PROGRAMS/meet_sim_kernels.so" LITHOS_SPLIT=preempt:300 timeout 120 \
		"$LITHOS" run --quota 4 --stats=json --stats-file=stats.json -- "$PROGRAMS/meet"
}

@test "blocks that wait for others that have no room get them from a helper" {
	run meet_run
	assert_status 0
	assert_line '^program=meet .*ok=1'
	assert_equal "$(counter works_helped)" 1
	assert_equal "$(counter works_claimed)" 1
	# From then on it is known.
	assert_equal "$(kernel way lk_barrier)" whole
	[[ "$(kernel reason lk_barrier)" == gang* ]]
	assert_equal "$(kernel launches lk_barrier)" 3
}

# From here on `lithos run --sim` starts a lithosd of this test's own.
with_daemon() {
	unset LITHOS_SOCKET LITHOS_SIM
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/x"
	[ -d "$XDG_RUNTIME_DIR" ] || mkdir -m 0700 "$XDG_RUNTIME_DIR"
}

# beside QUOTA "OWNER'S OPTIONS" "BORROWER'S OPTIONS" [BORROWER'S WAY [OWNER'S]]: with a daemon,
# long kernels on what an owner lends whose pulses take the GPU back, until both have ended.
beside() {
	local owner
	with_daemon
	# shellcheck disable=SC2086 # options
	LITHOS_SPLIT=${5:-auto} "$LITHOS" run --sim --quota "$1" --tenant web -- \
		"$PROGRAMS/cut" --pulse $2 > pulse.txt 2>&1 3>&- &
	owner=$!
	# shellcheck disable=SC2086 # options
	LITHOS_SPLIT=${4:-auto} timeout 300 "$LITHOS" run --sim --stats=json \
		--stats-file=stats.json -- \
		"$PROGRAMS/cut" $3 > cut.txt 2>&1
	wait "$owner"
	grep -q 'program=pulse .*ok=1' pulse.txt
	grep -q 'program=cut .*ok=1' cut.txt
}

# alone_in_atoms PROGRAM...: a tenant of a daemon whose long kernels go in atoms though there is no
# owner.
alone_in_atoms() {
	with_daemon
	LITHOS_SPLIT=atoms:always "$LITHOS" run --sim --stats=json --stats-file=stats.json -- "$@" \
		> out.txt
	grep -q '^program=.* ok=1' out.txt
	[ "$(counter atoms_launched)" -gt 0 ]
}

# Kernels whose first launches take 6 ms, and all others 60 us.
outgrown() {
	alone_in_atoms "$PROGRAMS/turns" --rounds 40 --slow 10 --blocks 1300 --us 20 --long-us 2000
}

is_whole_again() {
	[ "$(kernel way)" = whole ]
}

@test "a kernel in atoms that became short is launched whole again" {
	skip_when_instrumented "the simulation takes too long for short kernels"
	again_until is_whole_again outgrown
	is_whole_again
}

# The mean of both is long; of 30 rounds the first few are needed to learn.
only_long_ones_were_split() {
	[ "$(kernel split)" -ge 20 ] && [ "$(kernel split)" -le 36 ]
}

@test "of launches that differ in nothing but what was launched before, only the long ones are split" {
	skip_when_instrumented "the simulation takes too long for short kernels"
	again_until only_long_ones_were_split \
		alone_in_atoms "$PROGRAMS/turns" --rounds 30 --blocks 1300 --us 20 --long-us 2000
	only_long_ones_were_split
}

# beside_an_owner [BORROWER'S WAY [OWNER'S]]
beside_an_owner() {
	beside 100% "--rounds 100 --gap-ms 15" "--rounds 15 --blocks 2500 --us 2000" "$@"
}

# again_until CHECK COMMAND...: at most four times, as a slow machine may miss what the check is
# about.
again_until() {
	local check=$1
	shift
	for _ in 1 2 3 4; do
		"$@"
		if "$check"; then break; fi
	done
}

# Works are committed, where the machine looks at them often enough.
has_committed() {
	[ "$(counter works_committed)" -gt 0 ]
}

has_cut() {
	[ "$(counter works_cut)" -gt 0 ]
}

# On a machine that leaves the simulated GPU 100 ms without a processor a kernel is taken for one
# that stands still, and launched whole from then on.
none_was_rescued() {
	[ "$(counter works_helped)" -eq 0 ]
}

was_joined() {
	[ "$(counter works_grown)" -gt 0 ] && none_was_rescued
}

@test "an owner that comes back tells a borrower's kernel to go" {
	skip_under_sanitizer "too slow to overlap"
	again_until has_committed beside_an_owner
	[ "$(counter works_claimed)" -gt 0 ]
	[ "$(counter works_cut)" -gt 0 ]
	[ "$(counter works_resumed)" -gt 0 ]
	# Those that were not told to go made room for what follows them before they had ended.
	[ "$(counter works_committed)" -gt 0 ]
	# Whom would a borrower tell?
	assert_equal "$(counter epochs_raised)" 0
}

@test "an owner that tells nobody has borrowers that launch in atoms" {
	skip_under_sanitizer "too slow to overlap"
	beside_an_owner auto whole
	assert_equal "$(counter works_claimed)" 0
	[ "$(counter atoms_launched)" -gt 0 ]
}

@test "switched off, nothing is split" {
	skip_under_sanitizer "too slow to overlap"
	beside_an_owner whole auto
	assert_equal "$(counter works_claimed)" 0
	assert_equal "$(counter atoms_launched)" 0
}

@test "kernels of one wave leave until they begin, and are not kept back once they have" {
	skip_under_sanitizer "too slow to overlap"
	again_until none_was_rescued \
		beside 100% "--rounds 100 --gap-ms 15" \
		"--rounds 12 --blocks 200 --us 5000 --chain 4"
	assert_equal "$(kernel way)" claimed
	[[ "$(kernel reason)" == "one wave"* ]]
	[ "$(counter works_cut)" -gt 0 ]
	assert_equal "$(counter works_resumed)" "$(counter works_cut)"
	[ "$(counter works_committed)" -gt 0 ]
}

# On half of the GPU, beside an owner of the other that comes and goes every 60 ms.
beside_half() {
	beside 50% "--rounds 40 --gap-ms 60 --pulse-us 60000" "$1"
}

# Kernels of 8 ms blocks meet many of those moments.
beside_until_joined() {
	again_until was_joined beside_half "$1"
	[ "$(counter works_grown)" -gt 0 ]
	assert_equal "$(counter works_helped)" 0
}

@test "a kernel on few TPCs is joined on those that become free" {
	skip_under_sanitizer "too slow to overlap"
	beside_until_joined "--rounds 12 --blocks 1300 --us 8000"
}

@test "a kernel that is joined before it has begun begins behind what is in front of it" {
	skip_under_sanitizer "too slow to overlap"
	beside_until_joined "--rounds 6 --blocks 1300 --us 8000 --chain 3 --nap-ms 30"
}

@test "kernels that are longer than an owner ever leaves them alone are claimed, too" {
	skip_under_sanitizer "too slow to overlap"
	again_until has_cut beside_half "--rounds 6 --blocks 5000 --us 8000"
	[ "$(counter works_claimed)" -gt 0 ]
	[ "$(counter works_cut)" -gt 0 ]
	# What was cut teaches no time: its blocks take 8 ms.
	[ "$(kernel block_us)" -ge 7500 ]
}

@test "an owner that comes back with a kernel of the driver tells a borrower's to go" {
	skip_under_sanitizer "too slow to overlap"
	again_until has_cut \
		beside 100% "--rounds 100 --gap-ms 15 --fill" "--rounds 15 --blocks 2500 --us 2000"
	[ "$(counter works_cut)" -gt 0 ]
}

# beside_host_wait [FAULT]: on all of the GPU, beside an owner that comes and goes; a stream of the
# program waits for the host meanwhile.
beside_host_wait() {
	local owner
	with_daemon
	"$LITHOS" run --sim --quota 100% --tenant web -- \
		"$PROGRAMS/cut" --pulse --rounds 100 --gap-ms 15 > pulse.txt 2>&1 3>&- &
	owner=$!
	LITHOS_SIM_FAULT=${1:-} timeout 120 \
		"$LITHOS" run --sim --stats=json --stats-file=stats.json -- \
		"$PROGRAMS/hostwait" --rounds 15 --blocks 2500 --us 2000 > hostwait.txt 2>&1
	grep -q 'program=hostwait .*ok=1' hostwait.txt
	wait "$owner"
}

has_claimed() {
	[ "$(counter works_claimed)" -gt 0 ]
}

@test "kernels are split while another stream of the program waits for the host" {
	skip_under_sanitizer "too slow to overlap"
	again_until has_claimed beside_host_wait
	has_claimed
}

has_split() {
	[ "$(counter works_claimed)" -gt 0 ] || [ "$(counter atoms_launched)" -gt 0 ]
}

@test "nothing that may wait for the whole context is called for a launch that is split" {
	skip_under_sanitizer "too slow to overlap"
	again_until has_split beside_host_wait calls-wait
	has_split
}
