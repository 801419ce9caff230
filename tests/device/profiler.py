# SPDX-License-Identifier: Apache-2.0
"""Does the PyTorch profiler see kernels? Without arguments: profiles a small workload and prints
one line of JSON. With --out: runs itself natively, under lithos, with a quota, and with --profile,
and compares.

The workload launches a known number of kernels, so "sees kernels" is a count, not a feeling.
"""

import argparse
import json
import sys

import common

LAUNCHES = 50


def profile():
    import torch
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as torch_profile

    x = torch.randn(512, 512, device="cuda")
    for _ in range(3):
        y = torch.relu(x @ x)
    torch.cuda.synchronize()
    with torch_profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        for _ in range(LAUNCHES):
            y = torch.relu(x @ x)
        torch.cuda.synchronize()
    kernels = [e for e in profiler.events() if e.device_type == torch.autograd.DeviceType.CUDA]
    print(json.dumps({"kernels": len(kernels), "names": sorted({e.name for e in kernels})[:20],
                      "sum": float(y.sum()), "launched": 2 * LAUNCHES}))


def compare(path):
    configurations = {"native": [], "lithos": common.lithos(),
                      "quota-stats": common.lithos("--quota", "33", "--stats"),
                      "profile": common.lithos("--profile")}
    results, rows = {}, []
    for label, prefix in configurations.items():
        done = common.run([*prefix, sys.executable, __file__], 60)
        seen = common.last_json(done["out"]) or {}
        results[label] = {**seen, "rc": done["rc"], "err": done["err"][-1500:]}
        rows.append([label, done["rc"], seen.get("kernels", "-"), f"{done['seconds']:.1f} s",
                     "MULTIPLE_SUBSCRIBERS" if "MULTIPLE_SUBSCRIBERS" in done["err"] else ""])
    common.write_json(path, {"machine": common.machine(), "results": results})
    print(common.table(rows, ["profiler", "exit", "kernels seen", "time", "remark"]))
    sees = [r["rc"] == 0 and r.get("kernels", 0) >= 2 * LAUNCHES for r in results.values()]
    return 0 if all(sees) else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    options = parser.parse_args()
    if options.out:
        return compare(options.out)
    profile()
    return 0


if __name__ == "__main__":
    sys.exit(main())
