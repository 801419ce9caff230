# SPDX-License-Identifier: Apache-2.0
"""What lithos adds: to a launch, and to an iteration of a model, by median and by the best of each
turn. Configurations take turns, the order turning by one each round, and every difference is taken
inside its round; "native2" is the same as native and shows how much of a difference is noise.

    cost.py --out cost.json [--launch-rounds 25] [--model-rounds 8] [--seconds 1.2] [--all-tpcs 66]
"""

import argparse
import json
import os
import select
import subprocess
import sys
import time

import common

LAUNCH_COST = os.path.join(common.BUILD, "tests", "device", "launch_cost")


def rotated(items, by):
    by %= len(items) or 1
    return items[by:] + items[:by]


def added(rounds, name, base="native"):
    """Median, least and greatest difference to native over the rounds that have both."""
    differences = [r[name] - r[base] for r in rounds if name in r and base in r]
    if not differences:
        return {"n": 0}
    return {"median": common.median(differences), "min": min(differences), "max": max(differences),
            "n": len(differences),
            "base_median": common.median([r[base] for r in rounds if base in r])}


def relative(rounds, name, base="native"):
    """added(), with all three in percent of the base's median too."""
    row = added(rounds, name, base)
    if row["n"]:
        row["percent"], row["percent_min"], row["percent_max"] = (
            100 * row[key] / row["base_median"] for key in ("median", "min", "max"))
    return row


