# SPDX-License-Identifier: Apache-2.0
"""Sharing through lithosd: shares by quota, what an idle owner lends, how fast it gets it back, and
what a launch costs with the daemon there.

    sharing.py --out sharing.json [--parts shares,reclaim,cost] [--seconds 60] [--samples 300]
               [--quotas 20,46] [--durations-ms 0.1,0.5,2,10] [--rounds 15]
    sharing.py --sim [--block-us 500] ...      on the simulated GPU, where times mean little

Exit code 1 when a part failed or a share is not what it must be; the limits are in `targets` of the
file. A private lithosd runs for the time of each part.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import common

DEVICE = os.path.join(common.BUILD, "tests", "device")
LITHOSD = os.path.join(common.BUILD, "bin", "lithosd")
TARGETS = {"share_points": 2.0, "idle_rate": 0.97}
DRIFT = 5e-5  # of the GPU's clock against the CPU's, at most
SETTLE_S = 1.0


class Problem(Exception):
    """What went wrong, in words."""


class Processes:
    """What was started, each under timeout(1) in a group of its own; ended with the block."""

    def __init__(self, folder, options):
        self.folder, self.options, self.running = folder, options, []
        self.mps = "none"
        self.env = {k: v for k, v in os.environ.items()
                    if not k.startswith("LITHOS_") or k in ("LITHOS_CACHE_DIR", "LITHOS_SIM_GPU",
                                                            "LITHOS_LOG")}
        self.env.pop("CUDA_MPS_PIPE_DIRECTORY", None)
        if options.sim:
            self.env.update(LITHOS_SIM="1", LITHOS_SIM_DEVICE=os.path.join(folder, "gpu"))
        if options.mps_control:
            # Under the name by which lithosd looks for it.
            os.makedirs(os.path.join(folder, "bin"), exist_ok=True)
            link = os.path.join(folder, "bin", "nvidia-cuda-mps-control")
            if not os.path.lexists(link):
                os.symlink(os.path.abspath(options.mps_control), link)
            self.env["PATH"] = os.path.dirname(link) + ":" + self.env.get("PATH", "")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for process in reversed(self.running):
            end(process)

    def start(self, command, name, env=None):
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            process = subprocess.Popen(  # pylint: disable=consider-using-with
                common.limited(self.options.limit, command), stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**self.env, **(env or {})}, start_new_session=True)
        process.log = log.name
        self.running.append(process)
        return process

    def words(self, process):
        with open(process.log, encoding="utf-8", errors="replace") as log:
            return f"exit {process.poll()}: {log.read()[-600:].strip()}"

    def daemon(self):
        socket = os.path.join(self.folder, "d.sock")
        self.env["LITHOS_SOCKET"] = socket
        config = os.path.join(self.folder, "lithosd.yaml")
        with open(config, "w", encoding="utf-8") as out:
            # Simulated GPUs are served by MPS only when the daemon is told so.
            has_mps = not self.options.sim or self.options.mps_control
            out.write(f"version: v1\nmps:\n  mode: {'auto' if has_mps else 'off'}\n")
        process = self.start([LITHOSD, "--private", "--config", config, "--socket", socket,
                              *(["--sim"] if self.options.sim else [])], "lithosd")
        wait_for(lambda: os.path.exists(socket), 60, "lithosd does not listen", self, [process])
        # A program that starts before MPS would be time-sliced, for good.
        wait_for(lambda: self.mps_state(socket) not in ("", "starting"), 60, "MPS does not start",
                 self, [process])
        self.mps = self.mps_state(socket)

    def mps_state(self, socket):
        done = subprocess.run([common.LITHOS, "status", "--socket", socket, "--format=json"],
                              capture_output=True,
                              text=True, timeout=20, env=self.env, check=False)
        return common.json.loads(done.stdout)["mps"]["state"] if done.returncode == 0 else ""

    def native(self):
        """The environment of a program without lithos."""
        if not self.options.sim:
            return {}
        return {"LD_LIBRARY_PATH": os.path.join(common.BUILD, "lib", "sim")}

    def tenant(self, *options):
        return [common.LITHOS, "run", *(["--sim"] if self.options.sim else []), *options, "--"]


def end(process):
    for sign, seconds in ((signal.SIGTERM, 8), (signal.SIGKILL, 8)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            return


def wait_for(condition, seconds, what, processes, watched):
    limit = time.monotonic() + seconds
    while not condition():
        for process in watched:
            if process.poll() is not None:
                raise Problem(f"{what}: {processes.words(process)}")
        if time.monotonic() > limit:
            raise Problem(f"{what} after {seconds} s: {processes.words(watched[0])}")
        time.sleep(0.01)


class Feeds:
    """Programs of feed.c in one session."""

    def __init__(self, processes, label):
        self.processes = processes
        self.folder = os.path.join(processes.folder, label)
        os.mkdir(self.folder)
        self.feeds = {}
        self.start_ns = 0

    def add(self, name, prefix, env=None, options=()):
        o = self.processes.options
        # Of an option that comes twice the program takes the first.
        command = [*prefix, os.path.join(DEVICE, "feed"), "--dir", self.folder, "--name", name,
                   *map(str, options),
                   "--ns", str(int(o.block_us * 1000)), "--blocks", str(o.blocks)]
        self.feeds[name] = self.processes.start(command, f"{os.path.basename(self.folder)}.{name}",
                                                env)
        wait_for(lambda: os.path.exists(os.path.join(self.folder, f"ready.{name}")), 120,
                 f"{name} is not ready", self.processes, [self.feeds[name]])

    def go(self):
        self.start_ns = time.monotonic_ns()
        with open(os.path.join(self.folder, "go.new"), "w", encoding="utf-8") as go:
            go.write(f"{self.start_ns} {self.start_ns} {self.start_ns}\n")
        os.rename(os.path.join(self.folder, "go.new"), os.path.join(self.folder, "go"))

    def now(self):
        return time.monotonic_ns() - self.start_ns

    def pause(self, name):
        with open(os.path.join(self.folder, f"pause.{name}"), "w", encoding="utf-8"):
            pass

    def sleep(self, seconds):
        """The window (begin, end) that it slept."""
        begin, limit = self.now(), time.monotonic() + seconds
        while time.monotonic() < limit:
            for name, process in self.feeds.items():
                if process.poll() is not None:
                    raise Problem(f"{name} ended: {self.processes.words(process)}")
            time.sleep(0.05)
        return begin, self.now()

    def stop(self):
        """Completion times by name."""
        with open(os.path.join(self.folder, "stop"), "w", encoding="utf-8"):
            pass
        done = {}
        for name, process in self.feeds.items():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired as late:
                raise Problem(f"{name} does not end") from late
            if process.returncode:
                raise Problem(f"{name}: {self.processes.words(process)}")
            with open(os.path.join(self.folder, f"result.{name}"), encoding="utf-8") as rows:
                done[name] = [int(row.split()[1]) for row in rows]
        return done


def rate(done, window):
    """Completions a second between the first and the last of the window: no step at its edges."""
    inside = [t for t in done if window[0] <= t < window[1]]
    if len(inside) < 2:
        return 0.0
    return (len(inside) - 1) * 1e9 / (inside[-1] - inside[0])


def whole_gpu_rate(processes):
    feeds = Feeds(processes, "alone")
    feeds.add("alone", [], processes.native())
    feeds.go()
    feeds.sleep(SETTLE_S)
    window = feeds.sleep(max(2.0, processes.options.seconds / 6))
    return rate(feeds.stop()["alone"], window)


def shares(processes):
    """Two owners at work, then the first idle."""
    o = processes.options
    alone = whole_gpu_rate(processes)
    processes.daemon()
    feeds = Feeds(processes, "shares")
    for name, quota in zip(("first", "second"), o.quotas):
        feeds.add(name, processes.tenant("--quota", str(quota), "--tenant", name))
    feeds.go()
    feeds.sleep(SETTLE_S)
    both = feeds.sleep(o.seconds)
    feeds.pause("first")
    feeds.sleep(SETTLE_S)
    one = feeds.sleep(max(2.0, o.seconds / 6))
    done = feeds.stop()
    rates = {name: rate(times, both) for name, times in done.items()}
    total = sum(rates.values())
    out = {"quotas": o.quotas, "kernels_per_s": rates, "alone_kernels_per_s": alone,
           "percent": {name: 100 * r / total if total else 0 for name, r in rates.items()},
           "expected_percent": {name: 100 * q / sum(o.quotas) for name, q in zip(rates, o.quotas)},
           "idle_other_rate": rate(done["second"], one) / alone if alone else 0,
           "seconds": o.seconds}
    out["ok"] = (all(abs(out["percent"][n] - out["expected_percent"][n]) <= TARGETS["share_points"]
                     for n in rates)
                 and out["idle_other_rate"] >= TARGETS["idle_rate"])
    return out


def clock_offset(samples, i):
    """(CPU - GPU time at sample i, how far off at most): the brackets of the samples around it,
    each loosened by what the clocks may have drifted apart since."""
    at = samples[i][0][0]
    low, high = -float("inf"), float("inf")
    for sample in samples[max(0, i - 10):i + 11]:
        for called, gpu, ended in sample[1:]:
            slack = DRIFT * abs(called - at)
            low, high = max(low, called - gpu - slack), min(high, ended - gpu + slack)
    return (low + high) / 2, abs(high - low) / 2


def histogram(values):
    """Counts by powers of two of microseconds: {upper edge: count}."""
    out = {}
    for value in values:
        edge = 1
        while value >= edge:
            edge *= 2
        out[edge] = out.get(edge, 0) + 1
    return {str(edge): out[edge] for edge in sorted(out)}


def nearest_rank(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered), max(1, -int(-q * len(ordered) // 1))) - 1]


def latencies(samples):
    """us from the owner's call to its first block, and the greatest error of a clock."""
    values, worst = [], 0.0
    for i, sample in enumerate(samples):
        offset, error = clock_offset(samples, i)
        values.append((sample[0][1] + offset - sample[0][0]) / 1e3)
        worst = max(worst, error / 1e3)
    return values, worst


