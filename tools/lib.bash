# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts here share; sourced, with the repository's root as the working directory.

# shellcheck disable=SC2034 # for those who source this
jobs_wanted="${JOBS:-$(nproc)}"
# The longest tests mostly wait.
# shellcheck disable=SC2034
tests_at_once=$((jobs_wanted + 1))
results_dir=build/results

say() {
	printf '\n=== %s\n' "$*"
}

# Files of the project whose path matches one of the shell patterns, one a line. In a checkout: what
# git tracks or would add; in an unpacked archive: everything but build folders.
source_files() {
	local all file pattern
	if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
		all=$(git ls-files --cached --others --exclude-standard)
	else
		all=$(find . -path ./build -prune -o -path './build-*' -prune \
			-o -path ./.git -prune \
			-o -type f -printf '%P\n')
	fi
	while IFS= read -r file; do
		[ -f "$file" ] || continue
		for pattern in "$@"; do
			# The pattern is one on purpose.
			# shellcheck disable=SC2053
			if [[ $file == $pattern ]]; then
				printf '%s\n' "$file"
				break
			fi
		done
	done <<< "$all" | sort
}

# check NAME COMMAND...: runs it, says how it ended, and notes that for the total (tools/total.py).
# Returns the command's status.
check() {
	local name=$1 status=0 began=$SECONDS
	shift
	say "$name"
	"$@" || status=$?
	mkdir -p "$results_dir"
	if [ "$status" -eq 0 ]; then
		printf '%s: ok, %d s\n' "$name" "$((SECONDS - began))"
		printf 'ok %s\n' "$name" >> "$results_dir/checks.txt"
	else
		printf '%s: FAILED (%d)\n' "$name" "$status"
		printf 'failed %s\n' "$name" >> "$results_dir/checks.txt"
	fi
	return "$status"
}

# build PRESET: configures and builds it, quietly.
build() {
	mkdir -p "$results_dir"
	cmake --preset "$1" > "$results_dir/$1.configure.log" 2>&1 || {
		cat "$results_dir/$1.configure.log"
		return 1
	}
	cmake --build --preset "$1" --parallel "$jobs_wanted" -- --quiet
}

# suite NAME CTEST-ARGUMENTS...: builds the preset and runs its tests, under what `wrapper` holds.
wrapper=()
suite() {
	local name=$1
	shift
	check "build $name" build "$name" || return 1
	say "tests $name"
	"${wrapper[@]}" ctest --test-dir "build/$name" --parallel "$tests_at_once" \
		--output-on-failure --no-tests=error --output-junit "$PWD/$results_dir/$name.xml" \
		"$@"
	[ -s "$results_dir/$name.xml" ] ||
		printf 'failed tests %s\n' "$name" >> "$results_dir/checks.txt"
}
