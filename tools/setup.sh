#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes sure that what a build (`setup.sh build`) or the tests (`setup.sh test`) need is there.
#
# As root on Debian it installs what is missing; as anybody else it prints the one line that does,
# and ends with 1. Where there is no dpkg it says what is needed and leaves the rest to the build.
# The CUDA headers are only looked for: Debian 12 has none that are new enough.
set -euo pipefail

for_build=(gcc libc6-dev make cmake ninja-build libjansson-dev libcyaml-dev libyaml-dev
	libsqlite3-dev libcmocka-dev)
for_test=(python3 bats clang clang-format clang-tidy cppcheck codespell shellcheck valgrind gcovr
	scdoc spin procps libclang-rt-14-dev)
cuda_version_wanted=12040

case "${1:-}" in
build) packages=("${for_build[@]}") ;;
test) packages=("${for_build[@]}" "${for_test[@]}") ;;
*)
	echo "usage: setup.sh build|test" >&2
	exit 2
	;;
esac

missing_packages() {
	local installed
	installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${packages[@]}" \
		2> /dev/null || true)
	local package
	for package in "${packages[@]}"; do
		grep -qx "installed $package" <<< "$installed" || printf '%s\n' "$package"
	done
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	[ "${#missing[@]}" -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		echo "Packages are missing. This installs them:" >&2
		echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
		return 1
	fi
	echo "setup: installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o Acquire::Retries=3 update || return 1
	apt-get -q -o Acquire::Retries=3 install -y --no-install-recommends "${missing[@]}" ||
		return 1
}

# The folders that cmake/LithosCuda.cmake looks into.
check_cuda_headers() {
	local folder version found=""
	for folder in "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda /opt/cuda /usr/local \
		/usr; do
		if [ -z "$folder" ] || [ ! -r "$folder/include/cuda.h" ]; then
			continue
		fi
		version=$(sed -n 's/^#define CUDA_VERSION \([0-9][0-9]*\).*/\1/p' "$folder/include/cuda.h")
		[ "${version:-0}" -ge "$cuda_version_wanted" ] && return 0
		found+=" $folder/include/cuda.h ($version)"
	done
	echo "CUDA headers >= 12.4 are needed and were not found${found:+; too old:$found}." >&2
	echo "Install NVIDIA's CUDA toolkit, or set CUDA_HOME to the folder that holds include/cuda.h." >&2
	return 1
}

if command -v dpkg-query > /dev/null; then
	install_packages || exit 1
else
	echo "setup: not a Debian system; these are needed: ${packages[*]}" >&2
fi
check_cuda_headers || exit 1
