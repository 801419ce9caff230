# SPDX-License-Identifier: Apache-2.0
"""compare.py, gpu.py's reader and cost.py's arithmetic on made-up inputs; needs no GPU, no
torch."""

import os
import struct
import tempfile
import unittest

import common
import compare
import cost
import gpu


def kernels(*names, grid=(1, 1, 1)):
    return {n: {"launches": 3, "grids": [list(grid)], "tpcs": 66} for n in names}


def run(label, digest, sms, ms=1.0, rows=None, **more):
    row = {"sha256": digest, "finite": True, "ms": ms, "iterations": 5, "sms_before": sms,
           "sms_after": sms, "kernels": rows, "seconds": 1.0, **more}
    return {"label": label, "reported_sms": sms, "models": {"m": row}}


class Compare(unittest.TestCase):
    def test_identical(self):
        runs = [run("native", "a", 132), run("q33", "a", 66, ms=2.0, rows=kernels("k"))]
        out = compare.compare(runs)
        self.assertTrue(out["m"]["runs"]["q33"]["identical"])
        self.assertAlmostEqual(out["m"]["runs"]["q33"]["relative_speed"], 0.5)
        self.assertEqual(compare.problems(out), [])
        self.assertIn("0.50x same", compare.render(out, ["native", "q33"]))

    def test_other_kernel_explains(self):
        runs = [run("native", "a", 132), run("q66", "a", 132, rows=kernels("k", "big")),
                run("q33", "b", 66, rows=kernels("k", "small"))]
        out = compare.compare(runs)
        entry = out["m"]["runs"]["q33"]
        self.assertEqual(entry["difference"]["only_native"], ["big"])
        self.assertEqual(entry["difference"]["only_here"], ["small"])
        self.assertTrue(entry["explained"])
        self.assertEqual(compare.problems(out), [])

    def test_other_grid_explains(self):
        runs = [run("native", "a", 132), run("q66", "a", 132, rows=kernels("k", grid=(3, 1, 1))),
                run("q33", "b", 66, rows=kernels("k", grid=(2, 1, 1)))]
        out = compare.compare(runs)
        self.assertEqual(out["m"]["runs"]["q33"]["difference"]["other_grid"], ["k"])
        self.assertEqual(compare.problems(out), [])

    def test_same_kernels_do_not_explain(self):
        runs = [run("native", "a", 132), run("q66", "a", 132, rows=kernels("k")),
                run("q33", "b", 66, rows=kernels("k"))]
        found = compare.problems(compare.compare(runs))
        self.assertEqual(found, ["m q33: differs from native for no visible reason"])

    def test_no_kernel_list_does_not_explain(self):
        runs = [run("native", "a", 132), run("q33", "b", 66)]
        self.assertEqual(len(compare.problems(compare.compare(runs))), 1)

    def test_unstable_natively_is_no_fault_of_ours(self):
        runs = [run("native", "a", 132), run("native2", "c", 132), run("q33", "b", 66)]
        out = compare.compare(runs)
        self.assertIs(out["m"]["native_stable"], False)
        self.assertEqual(compare.problems(out), [])

    def test_wrong_sms(self):
        runs = [run("native", "a", 132), run("q16", "a", 132)]
        self.assertEqual(compare.problems(compare.compare(runs)), ["m q16: SMs 132, 132"])

    def test_error_and_missing(self):
        runs = [run("native", "a", 132), {"label": "q4", "models": {"m": {"error": "hang"}}},
                {"label": "q16", "models": {}}]
        out = compare.compare(runs)
        self.assertEqual(compare.problems(out), ["m q4: hang", "m q16: missing"])
        self.assertIn("error", compare.render(out, ["native", "q4", "q16"]))

    def test_stats_of_any_shape(self):
        stats = {"processes": [{"pid": 1, "kernels": [{"name": "a", "launches": 2}]},
                               {"kernels": [{"name": "a", "nr_launches": 3}, {"name": "b"}]}]}
        self.assertEqual(compare.all_kernels(stats), {"a": 5})


class Live(unittest.TestCase):
    def write(self, folder, version=2, launches=7):
        header = struct.pack("<10I", 0x5354534C, version, 632, 1360, 4, 0, 5, 33, 66, 2)
        rows = b""
        for name in (b"alpha", b"beta"):
            row = struct.pack("<QQQ3I3IIIII", launches, 0, 0, 9, 8, 7, 32, 1, 1, 2, 33, 0,
                              0) + bytes(16)
            self.assertEqual(len(row), 80)
            rows += row + name.ljust(256, b"\0") + bytes(1024)
        with open(os.path.join(folder, "stats.5"), "wb") as out:
            out.write(header.ljust(632, b"\0") + rows + bytes(2 * 1360))

    def test_reads_rows(self):
        with tempfile.TemporaryDirectory() as folder:
            self.write(folder)
            read = gpu.LiveStats(folder, 5).kernels()
        self.assertEqual(read["alpha"], {"launches": 7, "grids": [[9, 8, 7]], "tpcs": 33})
        self.assertEqual(sorted(read), ["alpha", "beta"])
        later = {**read, "beta": {**read["beta"], "launches": 9}, "lk_where": read["alpha"]}
        self.assertEqual(gpu.launched_between(read, later),
                         {"beta": {"launches": 2, "grids": [[9, 8, 7]], "tpcs": 33}})

    def test_refuses_other_versions_and_absence(self):
        with tempfile.TemporaryDirectory() as folder:
            self.assertIsNone(gpu.LiveStats(folder, 5).kernels())
            self.write(folder, version=1)
            self.assertIsNone(gpu.LiveStats(folder, 5).kernels())
        self.assertIsNone(gpu.LiveStats("", 5).kernels())
        self.assertIsNone(gpu.launched_between(None, None))


class Cost(unittest.TestCase):
    def test_paired_difference(self):
        rounds = [{"native": 100.0, "lithos": 130.0}, {"native": 200.0, "lithos": 240.0},
                  {"native": 150.0, "lithos": 165.0}]
        out = cost.added(rounds, "lithos")
        self.assertEqual((out["median"], out["min"], out["max"], out["n"]), (30.0, 15.0, 40.0, 3))
        self.assertEqual(cost.added(rounds, "absent")["n"], 0)

    def test_order_turns(self):
        orders = [cost.rotated(["a", "b", "c"], i) for i in range(3)]
        self.assertEqual(orders, [["a", "b", "c"], ["b", "c", "a"], ["c", "a", "b"]])


class Common(unittest.TestCase):
    def test_last_json(self):
        self.assertEqual(common.last_json('x\n{"a": 1}\nnoise'), {"a": 1})
        self.assertIsNone(common.last_json("nothing"))
        self.assertIsNone(common.last_json("{broken"))

    def test_timeout_kills(self):
        done = common.run(["sleep", "30"], 1)
        self.assertTrue(common.hung(done["rc"]))


if __name__ == "__main__":
    unittest.main()
