#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# check-exports.sh LIBRARY LIST: ends with 1, and the difference, unless the library exports exactly
# the names in the list. Version nodes are no symbols of their own and are left out.
set -euo pipefail

if [ $# -ne 2 ]; then
	echo "usage: check-exports.sh LIBRARY LIST" >&2
	exit 2
fi
export LC_ALL=C
exported=$(nm -D --defined-only "$1" |
	awk '$(NF - 1) != "A" { sub(/@.*/, "", $NF); print $NF }' | sort)
if ! diff -u --label "$2" --label "$1" <(sort "$2") - <<< "$exported"; then
	exit 1
fi
echo "$(wc -l <<< "$exported") exports, as listed"
