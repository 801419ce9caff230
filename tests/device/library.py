# SPDX-License-Identifier: Apache-2.0
"""Runs every operation of operations.py and writes what came out, and which kernels were split for
it.

    library.py --label native --out library.native.json
    LITHOS_SPLIT=atoms:8 lithos run --stats=json ... -- library.py --label atoms-8 --out ...

An entry is run --repeats times first: code is read, and shapes are learned, at a kernel's first
launches, so only later ones are split. Then it is run and hashed twice: do both agree, the
operation is stable here. Around the hashed runs the shim's live counters are read; so a kernel is
known to have been split in the very launches whose bits are compared. coverage.py sets the files of
all ways side by side.

What an entry raises is noted and the next one runs. One that makes no progress for --patience
seconds ends the process with exit code 3, and so does one that breaks the context; with --resume
the file is read first and what is in it is not run again. The file is compact JSON: {label, names:
kernel names, entries: {name: {sha256, sha256_again, ms, ran: {index of a kernel: [launches, split,
cut]}} or {error}}}.
"""

import argparse
import faulthandler
import gc
import json
import os
import struct
import sys
import threading
import time

import gpu

BEGIN = time.monotonic()
EXIT_AGAIN = 3  # some entries are left, and another process can run them
NO_TIME = "no time left"
RAW_BYTES = 1 << 18  # larger outputs are summed up on the GPU


def environment():
    """Before any CUDA library starts. XLA's autotuner picks algorithms by measured time: off."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.setdefault("XLA_FLAGS",
                          "--xla_gpu_autotune_level=0 --xla_gpu_deterministic_ops=true")


class SplitStats(gpu.LiveStats):
    """Launches of each kernel of this process so far, those made in parts, and those cut short."""

    SPLIT_OFFSET = 64  # nr_split, nr_cut of struct stats_kernel

    def __init__(self, folder=None, pid=None):
        super().__init__(folder, pid)
        self.names = []

    def _name(self, i):
        at = self.header + i * self.row + self.NAME_OFFSET
        return self.map[at:at + self.NAME_BYTES].split(b"\0", 1)[0].decode("utf-8", "replace")

    def totals(self):
        if self.map is None:
            return {}
        (nr_kernels,) = struct.unpack_from("<I", self.map, 36)
        for i in range(len(self.names), min(nr_kernels, self.limit)):
            self.names.append(self._name(i))
        rows = {}
        for i, name in enumerate(self.names):
            at = self.header + i * self.row
            (launches,) = struct.unpack_from("<Q", self.map, at)
            split, cut = struct.unpack_from("<II", self.map, at + self.SPLIT_OFFSET)
            # Two modules may hold kernels of one name: they add up.
            old = rows.get(name, (0, 0, 0))
            rows[name] = (old[0] + launches, old[1] + split, old[2] + cut)
        return rows


def grown(before, after):
    """{name: [launches, split, cut]} of the kernels launched between two totals."""
    rows = {}
    for name, row in after.items():
        old = before.get(name, (0, 0, 0))
        if row[0] > old[0]:
            rows[name] = [new - was for new, was in zip(row, old)]
    return rows


class Result:
    """The file. Written by the main thread, and by the watchdog when that one is stuck."""

    WRITE_EVERY_S = 2

    def __init__(self, path, label):
        self.path, self.lock, self.written = path, threading.Lock(), 0.0
        self.data = {"label": label, "names": [], "entries": {}}
        self.index = {}

    def resume(self):
        try:
            with open(self.path, encoding="utf-8") as old:
                self.data = json.load(old)
        except (OSError, ValueError):
            return
        self.index = {name: i for i, name in enumerate(self.data["names"])}

    def is_done(self, name):
        return self.data["entries"].get(name, {"error": NO_TIME}).get("error") != NO_TIME

    def numbered(self, ran):
        """Kernels by their index in `names`: a name is long, and stands in many entries."""
        out = {}
        for name, row in ran.items():
            if name not in self.index:
                self.index[name] = len(self.data["names"])
                self.data["names"].append(name)
            out[str(self.index[name])] = row
        return out

    def put(self, name, row):
        with self.lock:
            self.data["entries"][name] = row
            if time.monotonic() - self.written > self.WRITE_EVERY_S:
                self._write()

    def write(self):
        with self.lock:
            self._write()

    def _write(self):
        with open(self.path + ".new", "w", encoding="utf-8") as out:
            json.dump(self.data, out, separators=(",", ":"))
        os.replace(self.path + ".new", self.path)
        self.written = time.monotonic()


class Watchdog(threading.Thread):
    """Ends the process when the entry begun last does not end: notes that it hangs, and every
    stack."""

    def __init__(self, result, patience_s):
        super().__init__(daemon=True)
        self.result, self.patience_s = result, patience_s
        self.name_of_entry, self.begun = None, time.monotonic()

    def begin(self, name):
        self.begun, self.name_of_entry = time.monotonic(), name

    def run(self):
        while True:
            time.sleep(0.5)
            if self.name_of_entry and time.monotonic() - self.begun > self.patience_s:
                self.give_up()

    def give_up(self):
        error = f"hung: no end after {self.patience_s:.0f} s"
        print(f"library: {self.name_of_entry} {error}", file=sys.stderr, flush=True)
        faulthandler.dump_traceback()
        self.result.put(self.name_of_entry, {"error": error})
        self.result.write()
        os._exit(EXIT_AGAIN)


def arrays_of(value):
    """As torch tensors: JAX's arrays through numpy, complex numbers as pairs."""
    import torch
    import operations
    found = operations.tensors(value)
    if not found:
        import numpy
        arrays = value if isinstance(value, (tuple, list)) else [value]
        found = [torch.from_numpy(numpy.array(array).reshape(-1)).cuda() for array in arrays]
    return [torch.view_as_real(t.detach().resolve_conj()) if t.is_complex() else t.detach()
            for t in found]


