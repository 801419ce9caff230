# SPDX-License-Identifier: Apache-2.0
"""split_cost.py and the turns of cost.py: arithmetic on made-up rounds, and a whole run in which
torch, the models, lithosd and `lithos` are made up; needs no GPU, no torch."""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from unittest import mock

import common
import cost
import sharing
import split_cost

# In every Python process that is started with this folder in its path.
FAKE_MODULES = '''
import os, sys, time, types
torch = types.ModuleType("torch")
torch.set_default_device = lambda device: None
torch.manual_seed = lambda seed: None
asked = []
def memory_stats():
    asked.append(1)
    return {"num_alloc_retries": len(asked) if os.environ.get("LITHOS_SPLIT", "") == os.environ.get("FAKE_SHORT") else 3}
torch.cuda = types.SimpleNamespace(memory_stats=memory_stats)
class Case:
    def __init__(self, seconds):
        self.seconds = seconds
    def step(self):
        in_atoms = os.environ.get("LITHOS_SPLIT", "").startswith("atoms")
        time.sleep(self.seconds * (2 if in_atoms else 1))
    def synchronize(self):
        pass
zoo = types.ModuleType("zoo")
zoo.CASES = {"slow": lambda: Case(0.02), "fast": lambda: Case(0.01)}
for name in ("ResnetGraph", "ResnetEager", "BertLarge"):
    setattr(zoo, name, lambda: Case(0.001))
sys.modules.update(torch=torch, zoo=zoo)
'''

# Runs the command and leaves statistics; the way FAKE_DIES names does not come up.
FAKE_LITHOS = '''#!/bin/bash
while [ "$1" != -- ]; do
	[ "$1" = --stats-file ] && stats=$2
	shift
done
shift
[ "$LITHOS_SPLIT" = "$FAKE_DIES" ] && { echo "no such way" >&2; exit 125; }
"$@" || exit
case $LITHOS_SPLIT in
atoms*) atoms=7 ;;
claims*) works=5 ;;
esac
echo "{\\"counters\\": {\\"atoms_launched\\": ${atoms:-0}, \\"works_claimed\\": ${works:-0}, \\"works_committed\\": 0,
	\\"works_cut\\": 0, \\"split_refused\\": 0}}" > "$stats"
'''


class Arithmetic(unittest.TestCase):
    ROUNDS = {"m": [{"native": 100.0, "native2": 101.0, "whole": 110.0, "atoms:always": 121.0},
                    {"native": 200.0, "native2": 198.0, "whole": 200.0, "atoms:always": 230.0},
                    {"native": 100.0, "native2": 100.0, "whole": 105.0}]}

    def test_over_both_bases(self):
        out = split_cost.summarise(self.ROUNDS, ["native", "whole", "atoms:always",
                                                 "claims:always"])["m"]
        row = out["atoms:always"]["whole"]
        self.assertEqual((row["median"], row["min"], row["max"], row["n"]), (20.5, 11.0, 30.0, 2))
        self.assertAlmostEqual(row["percent"], 100 * 20.5 / 110)
        self.assertAlmostEqual(row["percent_max"], 100 * 30 / 110)
        self.assertEqual(out["whole"]["native"]["median"], 5.0)
        self.assertAlmostEqual(out["whole"]["native"]["percent"], 5.0)
        self.assertEqual(out["claims:always"]["native"], {"n": 0})

    def test_table(self):
        names = ["native", "native2", "whole", "atoms:always", "claims:always"]
        counters = {"whole": dict.fromkeys(split_cost.COUNTERS, 0), "claims:always": None}
        text = split_cost.render(split_cost.summarise(self.ROUNDS, names), counters)
        rows = {line.split()[1]: line for line in text.split("\n\n")[0].splitlines()[1:]}
        self.assertIn("+18.64 % (+10.00..+27.27)", rows["atoms:always"])
        self.assertEqual(rows["claims:always"].count("none"), 2)
        self.assertEqual(rows["whole"].count("%"), 1)

    def test_counters(self):
        none, some = dict.fromkeys(split_cost.COUNTERS, 0), {**dict.fromkeys(split_cost.COUNTERS,
            0),
                                                             "works_claimed": 1}
        self.assertEqual(split_cost.counter_problems({"whole": none, "auto:always": some}), [])
        self.assertEqual(split_cost.counter_problems({"whole": None, "auto:always": none}),
                         ["whole: no statistics", "auto:always: nothing was split"])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "s.json")
            self.assertIsNone(split_cost.read_counters(path))
            common.write_json(path, {"counters": {**some, "other": 3}})
            self.assertEqual(split_cost.read_counters(path), some)
            common.write_json(path, {"counters": {}})
            self.assertIsNone(split_cost.read_counters(path))

    def test_limit(self):
        with mock.patch("time.monotonic") as now:
            now.return_value = 100.0
            limit, unlimited = cost.Limit(30), cost.Limit()
            now.return_value = 108.0
            limit.begin_round()
            now.return_value = 119.0
            self.assertTrue(limit.has_time())
            now.return_value = 119.5
            self.assertFalse(limit.has_time())
            self.assertTrue(unlimited.has_time())