def reclaim_once(processes, label, borrower_ms):
    o = processes.options
    feeds = Feeds(processes, f"reclaim.{label}")
    if borrower_ms:
        waves = max(1, round(borrower_ms * 1000 / o.block_us))
        # Two blocks of 1,024 threads an SM.
        feeds.add("borrower", processes.tenant("--tenant", "borrower"),
                  options=["--blocks", waves * 2 * o.sms, "--streams", 2])
        feeds.go()
        feeds.sleep(SETTLE_S)
    quota = str(o.owner_quota)
    owner = processes.tenant("--quota", quota, "--priority", "10", "--tenant", "owner")
    command = [*owner, os.path.join(DEVICE, "reclaim"), "--samples", str(o.samples), "--ns",
               str(int(o.block_us * 1000))]
    done = subprocess.run(common.limited(o.limit, command), capture_output=True, text=True,
                          errors="replace",
                          env=processes.env, check=False)
    begin = done.stdout.find('{"program":"reclaim"')
    if done.returncode or begin < 0:
        raise Problem(f"reclaim: exit {done.returncode}: {done.stderr[-600:]}")
    samples = common.json.loads(done.stdout[begin:])["samples"]
    nr_borrowed = len(feeds.stop().get("borrower", ()))
    values, error = latencies(samples)
    waves = [(s[0][2] - s[0][0]) / 1e3 for s in samples]
    return {"borrower_kernel_ms": borrower_ms, "borrower_kernels": nr_borrowed,
            "samples": len(values),
            "clock_error_us": round(error, 1), "p50_us": round(nearest_rank(values, 0.5), 1),
            "p99_us": round(nearest_rank(values, 0.99), 1), "max_us": round(max(values), 1),
            "whole_wave_p50_us": round(nearest_rank(waves, 0.5), 1),
            "whole_wave_p99_us": round(nearest_rank(waves, 0.99), 1),
            "histogram_us": histogram(values), "latencies_us": [round(v, 1) for v in values]}


