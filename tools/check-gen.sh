#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ends with 1, and the difference, when a committed generated file is not what its generator writes.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
tools/gen.sh "$fresh"

status=0
nr=0
while IFS= read -r file; do
	nr=$((nr + 1))
	diff -u "$file" "$fresh/$file" || status=1
done < <(find "$fresh" -type f -printf '%P\n')
if [ "$nr" -eq 0 ]; then
	echo "the generators wrote nothing" >&2
	status=1
fi
[ "$status" -eq 0 ] && echo "$nr generated files are as committed"
exit "$status"
