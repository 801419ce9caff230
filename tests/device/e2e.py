# SPDX-License-Identifier: Apache-2.0
"""Measures models on request, so that several processes can take turns without importing torch
again.

Reads lines "MODEL SECONDS" and answers each with one line of JSON: the median milliseconds of an
iteration over chunks of about 50 ms, each chunk ended by a synchronisation. An empty line or the
end of the input ends it. Reports "ready" first. --models names models of zoo.py instead of the
three that are measured by default. The launching thread sits on the same CPU in every process,
since eager models are bound by it and CPUs differ by more than what is looked for.
"""

import argparse
import json
import os
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

PIN_CPU = 5
NAMES = {"resnet50-graph": "ResnetGraph", "resnet50-eager": "ResnetEager",
         "bert-eager": "BertLarge"}
MORE = {"resnet50-b192-training": "ResnetTrainingLarge"}


def chunk_ms(case, n):
    begin = time.perf_counter()
    for _ in range(n):
        case.step()
    case.synchronize()
    return 1e3 * (time.perf_counter() - begin) / n


def measure(case, seconds):
    n = max(1, int(50 / max(chunk_ms(case, 5), 1e-3)))
    chunks, end = [], time.monotonic() + seconds
    while time.monotonic() < end or not chunks:
        chunks.append(chunk_ms(case, n))
    chunks.sort()
    return {"ms": chunks[len(chunks) // 2], "min_ms": chunks[0], "chunks": len(chunks),
            "per_chunk": n,
            "alloc_retries": alloc_retries()}


def alloc_retries():
    """How often PyTorch found no memory, gave back what it had cached, and tried again:
    milliseconds each."""
    import torch
    return torch.cuda.memory_stats().get("num_alloc_retries", 0)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", default=",".join(NAMES),
                        help="comma-separated; also names of zoo.CASES and of MORE")
    return parser.parse_args()


def main():
    options = parse()
    import torch
    import zoo

    torch.set_default_device("cuda")
    torch.manual_seed(0)
    cases = {}
    for name in options.models.split(","):
        known = {**NAMES, **MORE}
        cases[name] = (getattr(zoo, known[name]) if name in known else zoo.CASES[name])()
        for _ in range(10):
            cases[name].step()
        cases[name].synchronize()
    torch.set_default_device(None)
    # The main thread only: threads that exist by now stay free to run elsewhere.
    os.sched_setaffinity(0, {min(PIN_CPU, os.cpu_count() - 1)})
    print(json.dumps({"ready": True, "models": list(cases)}), flush=True)
    for line in sys.stdin:
        words = line.split()
        if not words:
            break
        print(json.dumps(measure(cases[words[0]], float(words[1]))), flush=True)


if __name__ == "__main__":
    main()