def reclaim(processes):
    """An owner that rests 5 ms between launches, beside a borrower with kernels of each length."""
    processes.daemon()
    rows = [reclaim_once(processes, "none", 0)]
    for ms in processes.options.durations_ms:
        rows.append(reclaim_once(processes, f"{ms}ms", ms))
    # The borrower must have borrowed, or the owner had nothing to take back.
    return {"owner_quota": processes.options.owner_quota, "block_us": processes.options.block_us,
            "rows": rows,
            "ok": all(r["borrower_kernels"] > 0 for r in rows[1:])}


def launch_cost(processes, prefix, env=None, options=()):
    o = processes.options
    command = [*prefix, os.path.join(DEVICE, "launch_cost"), "--launches", str(o.launches),
               *options]
    done = subprocess.run(common.limited(120, command), capture_output=True, text=True,
                          errors="replace",
                          env={**processes.env, **(env or {})}, check=False)
    line = common.last_json(done.stdout)
    if done.returncode or not line:
        raise Problem(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-600:]}")
    return line["median_ns"]


def held_cost(processes, label):
    """Best effort while an owner of everything is at work: the launch is queued and not given
    on."""
    state = os.path.join(processes.folder, "state")
    feeds = Feeds(processes, f"held.{label}")
    feeds.add("owner", processes.tenant("--quota", "100%", "--tenant", "owner"),
              options=["--pulse-on", 40, "--pulse-off", 40, "--state", state])
    feeds.go()
    value = launch_cost(processes, processes.tenant("--tenant", "held"), options=["--state", state,
        "--batch", "100"])
    feeds.stop()
    return value


