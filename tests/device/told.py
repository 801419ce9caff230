# SPDX-License-Identifier: Apache-2.0
"""What products of cuBLAS take when it is told of more SMs than there are (shim/told/cublas.c), or all of the program is:
matrix products of many sizes, alone on the GPU, over the same natively. One process a count; "native2" shows the noise.

    told.py --out told.json [--options=--told-cublas,--told-sms] [--told 200%,400%,700%,1400%]

Each product is captured into a graph as often as two milliseconds need, so that no launch is waited for; its time is
the median of five graphs. Exit code 1 when a process failed.
"""

import argparse
import itertools
import json
import math
import os
import sys

import common

# m, n, k: squares; BERT-large, ResNet's classifier, a Llama-type model of 4096 (training, and single tokens).
SQUARES = [(n, n, n) for n in (256, 512, 1024, 2048, 4096, 8192)]
MODELS = [
    (3072, 1024, 1024), (3072, 4096, 1024), (3072, 1024, 4096), (256, 1000, 2048), (1000, 2048, 256),
    (4096, 4096, 4096), (4096, 1024, 4096), (4096, 14336, 4096), (4096, 4096, 14336), (14336, 4096, 4096),
    (4096, 32000, 4096), (32000, 4096, 4096), (1, 4096, 4096), (16, 4096, 4096), (16, 14336, 4096), (128, 4096, 14336),
    (2048, 2048, 512), (2048, 512, 2048), (8192, 1024, 1024), (16384, 512, 512), (1024, 8192, 1024),
]  # fmt: skip
LAYOUTS = ("nn", "nt", "tn")
TYPES = ("float16", "bfloat16", "float32", "tf32")
GROUPS = ((0, 20), (20, 100), (100, 300), (300, math.inf))
GRAPH_US = 2000
GRAPHS = 5


def cases():
    """Names and shapes: all layouts in half precision, one in the others, where 8192 takes too long."""
    for (m, n, k), layout, kind in itertools.product(dict.fromkeys(SQUARES + MODELS), LAYOUTS, TYPES):
        if kind != "float16" and layout != "nn" or kind == "float32" and m * n * k > 2**36:
            continue
        yield f"{kind}.{layout}.{m}x{n}x{k}", m, n, k, layout, kind


def product(torch, m, n, k, layout, kind):
    torch.backends.cuda.matmul.allow_tf32 = kind == "tf32"
    dtype = torch.float32 if kind == "tf32" else getattr(torch, kind)
    a = torch.randn((k, m) if layout[0] == "t" else (m, k), dtype=dtype)
    b = torch.randn((n, k) if layout[1] == "t" else (k, n), dtype=dtype)
    a, b = a.t() if layout[0] == "t" else a, b.t() if layout[1] == "t" else b
    out = torch.empty((m, n), dtype=dtype)
    return lambda: torch.matmul(a, b, out=out)


def timed_us(torch, call, repeats):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return 1e3 * begin.elapsed_time(end) / repeats


def measure_one(torch, multiply):
    for _ in range(2):
        multiply()
    repeats = max(1, min(100, int(GRAPH_US / max(1.0, timed_us(torch, multiply, 2)))))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(repeats):
            multiply()
    graph.replay()
    return common.median([timed_us(torch, graph.replay, 1) / repeats for _ in range(GRAPHS)])


def worker():
    import torch
    torch.set_default_device("cuda")
    out = {name: measure_one(torch, product(torch, *case)) for name, *case in cases()}
    print(json.dumps(out))


def configurations(options, told):
    out = {"native": [], "native2": []}
    for option, count in itertools.product(options.split(","), told.split(",")):
        out[f"{option} {count}"] = common.lithos(option, count)
    return out


def measure(options, told, errors):
    os.environ["LITHOS_SOCKET"] = "none"
    times = {}
    for name, prefix in configurations(options, told).items():
        done = common.run([*prefix, sys.executable, os.path.abspath(__file__), "--worker"], 100)
        line = common.last_json(done["out"])
        if done["rc"] or not line:
            errors.append({"what": name, "rc": done["rc"], "err": done["err"][-500:]})
            continue
        times[name] = line
    return times


def summarise(times):
    """By count and group: how many products, their mean ratio to native (geometric), the worst and the best."""
    rows = []
    base = times.get("native", {})
    for name, (low, high) in itertools.product([n for n in times if n != "native"], GROUPS):
        ratios = {case: us / base[case] for case, us in times[name].items() if low <= base[case] < high}
        if not ratios:
            continue
        worst = max(ratios, key=ratios.get)
        rows.append({"told": name, "from_us": low, "n": len(ratios), "worst": ratios[worst], "worst_is": worst,
                     "mean": math.exp(sum(map(math.log, ratios.values())) / len(ratios)),
                     "best": min(ratios.values())})
    return rows


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--options", default="--told-cublas,--told-sms")
    parser.add_argument("--told", default="200%,400%,700%,1400%")
    parser.add_argument("--worker", action="store_true")
    return parser.parse_args()


def main():
    options = parse()
    if options.worker:
        return worker()
    errors = []
    times = measure(options.options, options.told, errors)
    rows = summarise(times)
    common.write_json(options.out, {"machine": common.machine(), "unit": "us a product", "times": times,
                                    "over_native": rows, "errors": errors})
    header = ["told", "native from us", "products", "mean", "best", "worst", "worst is"]
    print(common.table([[r["told"], r["from_us"], r["n"], f"{r['mean']:.3f}", f"{r['best']:.2f}",
                         f"{r['worst']:.2f}", r["worst_is"]] for r in rows], header))
    for error in errors:
        print(f"PROBLEM {error['what']}: {error['err']}")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
