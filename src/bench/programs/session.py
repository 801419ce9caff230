# SPDX-License-Identifier: Apache-2.0
"""A program's side of a measurement of lithos bench; the files are described in
src/cli/bench/bench.h.

Times are CLOCK_MONOTONIC, which all processes share. Files appear by rename, so whoever sees one
sees all of it. Needs nothing but Python.
"""

import argparse
import gc
import os
import sys
import time

SPIN_NS = 200_000


class Session:
    def __init__(self, folder, name):
        self.folder, self.name = folder, name
        self.start_ns = self.begin_ns = self.end_ns = 0

    def _path(self, kind):
        return os.path.join(self.folder, kind)

    def _publish(self, kind, lines):
        path = self._path(f"{kind}.{self.name}")
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.writelines(line + "\n" for line in lines)
        os.replace(path + ".new", path)

    def ready(self, device, versions, service_ns=()):
        """Warm. service_ns: what single requests took on the GPU before anybody else was at
        work."""
        self._publish("ready", [f"device {device}", *(f"version {v}" for v in versions),
                                *(f"service_ns {ns}" for ns in service_ns)])

    def _wait_for(self, kind):
        while not os.path.exists(self._path(kind)):
            if self.is_stopped():
                sys.exit(0)
            time.sleep(0.002)

    def wait_turn(self):
        """Loaded; before the warm-up, which the others shall not disturb."""
        self._publish("loaded", [])
        self._wait_for(f"turn.{self.name}")

    def wait_go(self):
        self._wait_for("go")
        with open(self._path("go"), encoding="utf-8") as go:
            self.start_ns, self.begin_ns, self.end_ns = (int(word) for word in go.read().split())

    def is_stopped(self):
        return os.path.exists(self._path("stop"))

    def now(self):
        """ns since the schedule's zero; negative before it."""
        return time.monotonic_ns() - self.start_ns

    def sleep_until(self, at_ns):
        """Sleeps most of the way and spins the rest: a sleep ends late, which would count as
        latency."""
        left = at_ns - self.now()
        if left > SPIN_NS:
            time.sleep((left - SPIN_NS) / 1e9)
        while self.now() < at_ns:
            pass

    def arrivals(self):
        with open(self._path(f"arrivals.{self.name}"), encoding="utf-8") as lines:
            return [int(line) for line in lines]

    def done(self):
        self._publish("done", [])

    def result(self, rows):
        self._publish("result", [f"{first} {second}" for first, second in rows])


def from_command_line(description, add_arguments=None):
    """The session and the options; add_arguments(parser) adds more of these."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dir", required=True)
    parser.add_argument("--name", required=True)
    if add_arguments is not None:
        add_arguments(parser)
    options = parser.parse_args()
    return Session(options.dir, options.name), options


def serve_schedule(session, serve):
    """Open loop with one worker: a request that comes while another is served waits, and its
    latency counts from its arrival. Returns (index, completion) of those answered before `stop`."""
    rows = []
    # A collection among the hundred thousands of objects of PyTorch takes as long as many requests.
    gc.collect()
    gc.freeze()
    gc.disable()
    for index, at_ns in enumerate(session.arrivals()):
        if session.is_stopped():
            return rows
        session.sleep_until(at_ns)
        serve()
        rows.append((index, session.now()))
    session.done()
    while not session.is_stopped():
        time.sleep(0.002)
    return rows


def work_until_stopped(session, launch, make_event):
    """Step after step, two of them given to the GPU at most, as a training loop does that reads its
    loss one step late. Returns (began, ended) of each step, by when the step before ended."""
    rows, pending = [], []
    began = session.now()
    while not session.is_stopped():
        launch()
        event = make_event()
        event.record()
        pending.append(event)
        if len(pending) < 2:
            continue
        pending.pop(0).synchronize()
        ended = session.now()
        rows.append((began, ended))
        began = ended
    for event in pending:
        event.synchronize()
        ended = session.now()
        rows.append((began, ended))
        began = ended
    return rows