class WholeRun(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()  # pylint: disable=consider-using-with
        self.addCleanup(holder.cleanup)
        folder = holder.name
        self.out = os.path.join(folder, "out.json")
        lithos = os.path.join(folder, "lithos")
        with open(os.path.join(folder, "sitecustomize.py"), "w", encoding="utf-8") as out:
            out.write(FAKE_MODULES)
        with open(lithos, "w", encoding="utf-8") as out:
            out.write(FAKE_LITHOS)
        os.chmod(lithos, 0o755)
        def daemon(processes):
            processes.env["LITHOS_SOCKET"] = "none"

        for patch in (mock.patch.object(common, "LITHOS", lithos),
                      mock.patch.object(sharing.Processes, "daemon", daemon),
                      mock.patch.dict(os.environ, {"PYTHONPATH": folder, "FAKE_DIES": ""})):
            patch.start()
            self.addCleanup(patch.stop)

    def run_main(self, *options):
        arguments = ["split_cost.py", "--out", self.out, "--rounds", "2", "--seconds", "0.05",
                     "--models", "slow,fast", *options]
        text = io.StringIO()
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(text):
            rc = split_cost.main()
        with open(self.out, encoding="utf-8") as out:
            return rc, json.load(out), text.getvalue()

    def test_turns_and_counters(self):
        rc, out, text = self.run_main("--ways", "whole,atoms:always,claims:always")
        self.assertEqual((rc, out["errors"]), (0, []), text)
        self.assertEqual(sorted(out["rounds"]), ["fast", "fast (best)", "slow", "slow (best)"])
        self.assertEqual([sorted(r) for r in out["rounds"]["slow"]],
                         2 * [["atoms:always", "claims:always", "native", "native2", "whole"]])
        self.assertGreater(out["over"]["slow (best)"]["atoms:always"]["native"]["percent"], 50)
        self.assertEqual(out["counters"]["atoms:always"]["atoms_launched"], 7)
        self.assertEqual(out["counters"]["claims:always"]["works_claimed"], 5)

    def test_way_that_does_not_come_up(self):
        with mock.patch.dict(os.environ, {"FAKE_DIES": "claims:always"}):
            rc, out, text = self.run_main("--ways", "whole,claims:always", "--rounds", "1")
        self.assertEqual(rc, 1)
        self.assertEqual([e["what"] for e in out["errors"]],
                         ["e2e claims:always", "claims:always: no statistics"])
        self.assertIn("no such way", text)
        self.assertEqual(out["over"]["slow"]["whole"]["native"]["n"], 1)

    def test_process_that_is_short_of_memory(self):
        kept = os.path.join(os.path.dirname(self.out), "kept")
        with mock.patch.dict(os.environ, {"FAKE_SHORT": "claims:always"}):
            rc, out, _ = self.run_main("--ways", "whole,claims:always", "--keep", kept)
        self.assertEqual(rc, 1)
        # Each of the two models finds the other's question counted too, in the second round.
        self.assertEqual({e["what"] for e in out["errors"]},
                         {f"{model} claims:always: 2 times short of GPU memory in a turn"
                          for model in ("slow", "fast")})
        self.assertEqual(sorted(os.listdir(kept)), ["claims-always.json", "whole.json"])

    def test_way_that_splits_nothing(self):
        rc, out, _ = self.run_main("--ways", "auto:always", "--rounds", "1")
        self.assertEqual((rc, [e["what"] for e in out["errors"]]),
                         (1, ["auto:always: nothing was split"]))


if __name__ == "__main__":
    unittest.main()
