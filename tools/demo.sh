#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows lithos at work in half a minute. The machine is checked; one unmodified CUDA program runs
# natively and then confined to 33 TPCs, and the SMs it reached are compared; then two programs
# share the GPU, one with TPCs of its own and one with what the first does not need. Uses the GPU
# where there is one (and PyTorch, if it can), and the simulated GPU elsewhere. What it has started
# has ended when it ends.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${LITHOS_BUILD:-$PWD/build/release}
lithos=$build/bin/lithos
where=$build/tests/programs/where
feed=$build/tests/device/feed
quota=33
started=()

say() {
	printf '\n\033[1m%s\033[0m\n' "$*"
}
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

# Prints the command, so that it can be copied and run in this folder, then runs it.
show() {
	local words="$*"
	printf '$ %s\n' "${words//$PWD\//}"
	"$@"
}

# field KEY TEXT: the value of KEY=VALUE.
field() {
	grep -oE "(^|[[:space:]])$1=[^[:space:]]*" <<< "$2" | head -n 1 | sed 's/^[^=]*=//'
}

give_up() {
	echo "demo: $*" >&2
	exit 1
}

must_have_run() {
	[ "$1" -eq 0 ] || give_up "the program above failed with status $1"
}

# The private lithosd's pid, or nothing. The machine's own is not ours to end.
daemon_pid() {
	"$lithos" status --format=json 2> /dev/null | tr -d '\n' |
		sed -nE 's/.*"daemon": *\{[^}]*"pid": *([0-9]+)[^}]*"private": *true.*/\1/p'
}

# Ends what the demo has started, whichever way it ends, and waits for it.
clean_up() {
	local pid i
	touch "$scratch/stop"
	for pid in ${started[@]+"${started[@]}"}; do
		kill "$pid" 2> /dev/null || true
		wait "$pid" 2> /dev/null || true
	done
	pid=$(daemon_pid || true)
	if [ -n "$pid" ] && [ "$pid" != "$pid_before" ]; then
		kill "$pid" 2> /dev/null || true
		for ((i = 0; i < 300; i++)); do
			grep -q '^State:[[:space:]][^Z]' "/proc/$pid/status" 2> /dev/null || break
			sleep 0.05
		done
	fi
	# The simulated GPU goes two seconds after the last program.
	for ((i = 0; i < 100; i++)); do
		grep -qa -- "$scratch" /proc/[0-9]*/cmdline 2> /dev/null || break
		sleep 0.05
	done
	rm -rf "$scratch"
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
scratch=$(mktemp -d)
pid_before=
trap clean_up EXIT
# A simulated GPU is the demo's own. A real one has one daemon, which may be there already.
[ "${#sim[@]}" -eq 0 ] || export XDG_RUNTIME_DIR=$scratch
export LITHOS_CACHE_DIR=$scratch/cache
mkdir -m 700 "$LITHOS_CACHE_DIR"
pid_before=$(daemon_pid || true)

say "1. Is this machine fit for lithos? ($gpu)"
doctor=0
show "$lithos" doctor "${sim[@]}" || doctor=$?
[ "$doctor" -le 1 ] || give_up \
	"lithos doctor found a critical fault; its lines above say what to do"

say "2. A CUDA program, natively: it counts the SMs that its launches reach"
status=0
native_line=$(show "${native[@]}") || status=$?
printf '%s\n' "$native_line"
must_have_run "$status"

say "3. The same program, confined to $quota TPCs (2 SMs each) without a daemon, with statistics"
confined=$(show env LITHOS_SOCKET=none "$lithos" run "${sim[@]}" --quota "$quota" --stats -- \
	"$where" 2> "$scratch/stats") || status=$?
printf '%s\n' "$confined"
cat "$scratch/stats"
must_have_run "$status"

# tenant NAME OPTION...: a program that keeps the GPU busy unless pause.NAME is there, in the
# background.
tenant() {
	local name=$1 i
	shift
	"$lithos" run "${sim[@]}" --tenant "$name" "$@" -- \
		"$feed" --dir "$scratch" --name "$name" --ns 1000000 --blocks 1024 2> \
		"$scratch/$name.err" &
	started+=($!)
	for ((i = 0; i < 1200; i++)); do
		[ ! -e "$scratch/ready.$name" ] || return 0
		kill -0 "${started[-1]}" 2> /dev/null || break
		sleep 0.05
	done
	cat "$scratch/$name.err" >&2
	give_up "'$name' is not ready"
}

# Shows the status as soon as `web` lends so many of its TPCs (lent), or none (kept), and batch
# works.
show_when() {
	local i row lent
	for ((i = 0; i < 400; i++)); do
		"$lithos" status > "$scratch/status" || true
		row=$(grep '^web ' "$scratch/status" || true)
		lent=$(awk '{ print $6 }' <<< "$row")
		borrowed=$(awk '$1 == "batch" { print $7 }' "$scratch/status")
		[ "${borrowed:-0}" -eq 0 ] || case $1 in
		lent) [ "${lent:-0}" -ne "$quota" ] || break ;;
		kept) [ "${lent:-1}" -ne 0 ] || break ;;
		esac
		sleep 0.05
	done
	[ "$i" -lt 400 ] || give_up "what was to be seen never was:" "$(cat "$scratch/status")"
	printf 'lithos status says:\n'
	cut -c1-110 "$scratch/status"
}

