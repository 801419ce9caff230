# SPDX-License-Identifier: Apache-2.0
"""What a request of `lithos bench` waited for, from the raw latencies of its JSON file.

The service serves one request at a time, so with the moments of arrival (made again from the seed)
each latency splits into what was in front and what is the request's own:

- a request that finds the service idle ("first") waits for what the background left on the GPU, and
is served;
- one that comes while another is served ("next") is served right behind it: its time is the
service's
  alone, with nothing in front.

So next.p50 against that of `alone` is what sharing adds to the service itself, and first.mean less
next.mean is what the background had in front. Both means are known to a hundredth of a millisecond
from some hundred requests, of which the p99, from ten, says little. Then the p99 is computed for a
queue with these parts (Poisson arrivals), as it is and with each part taken away: which of them is
worth the work.

    waits.py HYBRID.JSON [--format json]
"""

import argparse
import json
import math
import random
import sys

MASK = (1 << 64) - 1
QUEUE_REQUESTS = 200000


def splitmix64(state):
    """The generator of src/cli/bench/arrivals.c: next state, and its number."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


def arrivals_ms(rate, seconds, seed):
    at, arrivals = 0.0, []
    while True:
        seed, number = splitmix64(seed)
        at -= math.log(((number >> 11) + 1) / 2**53) / rate
        if not at < seconds:
            return arrivals
        arrivals.append(int(at * 1e9) / 1e6)


def percentile(values, p):
    return sorted(values)[min(len(values) - 1, len(values) * p // 100)] if values else None


def part(arrivals, latencies):
    """Latencies of requests that found the service idle, and own times of those that did not."""
    first, following, free_at = [], [], -math.inf
    for at, latency in zip(arrivals, latencies, strict=True):
        done = at + latency
        if at >= free_at:
            first.append(latency)
        else:
            following.append(done - free_at)
        free_at = done
    return first, following


def mean(values):
    return sum(values) / len(values) if values else None


def queue_p99(rate, service_ms, waits_ms, seed=1):
    """The p99 of one server that is in the way of nothing but itself and, where it was idle, of one
    wait."""
    rng, at, free_at, latencies = random.Random(seed), 0.0, 0.0, []
    for _ in range(QUEUE_REQUESTS):
        at += rng.expovariate(rate / 1e3)
        wait = rng.choice(waits_ms) if waits_ms and at >= free_at else 0.0
        free_at = max(at, free_at) + wait + service_ms
        latencies.append(free_at - at)
    return percentile(latencies, 99)


def latencies_ms(system):
    """Of the service; older files have them as numbers."""
    if "latencies_ms" in system:
        return system["latencies_ms"] or []
    for tenant in system.get("tenants", []):
        if "latencies_us" in tenant:
            return [int(word) / 1e3 for word in tenant["latencies_us"].split()]
    return []


def collect(bench):
    """First and following requests' times by system, of all repetitions."""
    settings = bench["parameters"]
    parts = {}
    for repetition in bench["repetitions"]:
        seconds = settings["lead_s"] + settings["seconds"]
        arrivals = [a for a in arrivals_ms(settings["request_rate"], seconds,
                                           bench["seed"] + repetition["repetition"] - 1)
                    if a >= settings["lead_s"] * 1e3]  # fmt: skip
        for system in repetition["systems"]:
            latencies = latencies_ms(system)
            # A service that fell behind and was stopped has answered some only.
            if len(latencies) != len(arrivals):
                continue
            first, following = part(arrivals, latencies)
            kept = parts.setdefault(system["name"], ([], []))
            kept[0].extend(first)
            kept[1].extend(following)
    return parts


def describe(rate, first, following, alone):
    service, alone_service = mean(following), mean(alone[1])
    waits = [max(0.0, latency - service) for latency in first]
    base = queue_p99(rate, alone_service, [])
    return {
        "first": {"n": len(first), "mean": mean(first), **{f"p{p}": percentile(first, p)
                                                           for p in (1, 10, 50, 90, 99)}},
        "next": {"n": len(following), "mean": service, **{f"p{p}": percentile(following, p)
                                                          for p in (1, 10, 50, 90)}},
        "wait_ms": mean(waits),
        "added_ms": service - alone_service,
        "p99_ratio": queue_p99(rate, service, waits) / base,
        "p99_ratio_without_wait": queue_p99(rate, service, []) / base,
        "p99_ratio_without_added": queue_p99(rate, alone_service, waits) / base,
        "p99_ratio_with_half_the_wait": queue_p99(rate, service, [w / 2 for w in waits]) / base,
    }  # fmt: skip


def analyse(bench):
    parts = collect(bench)
    if "alone" not in parts or not parts["alone"][1]:
        sys.exit("waits.py: the file has no system `alone` with requests that met each other")
    rate = bench["parameters"]["request_rate"]
    return {name: describe(rate, first, following, parts["alone"])
            for name, (first, following) in sorted(parts.items()) if first
            and following}  # fmt: skip


def render(rows):
    lines = [f"{'system':<16} {'first p10':>9} {'p50':>6} {'p90':>6} {'next p50':>9} {'wait':>6} {'added':>6} "
             f"{'p99 ratio':>10} {'no wait':>8} {'half wait':>10} {'none added':>11}"]  # fmt: skip
    for name, row in rows.items():
        lines.append(
            f"{name:<16} {row['first']['p10']:9.3f} {row['first']['p50']:6.3f} {row['first']['p90']:6.3f} "
            f"{row['next']['p50']:9.3f} {row['wait_ms']:6.3f} {row['added_ms']:6.3f} {row['p99_ratio']:10.2f} "
            f"{row['p99_ratio_without_wait']:8.2f} {row['p99_ratio_with_half_the_wait']:10.2f} "
            f"{row['p99_ratio_without_added']:11.2f}"
        )
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("--format", choices=("table", "json"), default="table")
    args = parser.parse_args()
    with open(args.file, encoding="utf-8") as file:
        rows = analyse(json.load(file))
    print(json.dumps(rows, indent=1) if args.format == "json" else render(rows))


if __name__ == "__main__":
    main()
