# SPDX-License-Identifier: Apache-2.0
"""coverage.py and library.py's pure parts on made-up inputs; needs no GPU, no torch."""

import json
import os
import struct
import tempfile
import types
import unittest

import common
import coverage
import library

GANG = "gang: its blocks wait for one another"
FORCED = "forced: the option split says so"
UNREAD = "unread: its code is not read yet or cannot be followed"
SCAN = "_ZN3cub17CUB_200802_SM_90016DeviceScanKernelIiEEvv"
PLAIN = "_ZN2at6native29vectorized_elementwise_kernelILi4EEEvv"


def kernel(name, split=3, reason=FORCED, way="atoms", grid=(8, 1, 1), cut=0):
    return {"name": name, "launches": 5, "split": split, "cut": cut, "reason": reason, "way": way,
            "grid": list(grid)}


def row(digest="a", again=None, error=None, **ran):
    if error:
        return {"error": error}
    return {"sha256": digest, "sha256_again": again or digest, "ran": ran}


def run(entries, *kernels):
    """As load() gives it; ran: {kernel: launches made in parts}."""
    names = sorted({k for e in entries.values() for k in e.get("ran", {})})
    data = {"names": names, "entries": {
        name: {**e, "ran": {str(names.index(k)): [4, split, 0] for k,
                            split in e.get("ran", {}).items()}}
        for name, e in entries.items()}}
    return {"entries": coverage.entries_of("library", data),
            "stats": [{"kernels": list(kernels), "counters": {"works_cut": 1}}] if kernels else []}


def report(native, way, *kernels, native2=None, truth=()):
    runs = {"native": run(native), "native2": run(native2 or native), "atoms-8": run(way, *kernels)}
    return coverage.assemble(runs, coverage.read_truth(truth))


class Entries(unittest.TestCase):
    def test_same(self):
        out = report({"e": row()}, {"e": row(k=2)}, kernel("k"))
        self.assertEqual(coverage.failures(out["entries"]), [])
        self.assertEqual(out["covered"], ["k"])

    def test_differs(self):
        out = report({"e": row(), "f": row()}, {"e": row("b", k=2), "f": row(k=2)}, kernel("k"))
        self.assertEqual(coverage.failures(out["entries"]), ["library: e atoms-8: differs"])
        self.assertEqual(out["ways"]["atoms-8"]["k"]["state"], "suspect")
        self.assertEqual(out["covered"], [])

    def test_second_digest_counts(self):
        out = report({"e": row()}, {"e": row("a", "b", k=2)}, kernel("k"))
        self.assertEqual(len(coverage.failures(out["entries"])), 1)

    def test_whole_in_a_differing_entry_is_suspect_too(self):
        out = report({"e": row()}, {"e": row("b", k=0)}, kernel("k", split=0))
        self.assertEqual(out["ways"]["atoms-8"]["k"]["state"], "suspect")

    def test_unstable_natively_is_not_judged(self):
        for native, other in ((row("a", "b"), None), (row("a"), {"e": row("c")})):
            out = report({"e": native}, {"e": row("d", k=2)}, kernel("k"), native2=other)
            self.assertEqual(coverage.failures(out["entries"]), [])
            self.assertEqual(out["ways"]["atoms-8"]["k"]["state"], "unjudged")
            self.assertEqual(out["covered"], [])

    def test_order_of_blocks_is_not_judged(self):
        runs = {"native": run({"e.sum": row(), "f": row()}),
                "atoms-8": run({"e.sum": row("b"), "f": row("b")})}
        entries = coverage.judge(runs,
                                 coverage.read_patterns(["# a reason\n", "\n", r"\.sum$" + "\n"]))
        self.assertEqual([entries[name]["native"] for name in sorted(entries)],
                         ["reordered", "stable"])
        self.assertEqual(len(coverage.failures(entries)), 1)

    def test_errors(self):
        out = report({"e": row(), "f": row(), "g": row(error="lacks")},
                     {"e": row(error="hung"), "g": row(error="lacks")}, kernel("k"))
        self.assertEqual(coverage.failures(out["entries"]),
                         ["library: e atoms-8: error: hung", "library: f atoms-8: missing"])

    def test_native_without_time(self):
        out = report({"e": row(error=library.NO_TIME)}, {"e": row()}, kernel("k"))
        self.assertEqual(coverage.failures(out["entries"]),
                         ["library: e native: error: " + library.NO_TIME])

    def test_split_outside_the_hashed_runs_is_no_evidence(self):
        out = report({"e": row()}, {"e": row(k=0)}, kernel("k", split=3))
        self.assertEqual(out["ways"]["atoms-8"]["k"]["state"], "unjudged")

    def test_models(self):
        data = {"models": {"m": {"sha256": "a", "ran": {"k": [4, 2, 0]}}}}
        self.assertEqual(coverage.entries_of("models", data),
                         {"models: m": {"hashes": ["a"], "error": None, "ran": {"k": [4, 2, 0]}}})

    def test_suspect_in_one_way_is_not_covered(self):
        runs = {"native": run({"e": row()}), "atoms-8": run({"e": row(k=1)}, kernel("k")),
                "preempt-1": run({"e": row("b", k=1)}, kernel("k"))}
        self.assertEqual(coverage.assemble(runs, [])["covered"], [])


