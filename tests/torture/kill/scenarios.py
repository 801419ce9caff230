# SPDX-License-Identifier: Apache-2.0
"""The scenarios of run.py: functions of a machine and the arguments that return facts to print."""
import math
import mmap
import os
import random
import signal
import time

from client import Reservation, map_region
from machine import Failure, Observer, Tenant, wait_for

START_S = 60  # machines that test are slow and shared
LOOK_LIMIT_S = 0.001  # between two looks of the observer


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def is_going(tenants, when="", seconds=START_S):
    """Every one of them completes another launch."""
    before = {t.name: t.launches() for t in tenants}
    for tenant in tenants:
        what = "%s to launch %s" % (tenant.name, when)
        wait_for(lambda: tenant.launches() > before[tenant.name], seconds, what)


def start_tenants(machine, nr, nr_tpcs=2, extra=()):
    """Three of four are owners of a few TPCs."""
    tenants = []
    for i in range(nr):
        tpcs = 0 if i % 4 == 3 else nr_tpcs
        tenants.append(machine.add("tenant%d" % i, tpcs, random.randrange(1 << 30), extra))
    is_going(tenants)
    wait_for(lambda: are_attached(machine, tenants), START_S, "every tenant to be attached")
    return tenants


def are_attached(machine, tenants):
    here = {pid for t in machine.report()["tenants"] for pid in t["pids"]}
    return all(t.process.pid in here for t in tenants)


def ids(report):
    return {t["name"]: t["id"] for t in report["tenants"]}


# --- kill ----------------------------------------------------------------------------------------


def kill_one(machine, observer, slot):
    """Seconds from the kill to the death, and from there until others see its TPCs free.

    A killed process is not dead before the kernel has taken its memory down, which takes seconds
    where processors are scarce and many processes map the same files; only what follows is the
    daemon's. A tenant ends with the last of its process and its reservation. The time is what the
    observer took from the last look before that to the first after the TPCs were free, so it is
    never too small. NaN for one that owned nothing, or that was killed before it attached, which
    ends with its reservation. None for one at whose death the observer, which looks every 100 us
    before everything else on the machine, had not been let look for a millisecond: nothing ran
    there then. Those are counted.
    """
    victim = machine.tenants[slot]
    number = ids(machine.check())[victim.name]
    owns, was_attached = observer.watch(victim.process.pid, number)
    killed, closed = victim.kill()
    alive, dead, free = observer.result()
    if bool(victim.tpcs) != bool(owns) or bool(free) != bool(owns):
        raise Failure("%s of %d TPCs: place %d, free at %g" % (victim.name, victim.tpcs, owns,
                                                               free))
    wait_for(lambda: number not in ids(machine.check()).values(), 30, "the end of %s" % victim.name)
    victim.reap()
    if not owns or not was_attached:
        return dead - killed, math.nan
    return dead - killed, free - max(alive, closed) if dead - alive < LOOK_LIMIT_S else None


def replace(machine, slot, seed):
    """Another tenant of the same name and quota in the killed one's place."""
    old = machine.tenants[slot]
    machine.tenants[slot] = Tenant(machine, old.name, old.tpcs, seed)
    machine.check()


def milliseconds(values, part):
    return "%.2f" % (percentile(values, part) * 1e3)


def kill_many(machine, observer, count):
    """The times of kill_one(), of random tenants, each of which is replaced."""
    deaths, reclaims = [], []
    for i in range(count):
        slot = random.randrange(len(machine.tenants))
        time.sleep(random.random() * 0.03)
        death, reclaim = kill_one(machine, observer, slot)
        deaths.append(death)
        reclaims.append(reclaim)
        for other in machine.tenants:
            if other is not machine.tenants[slot]:
                other.check()
        replace(machine, slot, i)
    return deaths, reclaims


