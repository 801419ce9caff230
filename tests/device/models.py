# SPDX-License-Identifier: Apache-2.0
"""Runs every model once in this process and writes what came out: digest, time, SMs used, kernels.

One process a configuration (native, or under `lithos run --quota N`), because the imports are most
of the time. The file is written after every model, so that a hang loses only the model that hung;
the watchdog then names the line. compare.py sets the files of several configurations side by side.
"""

import argparse
import faulthandler
import gc
import os
import sys
import time

BEGIN = time.monotonic()

# Before any CUDA library starts. XLA's autotuner picks algorithms by measured time: off.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
os.environ.setdefault("XLA_FLAGS", "--xla_gpu_autotune_level=0 --xla_gpu_deterministic_ops=true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--label", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--ptx", required=True)
    parser.add_argument("--limit", type=float, default=58, help="seconds for the whole process")
    parser.add_argument("--seconds", type=float, default=0.8, help="seconds of timing a model")
    parser.add_argument("--warm", type=int, default=0,
                        help="steps before those that are hashed: a kernel's "
                        "first launches are never split, as its code is not read yet")
    parser.add_argument("--models", default="", help="comma-separated; all when empty")
    return parser.parse_args()


def timed_steps(case, seconds, at_least=3, at_most=200):
    """Milliseconds of single steps, each synchronised."""
    times, end = [], time.monotonic() + seconds
    while len(times) < at_least or (time.monotonic() < end and len(times) < at_most):
        begin = time.perf_counter()
        case.step()
        case.synchronize()
        times.append(1e3 * (time.perf_counter() - begin))
        if sum(times) > 4000 * seconds:
            break
    return times


def run_strictly(make, context, options):
    """As run_case; a model with an operation that has no deterministic form runs with warnings, and
    says so: the two native runs then tell whether it matters."""
    import torch
    try:
        return run_case(make, context, options)
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        first = str(error)[:200]
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        return {**run_case(make, context, options), "nondeterministic": first}
    finally:
        torch.use_deterministic_algorithms(True)


def run_case(make, context, options):
    import library
    import zoo
    probe, stats = context["probe"], context["stats"]
    row = {"sms_before": probe.used()}
    case = make()
    for _ in range(options.warm):
        case.step()
    case.synchronize()
    # Kernels of the steps alone: building a model draws random numbers and checking it sums, both
    # with grids that follow the SM count.
    before, totals = stats.kernels(), stats.totals()
    for _ in range(case.fixed_steps):
        case.step()
    case.synchronize()
    row["kernels"] = context["launched_between"](before, stats.kernels())
    row["ran"] = library.grown(totals, stats.totals())
    outputs = case.outputs()
    row["sha256"] = zoo.digest(outputs)
    row["finite"] = all(bool(t.isfinite().all()) for t in outputs)
    del outputs
    times = sorted(timed_steps(case, options.seconds))
    row["ms"] = times[len(times) // 2]
    row["ms_min"] = times[0]
    row["iterations"] = len(times)
    row["sms_after"] = probe.used()
    return row


def main():
    options = parse()
    # Ends the process with every thread's stack on stderr; the file holds what was finished.
    faulthandler.dump_traceback_later(options.limit, exit=True)
    import torch
    import common
    import gpu
    import library
    import zoo

    # Not warn_only: with it, flash attention's backward pass stays nondeterministic.
    zoo.settle(True)
    torch.manual_seed(0)
    torch.set_default_device("cuda")
    torch.zeros(1).add_(1)
    result = {"label": options.label, "torch": torch.__version__, "models": {},
              "reported_sms": torch.cuda.get_device_properties(0).multi_processor_count,
              "gpu": torch.cuda.get_device_name(0), "import_s": round(time.monotonic() - BEGIN, 1)}
    probe = gpu.SmProbe(options.ptx)
    result["reported_sms_driver"] = probe.reported()
    context = {"probe": probe, "stats": library.SplitStats(),
               "launched_between": gpu.launched_between}
    wanted = options.models.split(",") if options.models else list(zoo.CASES)
    for name in wanted:
        begin = time.monotonic()
        row = {"error": "not finished"}
        result["models"][name] = row
        common.write_json(options.out, result)
        if begin - BEGIN > options.limit - 8:
            row = {"error": "no time left"}
        else:
            try:
                row = run_strictly(zoo.CASES[name], context, options)
            except Exception as error:  # pylint: disable=broad-except
                row = {"error": f"{type(error).__name__}: {error}"[:500]}
        row["seconds"] = round(time.monotonic() - begin, 1)
        result["models"][name] = row
        result["total_s"] = round(time.monotonic() - BEGIN, 1)
        common.write_json(options.out, result)
        print(f"{options.label} {name} {row.get('error') or row['sha256'][:12]} "
              f"{row.get('ms', 0):.3f} ms {row['seconds']} s", file=sys.stderr, flush=True)
        gc.collect()
        torch.cuda.empty_cache()
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main()
