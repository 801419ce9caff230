# SPDX-License-Identifier: Apache-2.0
"""A simulated GPU with a daemon, on which one mix after the other is run, and what was seen of it.

The processes are the real ones: `lithos run --sim` for every tenant, lithosd, lithos-simgpu, the
shim. All tenants are clients of one MPS (for the simulated GPU a folder with the id of a living
process), so that they run together. The machine is that of the torture tests.
"""

import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "torture", "kill"))
from machine import CONFIG, Failure, Machine, wait_for  # noqa: E402
from client import parse_set  # noqa: E402
from seen import Observation, TenantSeen, read_records, read_trace  # noqa: E402

SAMPLE_S = 0.005
STATUS_S = 0.05
READY_S = 30
AFTER_S = 30
BEGIN_NS = 5_000_000  # to tell everybody


def now_ns():
    return time.monotonic_ns()


def waited_ns(pid):
    """How long the process' main thread was ready and had no processor."""
    try:
        with open("/proc/%d/schedstat" % pid, encoding="ascii") as source:
            return int(source.read().split()[1])
    except (OSError, IndexError):
        return 0


class Sampler(threading.Thread):
    """While a mix runs: how late the machine makes GPU and daemon, and what status says."""

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world = world
        self.stop = threading.Event()
        self.late = []  # (time, ns of waiting of the simulated GPU so far, of the daemon)
        self.reports = []

    def run(self):
        gpu, daemon = self.world.gpu.pid, self.world.daemon.pid
        next_status = 0
        while not self.stop.wait(SAMPLE_S):
            at = now_ns()
            self.late.append((at, waited_ns(gpu), waited_ns(daemon)))
            if at < next_status:
                continue
            next_status = at + int(STATUS_S * 1e9)
            try:
                self.reports.append((at, self.world.report()))
            except (Failure, OSError, ValueError):
                pass

    def end(self):
        self.stop.set()
        self.join()


class Process:
    """A tenant: `lithos run` and the program in it."""

    def __init__(self, world, spec, folder):
        self.spec = spec
        self.records = os.path.join(folder, spec.name + ".records")
        self.trace = os.path.join(folder, spec.name + ".trace")
        self.log = os.path.join(folder, spec.name + ".log")
        command = [world.lithos, "run", "--sim", "--tenant", spec.name]
        if spec.quota:
            command += ["--quota", str(spec.quota)]
        command += ["--", world.program, "--records", self.records, *spec.arguments()]
        env = dict(world.environment, LITHOS_SIM_TRACE=self.trace)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    def ready(self):
        line = self.process.stdout.readline()
        if not line.startswith("ready "):
            raise Failure("tenant %s says %r: %s" % (self.spec.name, line, self.messages()))

    def go(self, begin_ns, end_ns):
        self.process.stdin.write("go %d %d\n" % (begin_ns, end_ns))
        self.process.stdin.flush()

    def messages(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read().strip()

    def kill(self):
        """All of it at once, as a job system or the kernel's memory killer do."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def close(self):
        self.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class World(Machine):
    def __init__(self, build, folder, chip, mutant=None):
        super().__init__(os.path.abspath(build), folder)
        self.chip = chip
        # The command line leads to the shim that lies beside it.
        self.lithos = os.path.join(self.build, "tests/properties", mutant or ".", "bin/lithos")
        if not mutant:
            self.lithos = os.path.join(self.build, "bin/lithos")
        self.program = os.path.join(self.build, "tests/properties/properties_tenant")
        self.kernels = os.path.join(self.build, "tests/properties/properties_sim_kernels.so")
        self.nr_mixes = 0
        mps = os.path.join(folder, "mps")
        os.makedirs(mps, exist_ok=True)
        with open(os.path.join(mps, "nvidia-cuda-mps-control.pid"), "w", encoding="ascii") as out:
            out.write("%d\n" % os.getpid())
        self.environment.update(
            LITHOS_SIM_GPU=chip,
            LITHOS_SIM_KERNELS=self.kernels,
            CUDA_MPS_PIPE_DIRECTORY=mps,
        )

    def is_built(self):
        return all(
            os.path.exists(p) for p in (self.lithos, self.lithosd, self.program, self.kernels)
        )

    def start_daemon(self):
        if self.gpu is None:
            path = self.environment["LITHOS_SIM_DEVICE"]
            self.gpu = self.start(
                "gpu", [self.simgpu, "--socket", path, "--gpu", self.chip], self.environment
            )
            wait_for(lambda: os.path.exists(path), READY_S, "the simulated GPU")
            with open(os.path.join(self.folder, "lithosd.yaml"), "w", encoding="ascii") as out:
                out.write(CONFIG)
        super().start_daemon()

    def own_sets(self):
        return {t["name"]: parse_set(t["own_set"]) for t in self.report()["tenants"]}

    def run(self, mix):
        """Observation of the mix; Failure where lithos itself broke down."""
        folder = os.path.join(self.folder, "mix%d" % self.nr_mixes)
        self.nr_mixes += 1
        os.makedirs(folder)
        processes = {}
        sampler = Sampler(self)
        try:
            for spec in mix.tenants:
                if not spec.begin_ms:
                    processes[spec.name] = Process(self, spec, folder)
            for process in processes.values():
                process.ready()
            own = self.own_sets()
            sampler.start()
            begin_ns = now_ns() + BEGIN_NS
            self.play(mix, processes, own, folder, begin_ns)
            sampler.end()
            return self.seen(mix, processes, own, begin_ns, sampler)
        finally:
            if sampler.is_alive():
                sampler.end()
            for process in processes.values():
                process.close()
            wait_for(
                lambda: not self.report()["tenants"], AFTER_S, "the daemon to forget the tenants"
            )

    def play(self, mix, processes, own, folder, begin_ns):
        """Those that are there begin, the others come and go; adds what those own."""
        for process in processes.values():
            process.go(begin_ns, begin_ns + process.spec.end_ms * 1_000_000)
        events = [(t.begin_ms, "comes", t) for t in mix.tenants if t.begin_ms]
        events += [(t.end_ms, "killed", t) for t in mix.tenants if t.is_killed]
        for at_ms, what, spec in sorted(events, key=lambda e: e[0]):
            time.sleep(max(0, begin_ns + at_ms * 1_000_000 - now_ns()) / 1e9)
            if what == "killed":
                processes[spec.name].kill()
                continue
            process = processes[spec.name] = Process(self, spec, folder)
            process.ready()
            own.update(self.own_sets())
            process.go(now_ns(), begin_ns + spec.end_ms * 1_000_000)
        for process in processes.values():
            self.await_end(process)

    def await_end(self, process):
        try:
            process.process.wait(AFTER_S)
        except subprocess.TimeoutExpired as error:
            raise Failure(
                "tenant %s does not end: %s" % (process.spec.name, process.messages())
            ) from error

    def seen(self, mix, processes, own, begin_ns, sampler):
        tenants = {}
        for name, p in processes.items():
            tenants[name] = TenantSeen(
                spec=p.spec,
                own=frozenset(own.get(name, ())),
                status=p.process.returncode,
                messages=p.messages(),
                requests=read_records(p.records),
                grids=read_trace(p.trace, mix.chip),
            )
        return Observation(mix, begin_ns, tenants, sampler.late, sampler.reports)