def kill(machine, args):
    nr, count = args.tenants or 8, args.count or 20
    start_tenants(machine, nr)
    observer = Observer(machine)
    try:
        deaths, reclaims = kill_many(machine, observer, count)
        is_going(machine.tenants)
        for slot in range(nr):
            kill_one(machine, observer, slot)
    finally:
        observer.stop()
    ledger = machine.check()["ledger"]
    if ledger["free"] != ledger["all"]:
        raise Failure("TPCs leaked: %r" % ledger)
    nr_unseen = reclaims.count(None)
    reclaims = [r for r in reclaims if r is not None and not math.isnan(r)]
    if args.strict and percentile(reclaims, 0.99) > 0.005:
        raise Failure("reclaim of a dead tenant's TPCs: p99 %s ms" % milliseconds(reclaims, 0.99))
    return {
        "tenants": nr,
        "kills": count,
        "reclaims": len(reclaims),  # of those that owned TPCs and had attached
        "unseen": nr_unseen,  # the observer had not been let look for a millisecond
        "leaked": 0,
        "reclaim_p50_ms": milliseconds(reclaims, 0.5),
        "reclaim_p99_ms": milliseconds(reclaims, 0.99),
        "reclaim_max_ms": milliseconds(reclaims, 1.0),
        "death_p50_ms": milliseconds(deaths, 0.5),
        "death_p99_ms": milliseconds(deaths, 0.99),
    }


# --- daemon --------------------------------------------------------------------------------------


def ledger_of(report):
    return sorted((t["name"], t["gpu"], t["own_set"]) for t in report["tenants"])


def everybody_is_back(machine, pids):
    report = machine.report()
    here = {p for t in report["tenants"] for p in t["pids"]}
    states = {t["state"] for t in report["tenants"]}
    return report if pids <= here and "gone" not in states else None


def daemon(machine, args):
    nr, count = args.tenants or 8, args.count or 5
    tenants = start_tenants(machine, nr)
    before = ledger_of(machine.check())
    pids = {t.process.pid for t in tenants}
    times = []
    for _ in range(count):
        time.sleep(random.random() * 0.1)
        machine.kill_daemon()
        grants = {t.name: t.grant() for t in tenants}
        is_going(tenants, "without a daemon, grants %r" % grants)
        machine.start_daemon()
        at = time.monotonic()
        for tenant in tenants:
            tenant.reservation.come_back(machine.socket)
        report = wait_for(lambda: everybody_is_back(machine, pids), 60, "the tenants to come back")
        times.append(time.monotonic() - at)
        machine.check(report)
        if ledger_of(report) != before:
            raise Failure("another ledger:\n%r\n%r" % (before, ledger_of(report)))
        is_going(tenants, "after the daemon came back")
    return {
        "tenants": nr,
        "daemon_kills": count,
        "tenant_errors": 0,
        "back_p50_s": "%.2f" % percentile(times, 0.5),
        "back_max_s": "%.2f" % max(times),
    }


# --- stop ----------------------------------------------------------------------------------------


def stopped(machine, victim, others, seconds):
    victim.process.send_signal(signal.SIGSTOP)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        machine.check()
        is_going(others)
    victim.process.send_signal(signal.SIGCONT)
    is_going([victim])


def has_borrowed(machine, name):
    return any(t["name"] == name and t["borrowed"] > 0 for t in machine.check()["tenants"])


def stop(machine, args):
    seconds = args.count or 3
    owner = machine.add("owner", 60, 1)
    borrower = machine.add("borrower", 0, 2, ("--gap-us", "100"))
    other = machine.add("other", 0, 3)
    is_going([owner, borrower, other])
    wait_for(lambda: has_borrowed(machine, "borrower"), START_S, "the borrower to hold TPCs")
    stopped(machine, borrower, [owner, other], seconds)
    stopped(machine, owner, [borrower, other], seconds)
    return {"stopped_s": seconds, "tenant_errors": 0}


# --- hostile -------------------------------------------------------------------------------------


def scribble(machine, reservation, count):
    """A process of a tenant that writes noise into its region until it is killed."""
    try:
        _, _, fds = reservation.attach(machine.socket)
        region = map_region(fds[1])
        noise = random.Random(os.getpid())
        while True:
            for _ in range(100):
                at = noise.randrange(len(region) - 8)
                region[at : at + 8] = noise.randbytes(8)
            count[0:8] = (int.from_bytes(count[0:8], "little") + 100).to_bytes(8, "little")
    finally:
        os._exit(1)


def hostile(machine, args):
    seconds = args.count or 3
    tenants = start_tenants(machine, args.tenants or 4)
    reservation = Reservation(machine.socket, "hostile", 2)
    count = mmap.mmap(-1, 8)
    pid = os.fork()
    if pid == 0:
        scribble(machine, reservation, count)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            machine.check()
            is_going(tenants)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        reservation.close()
    writes = int.from_bytes(count[0:8], "little")
    if not writes:
        raise Failure("the hostile tenant did not attach")
    wait_for(lambda: "hostile" not in ids(machine.check()), 30, "the hostile tenant's end")
    is_going(tenants)
    return {"hostile_s": seconds, "writes": writes, "tenant_errors": 0}


