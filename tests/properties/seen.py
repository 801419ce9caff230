# SPDX-License-Identifier: Apache-2.0
"""What was seen of one mix: requests as tenants timed them, grids as the simulated GPU traced them.

All times are CLOCK_MONOTONIC in ns. The simulated GPU's are exact however late the machine was: a
block ends when its time is over, also if the server looks later.
"""

import bisect
import os
from dataclasses import dataclass, field

from draw import CHIPS


@dataclass
class Grid:
    kernel: str
    type: int
    blocks_run: int
    left: int
    used: frozenset
    allowed: frozenset
    start_ns: int  # first in its stream
    first_ns: int  # its first block began
    end_ns: int
    is_hung: bool


@dataclass
class Request:
    due_ns: int
    call_ns: int
    launched_ns: int
    done_ns: int
    late_ns: int
    grids: list = field(default_factory=list)


@dataclass
class TenantSeen:
    spec: object
    own: frozenset
    status: int
    messages: str
    requests: list
    grids: list

    def __post_init__(self):
        """Each grid to the request in whose time it ended; with several in flight, the first."""
        ends = [r.done_ns for r in self.requests]
        for grid in self.grids:
            i = bisect.bisect_left(ends, grid.end_ns)
            if i < len(ends) and grid.start_ns >= self.requests[i].call_ns:
                self.requests[i].grids.append(grid)


def bits_of(text, present):
    value = int(text, 16)
    return frozenset(bit for bit in present if value >> bit & 1)


def read_trace(path, chip):
    present = CHIPS[chip]
    grids = []
    if not os.path.exists(path):
        return grids
    cache = {}

    def bits(text):
        if text not in cache:
            cache[text] = bits_of(text, present)
        return cache[text]

    everything = frozenset(present)
    with open(path, encoding="ascii", errors="replace") as source:
        for line in source:
            f = dict(word.partition("=")[::2] for word in line.split())
            if "pid" not in f:
                continue  # the tenant was killed while it wrote this
            grids.append(
                Grid(
                    f["kernel"],
                    int(f["type"]),
                    int(f["blocks_run"]),
                    int(f["left"]),
                    bits(f["smset"]),
                    everything - bits(f["disabled"]),
                    int(f["start_ns"]),
                    int(f["first_ns"]),
                    int(f["end_ns"]),
                    f["hang"] != "0",
                )
            )
    return grids


def read_records(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as source:
        return [Request(*map(int, line.split())) for line in source]


@dataclass
class Observation:
    mix: object
    begin_ns: int
    tenants: dict
    late: list  # (time, waiting of the simulated GPU, of the daemon)
    reports: list

    def __post_init__(self):
        self.late_times = [sample[0] for sample in self.late]

    @property
    def begin_late_ns(self):
        """How long after the begin the last of those began that were there."""
        there = [t for t in self.tenants.values() if t.requests and not t.spec.begin_ms]
        return max([t.requests[0].call_ns - self.begin_ns for t in there] or [0])

    @property
    def end_ns(self):
        return self.begin_ns + max(t.end_ms for t in self.mix.tenants) * 1_000_000

    def machine_late_ns(self, from_ns, to_ns):
        """How long the simulated GPU's server had no processor, at most, between the two."""
        if len(self.late) < 2:
            return 0
        a = max(0, bisect.bisect_right(self.late_times, from_ns) - 1)
        b = min(len(self.late) - 1, bisect.bisect_left(self.late_times, to_ns))
        return self.late[b][1] - self.late[a][1]
