# SPDX-License-Identifier: Apache-2.0
"""Looks at the GPU from inside a framework's process, through the driver it uses.

SmProbe launches lk_where of tests/programs/kernels.ptx in the current context and counts the
different %smid. LiveStats reads the statistics file the shim maps while the process runs
(include/lithos/stats.h), so that kernels can be told apart by model.
"""

import ctypes
import mmap
import os
import struct


class SmProbe:
    BLOCKS_PER_SM = 8
    MULTIPROCESSOR_COUNT = 16  # CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT

    def __init__(self, ptx_path):
        self.cuda = ctypes.CDLL("libcuda.so.1")
        with open(ptx_path, "rb") as ptx:
            self.ptx = ptx.read() + b"\0"
        context, module = ctypes.c_void_p(), ctypes.c_void_p()
        self.function, self.words = ctypes.c_void_p(), ctypes.c_uint64()
        self._must("cuCtxGetCurrent", ctypes.byref(context))
        if not context.value:
            raise RuntimeError("no current CUDA context")
        self._must("cuModuleLoadData", ctypes.byref(module), self.ptx)
        self._must("cuModuleGetFunction", ctypes.byref(self.function), module, b"lk_where")
        self.nr_blocks = self.BLOCKS_PER_SM * self.reported()
        self._must("cuMemAlloc_v2", ctypes.byref(self.words), ctypes.c_size_t(4 * self.nr_blocks))

    def _must(self, name, *arguments):
        result = getattr(self.cuda, name)(*arguments)
        if result:
            raise RuntimeError(f"{name} = {result}")

    def reported(self):
        count, device = ctypes.c_int(), ctypes.c_int()
        self._must("cuCtxGetDevice", ctypes.byref(device))
        self._must("cuDeviceGetAttribute", ctypes.byref(count), self.MULTIPROCESSOR_COUNT, device)
        return count.value

    def used(self, rounds=3, ns=100000):
        """How many different SMs a grid of 8 blocks an SM runs on."""
        seen = set()
        host = (ctypes.c_uint32 * self.nr_blocks)()
        duration = ctypes.c_uint64(ns)
        params = (ctypes.c_void_p * 2)(ctypes.addressof(self.words), ctypes.addressof(duration))
        for _ in range(rounds):
            self._must("cuLaunchKernel", self.function, self.nr_blocks, 1, 1, 32, 1, 1, 0, None,
                       params, None)
            self._must("cuCtxSynchronize")
            self._must("cuMemcpyDtoH_v2", host, self.words, ctypes.c_size_t(4 * self.nr_blocks))
            seen.update(host)
        return len(seen)


class LiveStats:
    """Kernel rows of this process, by name. Absent (native, --profile) it answers None."""

    MAGIC, VERSION = 0x5354534C, 2
    NAME_OFFSET, NAME_BYTES = 80, 256
    GRID_OFFSET, TPCS_OFFSET, FLAGS_OFFSET = 24, 52, 56

    def __init__(self, folder=None, pid=None):
        self.map = None
        folder = folder if folder is not None else os.environ.get("LITHOS_RUN_DIR", "")
        if not folder:
            return
        try:
            with open(os.path.join(folder, f"stats.{pid or os.getpid()}"), "rb") as stats:
                self.map = mmap.mmap(stats.fileno(), 0, prot=mmap.PROT_READ)
        except (OSError, ValueError):
            return
        magic, version, self.header, self.row, self.limit = struct.unpack_from("<5I", self.map, 0)
        if magic != self.MAGIC or version != self.VERSION:
            self.map = None

    def kernels(self):
        if self.map is None:
            return None
        (nr_kernels,) = struct.unpack_from("<I", self.map, 36)
        rows = {}
        for i in range(min(nr_kernels, self.limit)):
            at = self.header + i * self.row
            (nr_launches,) = struct.unpack_from("<Q", self.map, at)
            grid = list(struct.unpack_from("<3I", self.map, at + self.GRID_OFFSET))
            (tpcs,) = struct.unpack_from("<I", self.map, at + self.TPCS_OFFSET)
            raw = self.map[at + self.NAME_OFFSET:at + self.NAME_OFFSET + self.NAME_BYTES]
            name = raw.split(b"\0", 1)[0].decode("utf-8", "replace")
            # Two modules may hold kernels of one name: their launches add up.
            row = rows.setdefault(name, {"launches": 0, "grids": [], "tpcs": tpcs})
            row["launches"] += nr_launches
            row["grids"].append(grid)
        return rows


def launched_between(before, after):
    """The kernels whose count grew, with how often; None without statistics."""
    if before is None or after is None:
        return None
    grown = {}
    for name, row in after.items():
        launches = row["launches"] - before.get(name, {"launches": 0})["launches"]
        if launches > 0 and name != "lk_where":
            grown[name] = {"launches": launches, "grids": sorted(row["grids"]), "tpcs": row["tpcs"]}
    return grown