class Refusals(unittest.TestCase):
    def test_reasons(self):
        kernels = [kernel("small", 0, FORCED, "whole", (1, 1, 1)), kernel("odd", 0, FORCED,
            "atoms"),
                   kernel("together", 0, GANG, "whole"), kernel("done"),
                   kernel("lk_where", 0, GANG, "whole")]
        out = report({"e": row()}, {"e": row(done=1, together=0, late=0)}, *kernels)
        self.assertEqual(out["refused"], {
            coverage.ONE_BLOCK: {"atoms-8": ["small"]}, "not applied": {"atoms-8": ["odd"]},
            "gang": {"atoms-8": ["together"]}, coverage.NO_STATISTICS: {"atoms-8": ["late"]}})

    def test_statistics_of_two_processes_add_up(self):
        kernels = {}
        for stats in ([kernel("k", 1, "not asked for: x", "whole")],
                      [kernel("k", 2, GANG, "whole", cut=1)],
                      [kernel("k", 0, "not asked for: x", "whole")]):
            coverage.add_statistics(kernels, {"kernels": stats})
        self.assertEqual((kernels["k"]["split"], kernels["k"]["cut"], kernels["k"]["reason"]),
                         (3, 1, GANG))


class Gangs(unittest.TestCase):
    def test_cells(self):
        kernels = [kernel(SCAN, 0, GANG, "whole"), kernel(PLAIN), kernel("x", 0, GANG, "whole"),
                   kernel("fp", 0, GANG, "whole"), kernel("fn"), kernel("u", 0, UNREAD, "whole"),
                   kernel("both", 2, GANG, "whole"), kernel("one", 0, FORCED, "whole", (1, 1, 1))]
        out = report({"e": row()}, {"e": row()}, *kernels,
                     truth=["# why", "", "gang DeviceScanKernel", "free elementwise", "free ^fp$",
                            "gang ^fn$",
                            "gang ^u$"])
        cells = {cell: names for cell, names in out["gangs"].items() if names}
        self.assertEqual(cells, {
            "true_positives": [SCAN], "true_negatives": [PLAIN], "gangs_not_judged": ["x"],
            "false_positives": ["fp"], "false_negatives": ["fn"], "unread_gangs": ["u"],
            "mixed": ["both"]})

    def test_first_match_decides(self):
        truth = coverage.read_truth(["free ^abc", "gang ^ab"])
        self.assertEqual([coverage.is_gang(truth, n) for n in ("abcd", "abd", "x")],
                         [False, True, None])
        self.assertRaises(ValueError, coverage.read_truth, ["perhaps x"])

    def test_file(self):
        with open(os.path.join(common.HERE, "gangs.txt"), encoding="utf-8") as lines:
            truth = coverage.read_truth(lines)
        known = {
            SCAN: True, PLAIN: False,
            "_ZN3cub17CUB_200802_SM_90020DeviceScanInitKernelIiEEvv": False,
            "_ZN3cub17CUB_200802_SM_90029DeviceRadixSortOnesweepKernelIiEEvv": True,
            "_ZN3cub17CUB_200802_SM_90030DeviceRadixSortHistogramKernelIiEEvv": False,
            "_ZN3cub17CUB_200802_SM_90018DeviceReduceKernelIiEEvv": False,
            "_ZN3cub17CUB_200802_SM_90023DeviceReduceByKeyKernelIiEEvv": True,
            "_ZN5cudnn31batchnorm_bwtr_nhwc_semiPersistI6__halffEEvv": True,
            "_ZN2at6native13reduce_kernelILi512EEEvv": False,
            "_ZN13pytorch_flash43flash_bwd_dq_dk_dv_loop_seqk_parallel_kernelIiEEvv": False,
            "fmha_cutlassB_f16_aligned_64x64_k64_sm80": True, "loop_add_fusion": False,
            "_Z14trsm_ln_kernelIdEvv": True, "_Z22batch_trsm_left_kernelIfEvv": None,
            "nvjet_sm90_hsh_128x128_64x6_2x1_v_bz_splitK_NTT": None,
        }
        for name, gang in known.items():
            self.assertIs(coverage.is_gang(truth, name), gang, name)


