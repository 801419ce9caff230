# SPDX-License-Identifier: Apache-2.0
"""waits.py on made-up benchmarks, whose parts are known; needs no GPU."""

import unittest

import waits

SETTINGS = {"request_rate": 200.0, "seconds": 5.0, "lead_s": 0.5}


def bench(**systems):
    """Each system: (service, wait) in ms; requests are served one after the other."""
    arrivals = [a for a in waits.arrivals_ms(200.0, 5.5, 7) if a >= 500]
    rows = []
    for name, (service, wait) in systems.items():
        free_at, latencies = 0.0, []
        for at in arrivals:
            free_at = at + wait + service if at >= free_at else free_at + service
            latencies.append(free_at - at)
        rows.append({"name": name, "latencies_ms": latencies})
    return {"seed": 7, "parameters": SETTINGS, "repetitions": [{"repetition": 1, "systems": rows}]}


class Waits(unittest.TestCase):
    def test_generator(self):
        # The first numbers of splitmix64 from state 0, as published with it.
        state, first = waits.splitmix64(0)
        self.assertEqual(first, 0xE220A8397B1DCDAF)
        self.assertEqual(waits.splitmix64(state)[1], 0x6E789E6AA1B965F4)

    def test_parts(self):
        rows = waits.analyse(bench(alone=(1.1, 0), shared=(1.2, 0.3)))
        self.assertAlmostEqual(rows["alone"]["wait_ms"], 0, places=3)
        self.assertAlmostEqual(rows["shared"]["wait_ms"], 0.3, places=3)
        self.assertAlmostEqual(rows["shared"]["added_ms"], 0.1, places=3)
        self.assertAlmostEqual(rows["alone"]["p99_ratio"], 1, delta=0.02)
        self.assertGreater(rows["shared"]["p99_ratio"], rows["shared"]["p99_ratio_without_wait"])
        self.assertGreater(rows["shared"]["p99_ratio"], rows["shared"]["p99_ratio_without_added"])
        self.assertIn("shared", waits.render(rows))

    def test_latencies_as_text(self):
        made = bench(alone=(1.1, 0), shared=(1.2, 0.3))
        text = bench(alone=(1.1, 0), shared=(1.2, 0.3))
        for system in text["repetitions"][0]["systems"]:
            words = " ".join(str(round(1e3 * ms)) for ms in system.pop("latencies_ms"))
            system["tenants"] = [{"name": "foreground", "latencies_us": words}]
        wait = waits.analyse(text)["shared"]["wait_ms"]
        self.assertAlmostEqual(wait, waits.analyse(made)["shared"]["wait_ms"], places=2)

    def test_other_arrivals_are_left_out(self):
        made = bench(alone=(1.1, 0), short=(1.1, 0))
        made["repetitions"][0]["systems"][1]["latencies_ms"].pop()
        self.assertEqual(list(waits.analyse(made)), ["alone"])

    def test_nothing_to_compare_with(self):
        with self.assertRaises(SystemExit):
            waits.analyse(bench(shared=(1.2, 0.3)))


if __name__ == "__main__":
    unittest.main()
