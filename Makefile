# SPDX-License-Identifier: Apache-2.0
# A thin front for people: every line is a script or a cmake preset that can be run by hand.
PRESET ?= release
JOBS ?= $(shell nproc)
DEMO_TARGETS = lithos lithosd lithos_shim lithos_sim program_where feed

.PHONY: build demo test test-rest test-all lint format fuzz torture bench coverage gen install clean

build:
	tools/setup.sh build
	cmake --preset $(PRESET)
	cmake --build --preset $(PRESET) --parallel $(JOBS)

demo:
	@tools/setup.sh build
	@cmake --preset release > /dev/null
	@cmake --build --preset release --parallel $(JOBS) --target $(DEMO_TARGETS) -- --quiet
	@tools/demo.sh

test:
	@tools/setup.sh test
	@JOBS=$(JOBS) tools/test.sh quick

# What `make test` leaves out, and all together.
test-rest:
	@tools/setup.sh test
	@JOBS=$(JOBS) tools/test.sh rest

test-all:
	@tools/setup.sh test
	@JOBS=$(JOBS) tools/test.sh all

lint:
	@tools/setup.sh test
	@JOBS=$(JOBS) tools/lint.sh

format:
	@tools/format.sh

# A minute a target, or SECONDS of it.
fuzz:
	@tools/setup.sh test
	@JOBS=$(JOBS) tests/fuzz/run.sh $(or $(SECONDS),60)

torture: build
	@tools/setup.sh test
	tests/torture/run.sh build/$(PRESET) build/torture.txt

bench: build
	tools/bench.sh

coverage:
	@tools/setup.sh test
	@JOBS=$(JOBS) tools/coverage.sh

gen:
	tools/gen.sh

# make install PREFIX=/opt/lithos
install: build
	cmake --install build/$(PRESET) $(if $(PREFIX),--prefix $(PREFIX))

clean:
	rm -rf build