class Files(unittest.TestCase):
    def write(self, folder, name, value):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
            json.dump(value, out)

    def test_load(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, "library.native.json", {"names": [], "entries": {"e": row()}})
            self.write(folder, "library.atoms-8.json",
                       {"names": ["k"], "entries": {"e": {**row(), "ran": {"0": [2, 1, 0]}}}})
            self.write(folder, "models.atoms-8.json", {"models": {"m": {"sha256": "a"}}})
            for name in ("library.atoms-8.stats.json", "library.atoms-8.stats.2.json"):
                self.write(folder, name, {"kernels": [kernel("k")], "counters": {"works_cut": 2}})
            runs, missing = coverage.load(folder)
        self.assertEqual(missing, ["models atoms-8: no statistics"])
        out = coverage.assemble(runs, [])
        self.assertEqual(out["counters"], {"atoms-8": {"works_cut": 4}})
        self.assertEqual(out["covered"], ["k"])
        words = coverage.demangle({"k", PLAIN})
        self.assertEqual(words["k"], "k")
        self.assertIn("covered: 1 distinct", coverage.render(out, words))
        small = coverage.compact(out, words)
        self.assertEqual(small["kernels"][0]["ways"]["atoms-8"]["state"], "exact")
        self.assertEqual(small["entries"]["library: e"], {"native": "stable", "sha256": "a"})

    def test_resumed_result(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "r.json")
            first = library.Result(path, "x")
            first.put("a", {"sha256": "1", "ran": first.numbered({"k": [1, 0, 0], "l": [1, 1, 0]})})
            first.put("b", {"error": library.NO_TIME})
            first.put("c", {"error": "hung"})
            first.write()
            again = library.Result(path, "x")
            again.resume()
            self.assertEqual([again.is_done(n) for n in "abcd"], [True, False, True, False])
            self.assertEqual(again.numbered({"l": [2, 0, 0], "m": [1, 0, 0]}),
                             {"1": [2, 0, 0], "2": [1, 0, 0]})

    def test_an_entry_that_raises_is_noted(self):
        def broken():
            raise ValueError("no such thing")
        with tempfile.TemporaryDirectory() as folder:
            result = library.Result(os.path.join(folder, "r.json"), "x")
            was, library.is_broken = library.is_broken, lambda: False
            measure, library.measure = library.measure, lambda make, *_: make()
            try:
                options = types.SimpleNamespace(repeats=1, label="x")
                self.assertTrue(library.run_entry("e", broken, options, None, result))
            finally:
                library.is_broken, library.measure = was, measure
        self.assertEqual(result.data["entries"]["e"], {"error": "ValueError: no such thing"})


class Live(unittest.TestCase):
    def write(self, folder, launches, split, cut):
        header = struct.pack("<10I", 0x5354534C, 2, 632, 1360, 4, 0, 5, 33, 66, 3)
        rows = b""
        for name in (b"alpha", b"beta", b"alpha"):
            fields = struct.pack("<QQQ3I3IIIIIIIII", launches, 0, 0, 9, 8, 7, 32, 1, 1, 2, 33, 0, 0,
                                 split, cut,
                                 0, 0)
            self.assertEqual(len(fields), 80)
            rows += fields + name.ljust(256, b"\0") + bytes(1024)
        with open(os.path.join(folder, "stats.5"), "wb") as out:
            out.write(header.ljust(632, b"\0") + rows + bytes(1360))

    def test_totals(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder, 7, 2, 1)
            totals = library.SplitStats(folder, 5).totals()
        self.assertEqual(totals, {"alpha": (14, 4, 2), "beta": (7, 2, 1)})
        before = {"alpha": (14, 4, 2), "beta": (5, 2, 0)}
        self.assertEqual(library.grown(before, totals), {"beta": [2, 0, 1]})
        self.assertEqual(library.SplitStats("", 5).totals(), {})


if __name__ == "__main__":
    unittest.main()