def cost(processes):
    """Configurations take turns; differences are inside a round."""
    processes.daemon()
    ways = {
        "native": lambda i: launch_cost(processes, [], processes.native()),
        "native2": lambda i: launch_cost(processes, [], processes.native()),
        "daemon quota 100%": lambda i: launch_cost(processes, processes.tenant("--quota", "100%")),
        "daemon best effort": lambda i: launch_cost(processes, processes.tenant()),
        "daemon best effort, held": lambda i: held_cost(processes, i),
    }
    rounds = []
    for i in range(processes.options.rounds):
        names = list(ways)
        names = names[i % len(names):] + names[:i % len(names)]
        rounds.append({name: ways[name](i) for name in names})
    added = {}
    for name in ways:
        differences = [r[name] - r["native"] for r in rounds]
        added[name] = {"median_ns": common.median(differences), "min_ns": min(differences),
                       "max_ns": max(differences)}
    return {"native_ns": common.median([r["native"] for r in rounds]), "added": added,
            "rounds": rounds, "ok": True}


def print_tables(result):
    part = result.get("shares", {})
    if "percent" in part:
        rows = [[n, q, f"{part['percent'][n]:.2f} %", f"{part['expected_percent'][n]:.2f} %"]
                for n, q in zip(part["percent"], part["quotas"])]
        print(common.table(rows, ["tenant", "quota", "share of the work", "expected"]))
        print(f"one idle: the other has {100 * part['idle_other_rate']:.1f} % of the whole GPU's rate")
    rows = [[r["borrower_kernel_ms"], r["samples"], r["p50_us"], r["p99_us"], r["max_us"],
             r["clock_error_us"]]
            for r in result.get("reclaim", {}).get("rows", ())]
    if rows:
        print(common.table(rows, ["borrower's kernels, ms", "samples", "p50 us", "p99 us", "max us",
                                  "clock +- us"]))
    rows = [[n, f"{a['median_ns']:+.0f} ns ({a['min_ns']:+.0f}..{a['max_ns']:+.0f})"]
            for n, a in result.get("cost", {}).get("added", {}).items() if n != "native"]
    if rows:
        print(common.table(rows, [f"launch, native {result['cost']['native_ns']:.0f} ns", "added"]))


def parse_command_line():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--parts", default="shares,reclaim,cost")
    parser.add_argument("--sim", action="store_true")
    parser.add_argument("--mps-control", help="what lithosd shall take for nvidia-cuda-mps-control")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quotas", default="20,46")
    parser.add_argument("--owner-quota", default="100%")
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--durations-ms", default="0.1,0.5,2,10")
    parser.add_argument("--block-us", type=float, default=20)
    parser.add_argument("--blocks", type=int, default=2000)
    parser.add_argument("--sms", type=int, default=132)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--launches", type=int, default=5000)
    parser.add_argument("--limit", type=int, default=200, help="seconds any one process may take")
    options = parser.parse_args()
    options.quotas = [int(q) for q in options.quotas.split(",")]
    options.durations_ms = [float(d) for d in options.durations_ms.split(",")]
    return options


def main():
    options = parse_command_line()
    result = {"machine": common.machine(), "is_simulated": options.sim, "targets": TARGETS,
              "errors": []}
    parts = {"shares": shares, "reclaim": reclaim, "cost": cost}
    for name in options.parts.split(","):
        folder = tempfile.mkdtemp(prefix="lithos-sharing-", dir="/tmp")
        try:
            with Processes(folder, options) as processes:
                result[name] = parts[name](processes)
                result[name]["mps"] = processes.mps
        except Problem as problem:
            result["errors"].append({"what": name, "err": str(problem)})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        common.write_json(options.out, result)
    print_tables(result)
    for error in result["errors"]:
        print(f"PROBLEM {error['what']}: {error['err']}")
    failed = [name for name in parts if not result.get(name, {"ok": True})["ok"]]
    for name in failed:
        print(f"NOT AS IT MUST BE: {name}")
    return 1 if result["errors"] or failed else 0


if __name__ == "__main__":
    sys.exit(main())
