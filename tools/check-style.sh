#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules of this project that no common tool knows. Each finding is one line `file:line: what`;
# ends with 1 when there is one. Works on text, so it can be fooled; it is meant for slips, not for
# malice.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

max_lines=800
max_files=12
theory_min=3
theory_max=50

findings=$(mktemp)
trap 'rm -f "$findings"' EXIT

finding() {
	printf '%s\n' "$*" >> "$findings"
}

# The file without comments, its line numbers kept; text in quotes becomes empty quotes.
code_of() {
	awk '
	{
		out = ""
		for (i = 1; i <= length($0); i++) {
			two = substr($0, i, 2)
			c = substr($0, i, 1)
			if (inside) {
				if (two == "*/") {
					inside = 0
					i++
				}
			} else if (quote) {
				if (c == "\\")
					i++
				else if (c == quote) {
					quote = ""
					out = out c
				}
			} else if (two == "/*") {
				inside = 1
				i++
			} else if (two == "//") {
				break
			} else {
				if (c == "\"" || c == "\047")
					quote = c
				out = out c
			}
		}
		quote = ""
		print out
	}' "$1"
}

# calls FILE NAMES WHAT: a finding for each call of one of NAMES (joined by |).
calls() {
	local line
	while IFS= read -r line; do
		finding "$1:${line%%:*}: $3"
	done < <(code_of "$1" | grep -nE "(^|[^A-Za-z0-9_])($2)[[:space:]]*\(")
}

environment_is_read_once() {
	local file
	while IFS= read -r file; do
		[ "$file" = src/base/options.c ] ||
			calls "$file" 'getenv|secure_getenv' \
			"the environment is read in src/base/options.c only"
	done < <(source_files 'src/*.c' 'src/*.h')
}

hooks_stay_harmless() {
	local file names
	names='_?exit|_Exit|quick_exit|abort|u?sleep|nanosleep|clock_nanosleep|[mc]alloc|realloc|free'
	names+='|strdup|v?[fds]?n?printf|puts'
	while IFS= read -r file; do
		calls "$file" "$names" "a hook may not end, block, allocate or print"
	done < <(source_files 'src/shim/hook_*' 'src/shim/*/hook_*')
}

macros_do_not_jump() {
	local file
	while IFS= read -r file; do
		code_of "$file" | awk -v file="$file" '
		/^[ \t]*#[ \t]*define/ { inside = 1 }
		inside && /(^|[^A-Za-z0-9_])(return|goto)([^A-Za-z0-9_]|$)/ {
			printf "%s:%d: return or goto in a macro\n", file, NR
		}
		!/\\$/ { inside = 0 }' >> "$findings"
	done < <(source_files '*.c' '*.h' '*.def')
}

files_are_short() {
	local file lines
	while IFS= read -r file; do
		lines=$(wc -l < "$file")
		[ "$lines" -le "$max_lines" ] ||
			finding "$file:$lines: longer than $max_lines lines"
	done < <(source_files '*.c' '*.h' '*.S' '*.py' '*.sh' '*.bash' '*.bats' '*.cmake' '*CMakeLists.txt')
}

folders_are_small() {
	source_files 'src/*.c' 'src/*.S' | sed 's,/[^/]*$,,' | sort | uniq -c |
		while read -r nr folder; do
			[ "$nr" -le "$max_files" ] ||
				finding "$folder:1: $nr source files, more than $max_files"
		done
}

# Which folders of src/ each folder of src/ may include from. Nothing else points anywhere.
may_include() {
	case "$1" in
	base) echo "base" ;;
	hw) echo "hw base" ;;
	sched) echo "sched hw base" ;;
	# Kernels of its own, for the simulated GPU.
	bench) echo "bench sim sched hw base" ;;
	shim | cli | sim | daemon) echo "$1 sched hw base" ;;
	*) echo "$1" ;;
	esac
}

arrows_point_down() {
	local row file line target from
	while IFS= read -r row; do
		file=${row%%:*}
		line=${row#*:}
		line=${line%%:*}
		target=${row#*\"}
		target=${target%%\"*}
		from=${file#src/}
		from=${from%%/*}
		# A name without a folder is the file's own neighbour.
		[[ $target == */* ]] || continue
		if [[ $target == ../* ]]; then
			[[ $target == *api/*.def ]] ||
				finding "$file:$line: include \"$target\": name it from src/"
			continue
		fi
		[[ " $(may_include "$from") " == *" ${target%%/*} "* ]] ||
			finding "$file:$line: $from may not include $target"
	done < <(source_files 'src/*.c' 'src/*.h' 'src/*.S' |
		xargs -r grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"')
	# base knows no CUDA, and public headers know nothing of src/.
	source_files 'src/base/*.[ch]' | xargs -r grep -nHE \
		'#[[:space:]]*include[[:space:]]*<cuda' |
		sed 's/:#.*/: base knows no CUDA/' >> "$findings"
	source_files 'include/*.h' | xargs -r grep -nHE '#[[:space:]]*include[[:space:]]*"' |
		sed 's/:#.*/: a public header includes public headers only/' >> "$findings"
}

# A test may say in one line what it is about; other code explains itself.
files_say_what_they_are() {
	local file min
	while IFS= read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' ||
			finding "$file:1: no SPDX line"
	done < <(source_files '*.c' '*.h' '*.S' '*.def' '*.py' '*.sh' '*.bash' '*.bats' '*.cmake' \
		'*CMakeLists.txt' Makefile .ci/run)
	while IFS= read -r file; do
		min=$theory_min
		[[ $file == tests/* ]] && min=1
		awk -v file="$file" -v min="$min" -v max="$theory_max" '
		NR == 1 && $0 != "/* SPDX-License-Identifier: Apache-2.0 */" {
			printf "%s:1: the first line is not the SPDX line\n", file
			exit
		}
		NR == 2 && !/^\/\*/ {
			printf "%s:2: no comment that says what the file is about\n", file
			exit
		}
		NR >= 2 && /\*\/$/ {
			if (NR - 1 < min || NR - 1 > max)
				printf "%s:2: its comment has %d lines, not %d to %d\n",
					file, NR - 1, min, max
			exit
		}' "$file" >> "$findings"
	done < <(source_files 'src/*.c' 'tests/*.c')
}

# A path of somebody's machine is no use to anybody else. [k]: this line is not one.
no_private_paths() {
	source_files '*' | xargs -r grep -nHIE '(^|[^A-Za-z0-9_.-])/wor[k]/' |
		sed 's/^\([^:]*:[^:]*\):.*/\1: a path of one machine/' >> "$findings"
}

environment_is_read_once
hooks_stay_harmless
macros_do_not_jump
files_are_short
folders_are_small
arrows_point_down
files_say_what_they_are
no_private_paths

if [ -s "$findings" ]; then
	sort -t : -k 1,1 -k 2,2n "$findings"
	exit 1
fi
