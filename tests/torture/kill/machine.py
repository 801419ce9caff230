# SPDX-License-Identifier: Apache-2.0
"""A machine for one scenario: a simulated GPU, a daemon and tenants, all in one temporary
folder."""
import ctypes
import os
import shlex
import signal
import struct
import subprocess
import sys
import time

from client import Connection, Reservation, Status, parse_set

CONFIG = """version: v1
log: warn
mps:
  mode: off
limits:
  tenants_per_user: 400
  connections_per_user: 4000
"""


class Failure(Exception):
    pass


class Progress(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint64),
        ("nr_launches", ctypes.c_uint64),
        ("nr_rounds", ctypes.c_uint64),
        ("error", ctypes.c_uint64),
        ("what", ctypes.c_char * 96),
    ]


def wait_for(condition, seconds, what):
    """The condition's first true value; Failure after so long."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %g s for: %s" % (seconds, what))
        time.sleep(0.002)


class Tenant:
    """A reservation and one process."""

    def __init__(self, machine, name, tpcs, seed, extra=(), command=None, variables=None):
        self.machine, self.name, self.tpcs = machine, name, tpcs
        self.reservation = Reservation(machine.socket, name, tpcs)
        self.path = os.path.join(machine.folder, name + ".progress")
        with open(self.path, "wb") as out:
            out.write(bytes(ctypes.sizeof(Progress)))
        self.log = os.path.join(machine.folder, name + ".log")
        if command is None:
            command = [machine.tenant, "--progress", self.path, "--seed", str(seed), *extra]
        env = dict(self.environment(), **(variables or {}))
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )

    def environment(self):
        env = dict(self.machine.environment)
        env["LITHOS_TOKEN"] = self.reservation.token.hex()
        env["LITHOS_TENANT"] = self.name
        env["CUDA_VISIBLE_DEVICES"] = self.reservation.uuid_text()
        env["LD_LIBRARY_PATH"] = self.machine.shim
        if self.reservation.nr_own:
            env["LITHOS_TPC_QUOTA"] = str(self.reservation.nr_own)
        return env

    def progress(self):
        with open(self.path, "rb") as source:
            return Progress.from_buffer_copy(source.read(ctypes.sizeof(Progress)))

    def check(self):
        p = self.progress()
        if p.error:
            raise Failure("tenant %s: %s = %d" % (self.name, p.what.decode(), p.error))
        if self.process.poll() is not None:
            raise Failure("tenant %s ended with %d" % (self.name, self.process.returncode))

    def grant(self):
        """The process' own view of its grant (include/lithos/shm.h), for reports."""
        with open("/proc/%d/maps" % self.process.pid, encoding="ascii") as maps:
            starts = [int(row.split("-")[0], 16) for row in maps if "memfd:lithos-grant" in row]
        with open("/proc/%d/mem" % self.process.pid, "rb", buffering=0) as memory:
            memory.seek(starts[0])
            words = struct.unpack("<28I", memory.read(112))
        own, borrow = (sum(bin(w).count("1") for w in words[i : i + 4]) for i in (12, 16))
        return {"sequence": words[3], "state": words[8], "own": own, "borrow": borrow}

    def launches(self):
        self.check()
        return self.progress().nr_launches

    def kill(self):
        """SIGKILL, and what `lithos run` does when its child is gone; the moments before both."""
        killed = time.monotonic()
        self.process.send_signal(signal.SIGKILL)
        closed = time.monotonic()
        self.reservation.close()
        return killed, closed

    def reap(self):
        self.process.wait()