def launch_configurations(all_tpcs):
    half = str(all_tpcs // 2)
    return {"native": [], "native2": [], "unrestricted": common.lithos(),
            "mask+record": common.lithos("--quota", str(all_tpcs), "--stats"),
            "mask+record-half": common.lithos("--quota", half, "--stats")}


def launch_rounds(configurations, nr_rounds, errors):
    rounds = []
    for i in range(nr_rounds):
        values = {}
        for name in rotated(list(configurations), i):
            done = common.run([*configurations[name], LAUNCH_COST], 30)
            line = common.last_json(done["out"])
            if done["rc"] == 0 and line:
                values[name] = line["median_ns"]
            else:
                errors.append({"what": f"launch_cost {name}", "rc": done["rc"], "err": done["err"]})
        rounds.append(values)
    return rounds


class Worker:
    """An e2e.py that stays; a question that is not answered in time ends it."""

    def __init__(self, prefix, options=()):
        script = os.path.join(common.HERE, "e2e.py")
        self.process = subprocess.Popen(  # pylint: disable=consider-using-with
            common.limited(330, [*prefix, sys.executable, script, *options]), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        os.set_blocking(self.process.stderr.fileno(), False)
        self.pending = b""
        self.errors = b""

    def answer(self, seconds):
        """The next line of JSON, or None: lines of other kinds are somebody's chatter."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                if line.startswith(b"{"):
                    return json.loads(line)
            ready, _, _ = select.select([self.process.stdout, self.process.stderr], [], [], 1.0)
            if self.process.stderr in ready:
                self.drain()
            if self.process.stdout not in ready:
                continue
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                return None
            self.pending += more
        return None

    def drain(self):
        """Keeps the error pipe from filling; its last words are kept."""
        try:
            more = self.process.stderr.read(65536)
        except OSError:
            more = None
        self.errors = (self.errors + (more or b""))[-2000:]
        if more == b"":
            time.sleep(0.05)

    def ask(self, model, seconds):
        try:
            self.process.stdin.write(f"{model} {seconds}\n".encode())
        except OSError:
            return None
        return self.answer(seconds + 20)

    def stop(self):
        self.drain()
        try:
            self.process.stdin.close()
            self.process.wait(15)
        except (OSError, subprocess.TimeoutExpired):
            # To timeout(1), which ends the worker and, after a while, kills it.
            self.process.terminate()
            self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()
        return self.errors.decode(errors="replace")


class Limit:
    """Whether there is time for one more round like the last one; without seconds there always
    is."""

    def __init__(self, seconds=None):
        self.seconds = seconds
        self.begin = self.round_began = time.monotonic()

    def begin_round(self):
        self.round_began = time.monotonic()

    def has_time(self):
        now = time.monotonic()
        return self.seconds is None or 2 * now - self.round_began - self.begin <= self.seconds


def note_retries(who, count, seen, errors):
    """A process that is short of memory in a turn is slow by that, whatever it runs under."""
    if count > seen.get(who, count):
        errors.append({"what": f"{who}: {count - seen[who]} times short of GPU memory in a turn"})
    seen[who] = count


def model_rounds(configurations, nr_rounds, seconds, errors, models=None, seconds_in_all=None):
    """rounds[model] = list of {configuration: ms}; a round that would end after seconds_in_all is
    not begun"""
    limit = Limit(seconds_in_all)
    options = ["--models", ",".join(models)] if models else []
    workers = {name: Worker(prefix, options) for name, prefix in configurations.items()}
    ready = {name: worker.answer(100) for name, worker in workers.items()}
    models = next((r["models"] for r in ready.values() if r), [])
    retries = {}
    rounds = {label: [] for model in models for label in (model, f"{model} (best)")}
    for i in range(nr_rounds):
        if i and not limit.has_time():
            break
        limit.begin_round()
        for model in models:
            values, best = {}, {}
            for name in rotated([n for n in configurations if ready[n]], i):
                answer = workers[name].ask(model, seconds)
                if answer:
                    values[name] = answer["ms"]
                    best[name] = answer["min_ms"]
                    note_retries(f"{model} {name}", answer["alloc_retries"], retries, errors)
                else:
                    errors.append({"what": f"{model} {name}: no answer in round {i}"})
                    ready[name] = None
            rounds[model].append(values)
            rounds[f"{model} (best)"].append(best)
    for name, worker in workers.items():
        words = worker.stop()
        if not ready[name]:
            errors.append({"what": f"e2e {name}", "err": words})
    return rounds


def summarise_models(rounds, configurations):
    out = {}
    for model, values in rounds.items():
        out[model] = {}
        for name in configurations:
            out[model][name] = relative(values, name)
    return out


def spread(row, unit, digits):
    if not row["n"]:
        return "none"
    return f"{row['median']:+.{digits}f} {unit} ({row['min']:+.{digits}f}..{row['max']:+.{digits}f})"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--launch-rounds", type=int, default=25)
    parser.add_argument("--model-rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--all-tpcs", type=int, default=66)
    options = parser.parse_args()
    errors = []
    result = {"machine": common.machine(), "unit": {"launch": "ns a launch",
                                                    "models": "ms an iteration"},
              "errors": errors}

    configurations = launch_configurations(options.all_tpcs)
    rounds = launch_rounds(configurations, options.launch_rounds, errors)
    result["launch"] = {"rounds": rounds, "added": {n: added(rounds, n) for n in configurations}}
    common.write_json(options.out, result)
    rows = [[name, spread(row, "ns", 0), f"{row.get('base_median', 0):.0f} ns", row["n"]]
            for name, row in result["launch"]["added"].items() if name != "native"]
    print(common.table(rows, ["launch", "added, median (least..most)", "native", "rounds"]),
          flush=True)

    if options.model_rounds > 0:
        # --stats as well: the whole path, mask and record.
        configurations = {"native": [], "native2": [], "unrestricted": common.lithos(),
                          "quota-all": common.lithos("--quota", "100%", "--stats")}
        rounds = model_rounds(configurations, options.model_rounds, options.seconds, errors)
        result["models"] = {"rounds": rounds, "added": summarise_models(rounds, configurations)}
        common.write_json(options.out, result)
        rows = [[model, name, f"{row.get('percent', 0):+.2f} %", spread(row, "ms", 4), row["n"]]
                for model, names in result["models"]["added"].items()
                for name, row in names.items() if name != "native"]
        print(common.table(rows, ["model", "configuration", "added", "median (least..most)",
                                  "rounds"]))
    for error in errors:
        print(f"PROBLEM {error['what']}: {error.get('err', '')[-300:]}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