def seeded(run):
    import torch
    torch.manual_seed(0)
    return run()


def measure(make, repeats, stats, result):
    """One entry's row."""
    import torch
    import zoo
    run = make()
    for _ in range(repeats):
        # JAX has a stream of its own; what is read here has been waited for.
        arrays_of(seeded(run))
        torch.cuda.synchronize()
    before, begin = stats.totals(), time.perf_counter()
    first = zoo.digest(arrays_of(seeded(run)), RAW_BYTES)
    ms = 1e3 * (time.perf_counter() - begin)
    again = zoo.digest(arrays_of(seeded(run)), RAW_BYTES)
    torch.cuda.synchronize()
    ran = grown(before, stats.totals())
    return {"sha256": first, "sha256_again": again, "ms": round(ms, 3), "ran": result.numbered(ran)}


def set_up():
    import torch
    import zoo
    zoo.settle(False)
    torch.set_default_device("cuda")
    torch.zeros(1).add_(1)


def is_broken():
    """Whether the context is lost, as after an access to memory that is not mapped."""
    import torch
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


def run_entry(name, make, options, stats, result):
    """Notes one entry. False when nothing more can run in this process."""
    try:
        row = measure(make, options.repeats, stats, result)
    except Exception as error:  # pylint: disable=broad-except
        row = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(f"library: {options.label} {name}: {row['error']}", file=sys.stderr, flush=True)
    result.put(name, row)
    return "error" not in row or not is_broken()


def run_all(entries, options, result):
    import torch
    stats, dog = SplitStats(), Watchdog(result, options.patience)
    dog.start()
    for count, (name, make) in enumerate(entries.items()):
        if result.is_done(name):
            continue
        if time.monotonic() - BEGIN > options.limit:
            result.put(name, {"error": NO_TIME})
            continue
        dog.begin(name)
        if not run_entry(name, make, options, stats, result):
            return EXIT_AGAIN
        dog.begin(None)
        if count % 64 == 63:
            gc.collect()
            torch.cuda.empty_cache()
    return 0


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--label", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--repeats", type=int, default=4, help="runs before the hashed ones")
    parser.add_argument("--limit", type=float, default=60, help="seconds for the whole process")
    parser.add_argument("--patience", type=float, default=20, help="seconds an entry may take")
    parser.add_argument("--only", default="",
                        help="comma-separated beginnings of names; all when empty")
    parser.add_argument("--resume", action="store_true", help="go on with the file")
    return parser.parse_args()


def main():
    options = parse()
    environment()
    # Should the watchdog be stuck itself.
    faulthandler.dump_traceback_later(options.limit + 2 * options.patience, exit=True)
    import torch
    set_up()
    import operations
    result = Result(options.out, options.label)
    if options.resume:
        result.resume()
    result.data["torch"] = torch.__version__
    result.data["gpu"] = torch.cuda.get_device_name(0)
    wanted = tuple(options.only.split(",")) if options.only else ("",)
    entries = {n: make for n, make in operations.entries().items() if n.startswith(wanted)}
    code = run_all(entries, options, result)
    result.data["seconds"] = round(time.monotonic() - BEGIN, 1)
    result.write()
    faulthandler.cancel_dump_traceback_later()
    done = [row for row in result.data["entries"].values() if "error" not in row]
    print(f"library: {options.label}: {len(done)} of {len(entries)} entries, {len(result.data['names'])} "
          f"kernels, {result.data['seconds']} s", file=sys.stderr, flush=True)
    if code:
        # A library's destructors may wait for a context that is lost.
        os._exit(code)


if __name__ == "__main__":
    main()