class Observer:
    """torture_observer, a process of a tenant of its own: when a process died, when its TPCs were
    free."""

    def __init__(self, machine):
        self.reservation = Reservation(machine.socket, "observer")
        command = [machine.observer, machine.socket, self.reservation.token.hex()]
        self.log = open(os.path.join(machine.folder, "observer.log"), "ab")
        self.process = subprocess.Popen(
            command + [self.reservation.uuid.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def read(self, word):
        fields = self.process.stdout.readline().split()
        if not fields or fields[0] != word:
            raise Failure("the observer says %r" % fields)
        return [int(field) for field in fields[1:]]

    def watch(self, pid, number):
        """Watches it from now on: whether the tenant owns TPCs, and whether its process has
        attached."""
        print(pid, number, file=self.process.stdin, flush=True)
        return self.read("armed")

    def result(self):
        """Seconds: last seen alive, first seen dead, TPCs first seen free (0: it had none)."""
        return [ns / 1e9 for ns in self.read("dead")]

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()
        self.reservation.close()
        self.log.close()


class Machine:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        self.socket = os.path.join(folder, "lithosd.sock")
        self.lithosd = os.path.join(build, "bin/lithosd")
        self.simgpu = os.path.join(build, "bin/lithos-simgpu")
        self.tenant = os.path.join(build, "tests/programs/torture_tenant")
        self.observer = os.path.join(build, "tests/programs/torture_observer")
        self.order_check = os.path.join(build, "tests/programs/order_check")
        self.order_kernels = os.path.join(build, "tests/liborder_sim_kernels.so")
        self.shim = os.path.join(build, "lib/lithos")
        self.daemon = None
        self.gpu = None
        self.tenants = []
        self.status = Status(self.socket)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("LITHOS_", "CUDA_"))}
        self.environment = dict(
            keep,
            LITHOS_SIM="1",
            LITHOS_SIM_LIBCUDA=os.path.join(build, "lib/sim/libcuda.so.1"),
            LITHOS_SIM_DEVICE=os.path.join(folder, "gpu.sock"),
            LITHOS_CACHE_DIR=os.path.join(folder, "cache"),
            LITHOS_RUN_DIR=os.path.join(folder, "run"),
            LITHOS_SOCKET=self.socket,
        )
        os.makedirs(os.path.join(folder, "cache"), exist_ok=True)
        os.makedirs(os.path.join(folder, "run"), exist_ok=True)

    def is_built(self):
        parts = (self.lithosd, self.simgpu, self.tenant, self.observer, self.shim)
        return all(os.path.exists(p) for p in parts)

    def start(self, name, command, env):
        with open(os.path.join(self.folder, name + ".log"), "ab") as log:
            return subprocess.Popen(command, env=env, stdout=log, stderr=log,
                                    stdin=subprocess.DEVNULL)

    def start_daemon(self):
        if self.gpu is None:
            path = self.environment["LITHOS_SIM_DEVICE"]
            self.gpu = self.start("gpu", [self.simgpu, "--socket", path], self.environment)
            wait_for(lambda: os.path.exists(path), 20, "the simulated GPU")
            config = os.path.join(self.folder, "lithosd.yaml")
            with open(config, "w", encoding="ascii") as out:
                out.write(CONFIG)
        command = [self.lithosd, "--config", os.path.join(self.folder, "lithosd.yaml"), "--sim"]
        command += ["--socket", self.socket, "--state", os.path.join(self.folder, "state.db")]
        command = shlex.split(os.environ.get("TORTURE_WRAP", "")) + command
        self.daemon = self.start("lithosd", command, self.environment)
        wait_for(self.answers, 60, "lithosd")

    def answers(self):
        if self.daemon.poll() is not None:
            raise Failure("lithosd ended with %d" % self.daemon.returncode)
        try:
            Connection(self.socket).close()
            return True
        except OSError:
            return False

    def kill_daemon(self):
        self.daemon.send_signal(signal.SIGKILL)
        self.daemon.wait()

    def add(self, name, tpcs, seed, extra=(), **other):
        tenant = Tenant(self, name, tpcs, seed, extra, **other)
        self.tenants.append(tenant)
        return tenant

    def report(self):
        if self.daemon.poll() is not None:
            raise Failure("lithosd ended with %d" % self.daemon.returncode)
        try:
            return self.status.get()
        except OSError as error:
            raise Failure("status: %s" % error) from error

    def check(self, report=None):
        """The invariants that hold at every step."""
        report = report or self.report()
        ledger = report["ledger"]
        if ledger["own"] + ledger["lent"] + ledger["free"] != ledger["all"]:
            raise Failure("own + lent + free != all: %r" % ledger)
        if not ledger["is_consistent"]:
            raise Failure("the ledger contradicts itself")
        # Owners and best effort are divided among separately.
        owned, lent = set(), {True: set(), False: set()}
        for tenant in report["tenants"]:
            own = parse_set(tenant["own_set"])
            borrow = parse_set(tenant["borrow_set"])
            if len(own) != tenant["own"] or own & owned:
                raise Failure("a TPC has two owners: %r" % report["tenants"])
            if own & borrow:
                raise Failure("%s borrows its own" % tenant["name"])
            if tenant["wants"] and borrow & lent[bool(own)]:
                raise Failure("two borrow the same TPC: %r" % report["tenants"])
            owned |= own
            lent[bool(own)] |= borrow if tenant["wants"] else set()
        if sum(gpu["owned"] for gpu in report["gpus"]) != len(owned):
            raise Failure("TPCs leaked: %d owned, %d known" % (report["gpus"][0]["owned"],
                                                               len(owned)))
        return report

    def show_logs(self):
        for name in sorted(os.listdir(self.folder)):
            if not name.endswith(".log"):
                continue
            with open(os.path.join(self.folder, name), "r", encoding="utf-8",
                      errors="replace") as log:
                for line in log.read().splitlines()[-8:]:
                    print("%s: %s" % (name, line), file=sys.stderr)

    def stop(self):
        for tenant in self.tenants:
            if tenant.process.poll() is None:
                tenant.process.send_signal(signal.SIGKILL)
                tenant.process.send_signal(signal.SIGCONT)
            tenant.process.wait()
            tenant.reservation.close()
        for process in (self.daemon, self.gpu):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.wait()
