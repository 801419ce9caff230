# SPDX-License-Identifier: Apache-2.0
"""Runs tests/programs natively and under lithos with several quotas, and checks what each must say.

    programs.py --out programs.json [--quotas 66,33,16,4]

Every row has exit code, time and the program's own line. Beyond the exit code: `where` must use
exactly the SMs of the quota, `procaddr` must choose the same symbols as natively, and the
attributes of `attrs` may differ from native only in the multiprocessor count. No daemon is used: it
would lend a program what nobody else needs, and the SMs would not be those of the quota.
"""

import argparse
import json
import os
import sys

import common

MULTIPROCESSOR_COUNT = "16"
SECONDS = {"threads": 120, "contexts": 120}
# A context takes a tenth of a second or more to make; a real driver knows every name.
ARGUMENTS = {"contexts": ["--rounds", "20"]}
PLAIN = ["once", "order", "graphs", "threads", "procaddr", "dlopens", "contexts", "linked", "coop",
         "clusters", "attrs"]


def configurations(quotas):
    """Label -> (words in front, SMs that launches must use or None for what the device has)."""
    out = {"native": ([], None), "unrestricted": (common.lithos(), None)}
    for quota in quotas:
        out[f"q{quota}"] = (common.lithos("--quota", str(quota), "--stats"), 2 * quota)
    return out


def run_program(prefix, name, *arguments):
    path = os.path.join(common.PROGRAMS, name)
    done = common.run([*prefix, path, *arguments], SECONDS.get(name, 60))
    line = next((t for t in done["out"].splitlines() if "program" in t or "skipped" in t), "")
    return {"rc": done["rc"], "seconds": done["seconds"], "line": line, "err": done["err"][-600:]}


def fields(line):
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def judge_attrs(native, here):
    """Attributes that differ from native, other than the multiprocessor count."""
    try:
        a, b = json.loads(native["line"])["attributes"], json.loads(here["line"])["attributes"]
    except (ValueError, KeyError):
        return ["no attributes"]
    return sorted(k for k in set(a) | set(b) if a.get(k) != b.get(k) and k != MULTIPROCESSOR_COUNT)


def run_configuration(prefix, sms):
    rows = {}
    expect = ["--expect-sms", str(sms)] if sms else []
    rows["where"] = run_program(prefix, "where", *expect)
    for name in PLAIN:
        rows[name] = run_program(prefix, name, *ARGUMENTS.get(name, []))
    # Far more blocks than the quota holds: an error's name or success, never a hang.
    rows["coop-4000"] = run_program(prefix, "coop", "--blocks", "4000", "--threads", "1024")
    return rows


def problems(results):
    found = []
    native = results["native"]
    for label, rows in results.items():
        for name, row in rows.items():
            if common.hung(row["rc"]):
                found.append(f"{label} {name}: hung")
            elif row["rc"] != 0:
                found.append(f"{label} {name}: exit {row['rc']} {row['err'][-200:]}")
        if fields(rows["procaddr"]["line"]).get("digest") != fields(native["procaddr"]["line"]).get("digest"):
            found.append(f"{label} procaddr: other symbols than natively")
        others = judge_attrs(native["attrs"], rows["attrs"])
        if others:
            found.append(f"{label} attrs: differ: {others}")
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--quotas", default="66,33,16,4")
    options = parser.parse_args()
    os.environ["LITHOS_SOCKET"] = "none"
    results = {}
    chosen = configurations([int(q) for q in options.quotas.split(",")])
    for label, (prefix, sms) in chosen.items():
        results[label] = run_configuration(prefix, sms)
        common.write_json(options.out, {"machine": common.machine(), "results": results})
    found = problems(results)
    common.write_json(options.out, {"machine": common.machine(), "results": results,
                                    "problems": found})
    names = list(results["native"])
    rows = [[n, *(f"{r[n]['rc']} {r[n]['seconds']:.1f}s" for r in results.values())] for n in names]
    print(common.table(rows, ["program", *results]))
    for label, rows_of in results.items():
        print(f"{label}: {rows_of['where']['line'][:300]}")
    for problem in found[:30]:
        print("PROBLEM " + problem.replace("\n", " | ")[:200])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
