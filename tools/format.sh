#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Formats every C file as clang-format decides.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/lib.bash
. tools/lib.bash

source_files '*.c' '*.h' | xargs -r -n 8 -P "$jobs_wanted" clang-format -i
