#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""mixes.py --build DIR [--seed S] [--count N] [--verbose]: random mixes, what must hold.

Seeds S, S+1, ... are run one after the other, on one daemon and one simulated GPU for each chip. A
mix in which a property does not hold is printed, with the command that runs it again.

A violation in a mix in which the machine was late is looked at again, up to twice; how many were is
printed, and more than one in ten fail the test. Where the simulated GPU had no processor for a good
part of the mix, rates are not judged (properties 4 and 5); that, too, is counted, and four in
five fail the test.

  --mutant NAME|all   with the shim that has this fault (mutants.c): passes when one of the mixes
                      violates the property that the fault is against
  --properties 1,4    judge only these

Exit: 0, 1, 77 when a part is not built.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from draw import draw  # noqa: E402
from world import Failure, World  # noqa: E402
import properties  # noqa: E402

# Faults, and which property each is against.
MUTANTS = {
    "graph_masks": 1,
    "half": 2,
    "late": 3,
    "unowned": 4,
    "starved": 5,
    "unconfined": 6,
    "lost": 7,
    "arguments": 7,
}
RETRIES = 2
LATE = 0.05  # share of a mix
MOST_RETRIED = 0.10
MOST_UNJUDGED = 0.8
MIXES_A_WORLD = 25


class Bench:
    """Worlds by chip, made anew now and then, and the verdicts."""

    def __init__(self, args, mutant=None):
        self.args = args
        self.mutant = mutant
        self.build = os.path.abspath(args.build)
        self.folder = None
        self.worlds = {}
        self.nr_worlds = 0
        self.nr_retried = 0
        self.nr_unjudged = 0

    def world(self, chip):
        world = self.worlds.get(chip)
        if world and world.nr_mixes >= MIXES_A_WORLD:
            self.drop(chip)
            world = None
        if not world:
            self.folder = self.folder or tempfile.mkdtemp(prefix="lithos-mixes-")
            folder = os.path.join(self.folder, str(self.nr_worlds))
            self.nr_worlds += 1
            os.makedirs(folder)
            world = self.worlds[chip] = World(self.build, folder, chip, self.mutant)
            world.start_daemon()
        return world

    def is_built(self):
        parts = (
            "bin/lithos",
            "bin/lithosd",
            "bin/lithos-simgpu",
            "tests/properties/properties_tenant",
        )
        return all(os.path.exists(os.path.join(self.build, part)) for part in parts)

    def drop(self, chip):
        world = self.worlds.pop(chip)
        world.stop()
        shutil.rmtree(world.folder, ignore_errors=True)

    def once(self, mix):
        """(violations, what was seen). What breaks down altogether violates the last property."""
        try:
            seen = self.world(mix.chip).run(mix)
        except Failure as failure:
            if mix.chip in self.worlds:
                self.worlds[mix.chip].show_logs()
                self.drop(mix.chip)
            return [(7, "results do not change", str(failure))], None
        return properties.violations(seen, self.args.properties), seen

    def judge(self, mix):
        for attempt in range(RETRIES + 1):
            found, seen = self.once(mix)
            if self.args.verbose:
                self.show(mix, seen)
            late = properties.machine_was_late(seen) if seen else 0
            if not found or late < LATE or attempt == RETRIES:
                self.nr_retried += attempt > 0
                self.nr_unjudged += bool(seen) and properties.was_too_late(seen)
                return found, seen
            print(
                "seed %d: the machine was late for %.0f %%, once more: %s"
                % (mix.seed, 100 * late, "; ".join("%d: %s" % (n, line) for n, _, line in found)),
                flush=True,
            )
        return found, seen

    def show(self, mix, seen):
        print(mix.text())
        for line in properties.facts(seen) if seen else []:
            print("   ", line, flush=True)

    def complain(self, mix, found, seen):
        if not self.args.verbose:
            self.show(mix, seen)
        for number, title, line in found:
            print("  property %d (%s): %s" % (number, title, line))
        print(
            "  again: %s --build %s --seed %d --verbose"
            % (os.path.relpath(sys.argv[0]), self.args.build, mix.seed),
            flush=True,
        )

    def close(self):
        for chip in list(self.worlds):
            self.drop(chip)
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


def run(args):
    bench = Bench(args)
    try:
        return judge_all(bench, args)
    finally:
        bench.close()


def judge_all(bench, args):
    failed = 0
    began = time.monotonic()
    for seed in range(args.seed, args.seed + args.count):
        mix = draw(seed)
        found, seen = bench.judge(mix)
        if found:
            failed += 1
            bench.complain(mix, found, seen)
    retried, unjudged = bench.nr_retried, bench.nr_unjudged
    print(
        "mixes=%d failed=%d retried=%d rates_unjudged=%d seconds=%.0f"
        % (args.count, failed, retried, unjudged, time.monotonic() - began)
    )
    if retried > max(2, MOST_RETRIED * args.count) or unjudged > max(2, MOST_UNJUDGED * args.count):
        print("the machine was late too often for a verdict", file=sys.stderr)
        return 1
    return 1 if failed else 0


def hunt(args, name):
    """Until the fault is found."""
    number = MUTANTS[name]
    bench = Bench(args, name)
    try:
        for seed in range(args.seed, args.seed + args.count):
            found, _ = bench.once(draw(seed))
            lines = [line for n, _, line in found if n == number]
            if lines:
                print(
                    "mutant=%s seed=%d property %d: %s"
                    % (name, seed, number, lines[0].splitlines()[0]),
                    flush=True,
                )
                return 0
        print("mutant=%s: not found by %d mixes" % (name, args.count), file=sys.stderr)
        return 1
    finally:
        bench.close()


def numbers(text):
    return [int(word) for word in text.split(",")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--properties", type=numbers, default=None)
    parser.add_argument("--mutant", choices=["all", *MUTANTS], default=None)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    try:
        os.nice(-10)  # other tests' work is not what is tested
    except OSError:
        pass
    if not Bench(args).is_built():
        print("a part is not built", file=sys.stderr)
        return 77
    if not args.mutant:
        return run(args)
    names = list(MUTANTS) if args.mutant == "all" else [args.mutant]
    return max([hunt(args, name) for name in names])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
