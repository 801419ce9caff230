# SPDX-License-Identifier: Apache-2.0
"""mixes.py: which commands it runs, when it stops, and what it makes of result files. Needs no
GPU."""

import argparse
import contextlib
import io
import json
import os
import tempfile
import time
import unittest

import mixes

OPTIONS = {"sim": True, "systems": "alone,lithos", "seconds": 5.0, "ready_limit": 60.0,
           "bench_option": ["--keep"]}  # fmt: skip


def report(p99_ratio, rate_ratio, error=None):
    tenant = {"name": "a", "p99_ms": 2.0, "p99_ratio": p99_ratio, "rate_ratio": rate_ratio,
              "rate": 10.0, "unfinished": 3}  # fmt: skip
    system = {"name": "lithos", "rate_sum": rate_ratio, "tenants": [tenant]}
    if error:
        system = {"name": "lithos", "error": error}
    return {"scenario": "stacking", "model": "vit-b", "repetitions": [{"systems": [system]}]}


class Mixes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def put(self, name, value):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(value, file)
        return path

    def options(self, **named):
        return argparse.Namespace(out=self.folder.name, **{**OPTIONS, **named})

    def test_commands(self):
        command, path = mixes.command_of("stacking:vit-b:mps", "7", self.options())
        self.assertEqual(os.path.basename(path), "stacking.vit-b.7.json")
        text = " ".join(command)
        for words in ("--scenario stacking", "--model vit-b", "--system mps ", "--seed 7"):
            self.assertIn(words, text)
        self.assertEqual(command[-1], "--keep")
        command, path = mixes.command_of("hybrid", "1", self.options())
        self.assertNotIn("--model", command)
        self.assertIn("alone,lithos", command)
        self.assertEqual(os.path.basename(path), "hybrid.default.1.json")

    def test_one_seed_after_the_other_until_the_limit(self):
        ran = []

        def run(command, until):
            ran.append(command[command.index("--scenario") + 1])
            return 1000.0 if len(ran) == 3 else 0.0

        original, mixes.run = mixes.run, run
        self.addCleanup(setattr, mixes, "run", original)
        options = self.options(limit=100.0, seeds=["1", "2"], mixes=["hybrid", "stacking"])
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            mixes.measure(options)
        self.assertEqual(ran, ["hybrid", "stacking", "hybrid"])
        self.assertIn("no time for stacking.default.2.json", output.getvalue())

    def test_a_command_is_stopped_at_the_limit(self):
        took = mixes.run(["sleep", "100"], time.monotonic() + 0.2)
        self.assertLess(took, 50)

    def test_medians_and_the_worst(self):
        paths = [self.put("1.json", report(1.5, 0.9)), self.put("2.json", report(1.0, 0.5)),
                 self.put("3.json", report(4.0, 1.0)), self.put("4.json", report(0, 0, "no"))]
        merged = mixes.merge(paths)
        numbers = merged[("stacking", "vit-b")]["lithos"]
        self.assertEqual(mixes.cell(numbers["a"], "p99_ratio", True), "1.50 (4.00)")
        self.assertEqual(mixes.cell(numbers["a"], "rate_ratio", True), "0.90 (0.50)")
        self.assertEqual(mixes.cell(numbers[""], "rate_sum", True), "0.90 (0.50)")
        self.assertEqual(mixes.cell(numbers["a"], "p50_ms", False), "-")
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            mixes.table(paths)
        self.assertIn("1.50 (4.00)", output.getvalue())

    def test_a_system_that_always_failed_is_said(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            mixes.table([self.put("1.json", report(0, 0, "no MPS"))])
        self.assertRegex(output.getvalue(), "lithos +failed")


if __name__ == "__main__":
    unittest.main()
