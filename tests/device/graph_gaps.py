# SPDX-License-Identifier: Apache-2.0
"""graph_gaps in every combination of steps that matters, natively and under an MPS of its own.

    graph_gaps.py --out FILE [--samples N] [--no-mps]

The first line is the base; a step that makes the kernels of a graph slower shows between two lines
that differ in it alone. Each line is one process (two with a neighbour), a second or two long.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import common

STEPS = (
    "",
    "--streams",
    "--streams --word before",
    "--streams --word late",
    "--word own",
    "--export",
    "--streams --word late --export",
)
NEIGHBOUR_STEPS = (
    *STEPS,
    "--its-streams",
    "--export --opened",
    "--streams --word late --export --opened",
    "--streams --word late --export --opened --its-streams",
)
PROGRAM = os.path.join(common.BUILD, "tests", "device", "graph_gaps")


def one(words, samples, env):
    done = common.run([PROGRAM, *words, "--samples", str(samples)], 30, env)
    row = dict(pair.split("=") for pair in done["out"].split())
    if done["rc"] != 0 or "ns_per_kernel_p50" not in row:
        return {"words": " ".join(words), "error": done["err"][-300:] or f"exit {done['rc']}"}
    return {"words": " ".join(words), **{k: float(v) for k, v in row.items()
                                         if k.startswith("ns_")}}


def rows(samples, env, has_neighbour):
    """The base comes first and last: how far two runs of the same differ."""
    steps = NEIGHBOUR_STEPS if has_neighbour else STEPS
    extra = ["--neighbour"] if has_neighbour else []
    return [one([*step.split(), *extra], samples, env) for step in (*steps, "")]


def with_mps(measure):
    """Calls measure(environment) under a control daemon of its own, which is ended afterwards."""
    folder = tempfile.mkdtemp(prefix="gaps-mps-")
    env = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
    try:
        # Detached from our streams, or whoever waits for them never returns.
        subprocess.run(["setsid", "nvidia-cuda-mps-control", "-d"], env={**os.environ, **env},
                       check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=30)  # fmt: skip
        return measure(env)
    finally:
        subprocess.run(["nvidia-cuda-mps-control"], input=b"quit\n", env={**os.environ, **env},
                       check=False,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       timeout=30)  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


def under_mps(samples):
    def measure(env):
        low = {**env, "GRAPH_GAPS_PRIORITY": "1"}
        return {"mps": rows(samples, env, False), "mps-neighbour": rows(samples, low, True)}

    return with_mps(measure)


def render(result):
    lines = [f"{'where':<14} {'ns a kernel: p10':>16} {'p50':>6} {'p90':>6}  steps"]
    for where, found in result.items():
        for row in found:
            if "error" in row:
                lines.append(f"{where:<14} failed: {row['words']}: {row['error'].strip()[-120:]}")
                continue
            lines.append(f"{where:<14} {row['ns_per_kernel_p10']:16.0f} {row['ns_per_kernel_p50']:6.0f} "
                         f"{row['ns_per_kernel_p90']:6.0f}  "
                         f"{row['words'] or '(base)'}")  # fmt: skip
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--samples", type=int, default=300)
    parser.add_argument("--no-mps", action="store_true")
    args = parser.parse_args()
    result = {"native": rows(args.samples, {}, False)}
    if not args.no_mps:
        result.update(under_mps(args.samples))
    common.write_json(args.out, result)
    print(render(result))
    return any("error" in row for found in result.values() for row in found)


if __name__ == "__main__":
    sys.exit(main())
