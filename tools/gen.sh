#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Regenerates every committed file that is derived from another one: in place, or, with a folder as
# argument, into that folder under the same paths (tools/check-gen.sh compares).
set -euo pipefail
cd "$(dirname "$0")/.."

# generator:folder of its output; a generator takes the output folder as its only argument.
generators=(
	api/gen.py:api
)

for row in "${generators[@]}"; do
	folder="${1:+$1/}${row#*:}"
	mkdir -p "$folder"
	python3 "${row%%:*}" "$folder"
done