# --- attach --------------------------------------------------------------------------------------

PROCS_OF_A_TENANT = 60


def attach_child(machine, reservation, start, done):
    """Waits for the start, attaches, says so, and stays until it is killed."""
    try:
        os.read(start, 1)
        reservation.attach(machine.socket)
        os.write(done, b"y")
        signal.pause()
    finally:
        os._exit(1)


def attach(machine, args):
    nr = args.count or 60
    reservations = [
        Reservation(machine.socket, "many%d" % i, 1)
        for i in range((nr + PROCS_OF_A_TENANT - 1) // PROCS_OF_A_TENANT)
    ]
    start_read, start_write = os.pipe()
    done_read, done_write = os.pipe()
    pids = []
    for i in range(nr):
        pid = os.fork()
        if pid == 0:
            os.close(start_write)
            attach_child(machine, reservations[i // PROCS_OF_A_TENANT], start_read, done_write)
        pids.append(pid)
    os.close(done_write)
    os.close(start_read)
    try:
        time.sleep(0.5)
        at = time.monotonic()
        os.write(start_write, bytes(nr))
        nr_done = 0
        while nr_done < nr:
            data = os.read(done_read, 4096)
            if not data:
                raise Failure("%d of %d processes attached" % (nr_done, nr))
            nr_done += len(data)
        took = time.monotonic() - at
        report = machine.check()
        known = sum(len(t["pids"]) for t in report["tenants"])
        if known != nr:
            raise Failure("%d of %d processes are known" % (known, nr))
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        for pid in pids:
            os.waitpid(pid, 0)
    wait_for(lambda: not sum(len(t["pids"]) for t in machine.check()["tenants"]), 30, "their end")
    if args.strict and took > 2.0:
        raise Failure("%d processes attached in %.2f s" % (nr, took))
    return {"processes": nr, "attached_s": "%.2f" % took}


# --- rounds --------------------------------------------------------------------------------------


def rounds(machine, args):
    nr = args.count or 20
    tenant = machine.add("rounds", 4, 1, ("--rounds", str(nr)))
    machine.add("other", 0, 2)
    last, since = 0, time.monotonic()
    while tenant.process.poll() is None:
        done = tenant.progress().nr_rounds
        if done != last:
            last, since = done, time.monotonic()
        if time.monotonic() - since > START_S:
            raise Failure("round %d hangs" % (last + 1))
        machine.check()
        time.sleep(0.05)
    progress = tenant.progress()
    if progress.error or tenant.process.returncode or progress.nr_rounds != nr:
        raise Failure("round %d: %s" % (progress.nr_rounds + 1, progress.what.decode()))
    return {"rounds": nr, "threads": 64, "launches": progress.nr_launches}


# --- order ---------------------------------------------------------------------------------------


def deferred_by(machine, name):
    return sum(t["deferred"] for t in machine.check()["tenants"] if t["name"] == name)


def order(machine, args):
    """The order checker as a borrower, whose launches are held back by owners that come and go."""
    nr = args.count or 300
    owner = machine.add("owner", 66, 1, ("--gap-us", "3000", "--burst", "4"))
    is_going([owner])
    command = [machine.order_check, "--seed", str(args.seed), "--programs", str(nr)]
    kernels = {"LITHOS_SIM_KERNELS": machine.order_kernels}
    borrower = machine.add("borrower", 0, 1, command=command, variables=kernels)
    nr_deferred = 0
    while borrower.process.poll() is None:
        owner.check()
        nr_deferred = max(nr_deferred, deferred_by(machine, "borrower"))
        time.sleep(0.01)
    if borrower.process.returncode:
        raise Failure("order_check ended with %d" % borrower.process.returncode)
    if not nr_deferred:
        raise Failure("no launch was held back")
    is_going([owner])
    return {"programs": nr, "launches_held": nr_deferred}


ALL = {
    "kill": kill,
    "daemon": daemon,
    "stop": stop,
    "hostile": hostile,
    "attach": attach,
    "rounds": rounds,
    "order": order,
}
