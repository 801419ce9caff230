# SPDX-License-Identifier: Apache-2.0
"""What kernels in atoms and claimed kernels cost a model that has the GPU to itself: an iteration
under each way of splitting, as if an owner could come back, over native and over lithos with whole
kernels. Processes that stay take turns as in cost.py, and differences are taken inside a round.

    split_cost.py --out split_cost.json [--rounds 8] [--seconds 1.2] [--limit 165]
                  [--models llama8-training-2x2048,resnet50-b64-training,resnet50-b192-training]
                  [--ways whole,atoms:always,claims:always,auto:always]

--keep FOLDER keeps the statistics of each way, kernel by kernel.

No round begins that would end after --limit seconds; then there are fewer. The counters of a
process are of its whole life, warm-up included. Exit code 1 when a process or its statistics were
missing, or a way that splits has split nothing: what it costs would then say nothing.

The processes under lithos are tenants of a private lithosd without a quota: all that they use is
borrowed, so their long kernels go the way that they would beside an owner.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile

import common
import cost
import sharing

MODELS = "llama8-training-2x2048,resnet50-b64-training,resnet50-b192-training"
WAYS = "whole,atoms:always,claims:always,auto:always"
BASES = ("native", "whole")
COUNTERS = ("atoms_launched", "works_claimed", "works_committed", "works_cut", "split_refused")
SPLITTING = ("atoms_launched", "works_claimed")


def stats_path(folder, way):
    return os.path.join(folder, f"{way.replace(':', '-')}.json")


def configurations_of(ways, folder, environment):
    """What stands in front of the process, by name; the ways of splitting under their own names."""
    out = {"native": [], "native2": []}
    for way in ways:
        under = common.lithos("--stats=json", "--stats-file", stats_path(folder, way))
        out[way] = ["env", *environment, f"LITHOS_SPLIT={way}", *under]
    return out


def measure(options, folder, errors):
    """The rounds, beside a daemon that lives as long."""
    of_daemon = argparse.Namespace(sim=False, mps_control="", limit=int(options.limit) + 120)
    with sharing.Processes(folder, of_daemon) as processes:
        processes.daemon()
        environment = ["-u", "CUDA_MPS_PIPE_DIRECTORY",
                       f"LITHOS_SOCKET={processes.env['LITHOS_SOCKET']}"]
        configurations = configurations_of(options.ways.split(","), folder, environment)
        rounds = cost.model_rounds(configurations, options.rounds, options.seconds, errors,
                                   models=options.models.split(","), seconds_in_all=options.limit)
    return configurations, rounds


def summarise(rounds, names):
    """out[model][name][base]: what `name` takes over the base."""
    return {model: {name: {base: cost.relative(values, name, base) for base in BASES}
                    for name in names}
            for model, values in rounds.items()}


def read_counters(path):
    """Those that tell what was split; None where there are no statistics."""
    try:
        with open(path, encoding="utf-8") as stats:
            counters = json.load(stats)["counters"]
        return {name: counters[name] for name in COUNTERS}
    except (OSError, ValueError, KeyError):
        return None


def keep(folder, ways, to):
    os.makedirs(to, exist_ok=True)
    for path in (stats_path(folder, way) for way in ways):
        if os.path.exists(path):
            shutil.copy(path, to)


def counter_problems(counters):
    """In words, by way: None is a process without statistics; "whole" alone need not split."""
    out = []
    for way, seen in counters.items():
        if seen is None:
            out.append(f"{way}: no statistics")
        elif way != "whole" and not any(seen[name] for name in SPLITTING):
            out.append(f"{way}: nothing was split")
    return out


def percent(row):
    if not row["n"]:
        return "none"
    return f"{row['percent']:+.2f} % ({row['percent_min']:+.2f}..{row['percent_max']:+.2f})"


def render(summary, counters):
    rows = []
    for model, names in summary.items():
        for name, bases in names.items():
            row = bases["native"]
            ms = f"{row['base_median'] + row['median']:.3f}" if row["n"] else "-"
            rows.append([model, name, ms, *[percent(bases[base]) if base != name else ""
                                            for base in BASES],
                         row["n"]])
    header = ["model", "way", "ms", *[f"over {base}, median (least..most)" for base in BASES],
              "rounds"]
    counted = [[way, *[seen[name] if seen else "-" for name in COUNTERS]] for way,
               seen in counters.items()]
    return common.table(rows, header) + "\n\n" + common.table(counted, ["way", *COUNTERS])


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.2, help="a turn")
    parser.add_argument("--limit", type=float, default=165,
                        help="seconds for starting and all rounds")
    parser.add_argument("--keep", help="a folder")
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--ways", default=WAYS)
    return parser.parse_args()


def main():
    options = parse()
    ways, errors = options.ways.split(","), []
    with tempfile.TemporaryDirectory() as folder:
        configurations, rounds = measure(options, folder, errors)
        counters = {way: read_counters(stats_path(folder, way)) for way in ways}
        if options.keep:
            keep(folder, ways, options.keep)
    errors += [{"what": problem} for problem in counter_problems(counters)]
    if not rounds:
        errors.append({"what": "no process came up"})
    summary = summarise(rounds, configurations)
    common.write_json(options.out, {
        "machine": common.machine(), "unit": "ms an iteration", "seconds": options.seconds,
        "rounds": rounds,
        "over": summary, "counters": counters, "errors": errors})
    print(render(summary, counters))
    for error in errors:
        print(f"PROBLEM {error['what']}: {error.get('err', '')[-300:]}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
