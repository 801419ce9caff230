# SPDX-License-Identifier: Apache-2.0
"""Scenarios of `lithos bench` side by side, one command each and repetition, within a time limit.

    mixes.py --out FOLDER [--limit 540] [--seeds 1,2,3] [MIX...]

A MIX is SCENARIO, SCENARIO:MODEL or SCENARIO:MODEL:SYSTEM,... (an empty MODEL is the scenario's
first). Every mix is measured once with the first seed, then once with the next, so that a limit
that is too short costs repetitions and not mixes. No command starts when less time is left than the
longest one took, and one that is still at work at the limit is told to stop: what it has measured
is in its file.

Each command leaves SCENARIO.MODEL.SEED.json. A table comes last: medians over the seeds, and the
worst one. `--table` alone prints that of files that are there already. With `--sim` the mixes run
on the simulated GPU, to try this out.
"""

import argparse
import glob
import json
import os
import signal
import statistics
import subprocess
import sys
import time

import common

MIXES = ["stacking", "two-services", "besteffort-graph",
         "hybrid::alone,alone-mps,mps-priority,partition,lithos,lithos-alone"]  # fmt: skip
SYSTEMS = "alone,mps-priority,partition,lithos"
NUMBERS = ("service_ms", "p50_ms", "p50_ratio", "p99_ms", "p99_ratio", "rate", "rate_ratio",
           "unfinished")  # fmt: skip
RISES = ("rate", "rate_ratio", "rate_sum")  # the least is the worst; of the others the greatest
STOP_S = 60


def command_of(mix, seed, options):
    """The command line, and the file it writes."""
    scenario, model, systems = (mix.split(":") + ["", ""])[:3]
    path = os.path.join(options.out, f"{scenario}.{model or 'default'}.{seed}.json")
    command = [common.LITHOS, "bench", "--scenario", scenario,
               "--target", "sim" if options.sim else "gpu", "--system", systems or options.systems,
               "--repetitions", "1", "--seconds", str(options.seconds), "--drain", "5",
               "--ready-limit", str(options.ready_limit), "--seed", str(seed), "--allow-short",
               "--progress", "--python", sys.executable, "--out", path]  # fmt: skip
    if model:
        command += ["--model", model]
    return command + options.bench_option, path


def run(command, until):
    """Seconds that it took; at `until` it is told to stop, which takes it some seconds."""
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            process.wait(max(0.0, until - began))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        if process.returncode:
            print(f"exit code {process.returncode}: {' '.join(command[2:])}", file=sys.stderr)
    return time.monotonic() - began


def measure(options):
    until = time.monotonic() + options.limit
    longest = 0.0
    skipped = []
    for seed in options.seeds:
        for mix in options.mixes:
            command, path = command_of(mix, seed, options)
            if time.monotonic() + longest > until:
                skipped.append(os.path.basename(path))
                continue
            longest = max(longest, run(command, until))
    if skipped:
        print(f"no time for {', '.join(skipped)}")


def worst(key, values):
    return min(values) if key in RISES else max(values)


def merge(paths):
    """(scenario, model) -> system -> tenant -> number -> the value of each repetition; the sum of
    rates is of the tenant ''."""
    merged = {}
    for path in sorted(paths):
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        systems = merged.setdefault((report["scenario"], report["model"]), {})
        for repetition in report["repetitions"]:
            for system in repetition["systems"]:
                tenants = systems.setdefault(system["name"], {})
                rows = [(row["name"], NUMBERS, row) for row in system.get("tenants", [])]
                for name, keys, row in [*rows, ("", ("rate_sum",), system)]:
                    for key in keys:
                        if row.get(key) is not None:
                            tenants.setdefault(name, {}).setdefault(key, []).append(row[key])
    return merged


def cell(numbers, key, with_worst):
    values = numbers.get(key)
    if not values:
        return "-"
    text = f"{statistics.median(values):.2f}"
    return f"{text} ({worst(key, values):.2f})" if with_worst and len(values) > 1 else text


def lines_of(systems):
    for system, tenants in systems.items():
        if not any(tenants.values()):
            yield [system, "failed"]
        for name, numbers in tenants.items():
            if name and numbers:
                yield [system, name, cell(numbers, "service_ms", False),
                       cell(numbers, "p50_ms", False), cell(numbers, "p50_ratio", True),
                       cell(numbers, "p99_ms", False), cell(numbers, "p99_ratio", True),
                       cell(numbers, "rate", False), cell(numbers, "rate_ratio", True),
                       f"{max(numbers.get('unfinished', [0]))}",
                       str(len(numbers.get("rate", [])))]  # fmt: skip
        if tenants.get("", {}).get("rate_sum"):
            yield [system, "sum", *["-"] * 6, cell(tenants[""], "rate_sum", True)]


def table(paths):
    titles = ["system", "tenant", "idle ms", "p50 ms", "x", "p99 ms", "x", "per s", "x",
              "unfinished", "runs"]  # fmt: skip
    for (scenario, model), systems in merge(paths).items():
        print(f"{scenario}, {model}: medians, and (the worst)")
        rows = [titles, *lines_of(systems)]
        widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(titles))]
        for row in rows:
            print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("mixes", nargs="*", metavar="MIX", default=MIXES)
    parser.add_argument("--out", required=True, help="folder of the result files")
    parser.add_argument("--limit", type=float, default=540, help="seconds in all")
    parser.add_argument("--seeds", type=lambda text: text.split(","), default=["1", "2", "3"])
    parser.add_argument("--systems", default=SYSTEMS, help="of mixes that name none")
    parser.add_argument("--seconds", type=float, default=5, help="of a measurement")
    parser.add_argument("--ready-limit", type=float, default=120)
    parser.add_argument("--bench-option", action="append", default=[],
                        help="another word of each bench command line")  # fmt: skip
    parser.add_argument("--sim", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    if not options.table:
        measure(options)
    paths = glob.glob(os.path.join(options.out, "*.json"))
    table(paths)
    return 0 if paths else 1


if __name__ == "__main__":
    sys.exit(main())
