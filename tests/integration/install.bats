#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# An installation into a prefix that is chosen when it is made works, the simulator included.

bats_require_minimum_version 1.5.0
load common

setup() {
	common_setup
	require_command cmake
	export XDG_RUNTIME_DIR="$BATS_TEST_TMPDIR/r"
	mkdir -m 700 "$XDG_RUNTIME_DIR"
	unset LITHOS_SOCKET LITHOS_SIM LITHOS_SIM_LIBCUDA LITHOS_REAL_LIBCUDA
	cmake --install "$BUILD_DIR" --prefix "$PWD/p" > installed
}

@test "what is installed finds its parts, its configuration and its manual pages" {
	run p/bin/lithos run --sim --quota 33 --stats -- "$PROGRAMS/once"
	assert_status 0
	assert_line 'quota 33 of 66 TPCs'
	[ "$(readlink "/proc/$(p/bin/lithos status --sim --format=json |
		sed -n 's/.*"pid": \([0-9]*\).*/\1/p' | head -n 1)/exe")" = "$PWD/p/sbin/lithosd" ]
	[ -x p/bin/lithos-simgpu ]
	# The configuration of the prefix is read.
	p/sbin/lithosd --check-config
	echo 'nonsense: 1' >> p/etc/lithos/lithosd.yaml
	run p/sbin/lithosd --check-config
	assert_status 2
	assert_line "$PWD/p/etc/lithos/lithosd.yaml:[0-9]+:1: Unexpected key: nonsense"
	grep -q "ExecStart=$PWD/p/sbin/lithosd" p/lib/systemd/system/lithosd.service
	[ -s p/share/man/man1/lithos-run.1 ] || grep -q 'no manual pages' installed
}

@test "below /usr the configuration goes to /etc" {
	DESTDIR="$PWD/root" cmake --install "$BUILD_DIR" --prefix /usr > /dev/null
	[ -s root/etc/lithos/lithosd.yaml ]
	[ -x root/usr/sbin/lithosd ]
	grep -q 'ExecStart=/usr/sbin/lithosd' root/usr/lib/systemd/system/lithosd.service
}