say "4. Two programs: 'web' owns $quota TPCs, 'batch' has what nobody needs (best effort)"
echo "   (README.md, 'Run it', has such a pair to copy)"
touch "$scratch/pause.web"
tenant web --quota "$quota" --stats
tenant batch
# When to begin, and until when: both have long begun, by the clock since the machine's start.
begin=$(awk '{ printf "%d", $1 * 1000000000 }' /proc/uptime)
echo "$begin $begin $begin" > "$scratch/go.new"
mv "$scratch/go.new" "$scratch/go"
say "   'web' rests: 'batch' has its TPCs, too"
show_when lent
borrowed_at_rest=$borrowed
say "   'web' works: it has its TPCs back"
rm "$scratch/pause.web"
show_when kept
borrowed_at_work=$borrowed
touch "$scratch/stop"
for pid in "${started[@]}"; do
	wait "$pid" || status=$?
done
started=()
say "   Both have ended; the statistics of 'web':"
grep -v 'started a private one' "$scratch/web.err" || true
must_have_run "$status"
done_web=$(wc -l < "$scratch/result.web")
done_batch=$(wc -l < "$scratch/result.batch")

if [ "${#sim[@]}" -eq 0 ] && python3 -c 'import sys, torch
sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
	say "5. PyTorch, natively and on half of the GPU"
	show python3 tools/demo_torch.py
	show "$lithos" run --quota 50% -- python3 tools/demo_torch.py
fi

# What the program was told and what it reached by each way to launch: `SMs count`, one line a
# number.
ways=$(grep -oE '[a-z_]+=[0-9]+' <<< "$(grep '^program=where' <<< "$confined")" |
	sed 's/.*=//' | sort | uniq -c | awk '{ print $2, $1 }')
confined_sms=$(field launch "$confined")
say "Summary ($gpu)"
echo "natively:          told of $(field reported_sms "$native_line") SMs, used $(field launch "$native_line")"
echo "lithos --quota $quota: told of $(field reported_sms "$confined") SMs, used $confined_sms"
echo "together:          'web' $done_web kernels, 'batch' $done_batch; 'batch' borrowed $borrowed_at_rest TPCs" \
	"while 'web' rested, $borrowed_at_work while it worked"
if [ "$confined_sms" != $((2 * quota)) ] || [ "$(wc -l <<< "$ways")" -ne 1 ]; then
	echo "result:            NOT confined as asked"
	exit 1
fi
if [ "$borrowed_at_work" -ge "$borrowed_at_rest" ] || [ "$done_web" -eq 0 ] ||
	[ "$done_batch" -eq 0 ]; then
	echo "result:            NOT shared as asked"
	exit 1
fi
echo "result:            confined, whichever way it launched (graphs, clusters, ...), lent, and taken back"
