#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# lint.sh [STEP...]: the checks that need no run; ends with 1 when one found something.
#   quick   format, style, columns, spelling, shell, python: what `make test` looks at
#   full    cppcheck, tidy
# Both by default. One more, analyzer (gcc's), is run only when named: in C it finds real leaks,
# among as many that are none.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2
# shellcheck source=tools/lib.bash
. tools/lib.bash

# The steps are called by name.
# shellcheck disable=SC2317
step_format() {
	# One finding a file is enough: `clang-format -i` mends them all.
	source_files '*.c' '*.h' |
		xargs -r -n 1 -P "$jobs_wanted" clang-format --dry-run -Werror --ferror-limit=1
}

# shellcheck disable=SC2317
step_style() {
	tools/check-style.sh
}

# Not: data, inputs of fuzzing, and one table of operations.
# shellcheck disable=SC2317
step_columns() {
	source_files '*.md' '*.sh' '*.bash' '*.bats' '*.py' '*.c' '*.h' '*.S' '*.def' '*.scd' \
		'*.cmake' '*CMakeLists.txt' '*.yaml' Makefile .ci/run |
		grep -vE '^(tests/data|tests/fuzz/seeds)/|^tests/device/operations.py$' |
		xargs -r python3 tools/columns.py
}

# shellcheck disable=SC2317
step_spelling() {
	source_files '*' | xargs -r codespell
}

# shellcheck disable=SC2317
step_shell() {
	source_files '*.sh' '*.bash' '*.bats' '.ci/run' | xargs -r shellcheck -x
}

# Compiles in memory: no cache folders are left behind.
# shellcheck disable=SC2317
step_python() {
	source_files '*.py' | xargs -r python3 -c '
import sys
for path in sys.argv[1:]:
    compile(open(path, encoding="utf-8").read(), path, "exec")
'
}

# shellcheck disable=SC2317
step_cppcheck() {
	# unusedStructMember: structs that mirror somebody else's memory. internalAstError: compound
	# literals in ?: are beyond its parser. constParameter: the driver's own signatures stand.
	# knownConditionTrueFalse: it takes `n < MAX ? n : MAX` for 0.
	mkdir -p build/cppcheck
	cppcheck --std=c11 --enable=warning,style,performance,portability --inline-suppr \
		--suppress='duplicateExpression:*.def' --suppress=unusedStructMember \
		--suppress=internalAstError --suppress=knownConditionTrueFalse \
		--suppress='constParameter:src/sim/*' \
		--suppress='constParameter:src/shim/hook_*' --quiet --error-exitcode=1 -j \
		"$jobs_wanted" \
		--cppcheck-build-dir=build/cppcheck -D__x86_64__ -D_GNU_SOURCE \
		-D__CUDA_API_VERSION_INTERNAL \
		-D'LITHOS_VERSION="0"' -I include -I src src tests
}

# A configuration of its own, by clang: gcc's compile commands hold flags that clang does not know.
# Nothing is built there. One file a process: clang-tidy 14 takes wrong findings about va_list from
# one file into the next.
# shellcheck disable=SC2317
step_tidy() {
	CC=clang cmake -G Ninja -S . -B build/tidy -DCMAKE_BUILD_TYPE=Debug -DLITHOS_WERROR=OFF \
		> build/tidy.log || {
		cat build/tidy.log
		return 1
	}
	python3 -c '
import json, os, sys
root = os.getcwd()
for row in json.load(open("build/tidy/compile_commands.json")):
    path = os.path.relpath(row["file"], root)
    if path.endswith(".c") and path.startswith(("src/", "tests/")):
        print(path)
' | sort -u | xargs -r -n 1 -P "$jobs_wanted" clang-tidy --quiet -p build/tidy \
		2> >(grep -vE '^[0-9]+ (warnings?|errors?)|^(Suppressed|Use -header)' >&2)
}

# shellcheck disable=SC2317
step_analyzer() {
	local cuda=${CUDA_HOME:-/usr/local/cuda}/include
	source_files 'src/*.c' | xargs -r -n 1 -P "$jobs_wanted" gcc -std=gnu17 -O1 -D_GNU_SOURCE \
		-D__CUDA_API_VERSION_INTERNAL -D'LITHOS_VERSION="0"' \
		-I include -I src -isystem "$cuda" -fanalyzer -Werror \
		-S -o /dev/null
}

steps=("$@")
[ "${#steps[@]}" -eq 0 ] && steps=(quick full)
all=()
for step in "${steps[@]}"; do
	case $step in
	quick) all+=(format style columns spelling shell python) ;;
	full) all+=(cppcheck tidy) ;;
	*) all+=("$step") ;;
	esac
done

mkdir -p build
status=0
for step in "${all[@]}"; do
	if ! declare -F "step_$step" > /dev/null; then
		echo "lint: no such step: $step" >&2
		exit 2
	fi
	check "lint $step" "step_$step" || status=1
done
exit "$status"
