# SPDX-License-Identifier: Apache-2.0
"""What the device tests share: where the build is, how a command is put under lithos, medians,
JSON."""

import json
import os
import statistics
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("LITHOS_BUILD", os.path.join(ROOT, "build", "release"))
LITHOS = os.path.join(BUILD, "bin", "lithos")
PROGRAMS = os.path.join(BUILD, "tests", "programs")
HERE = os.path.dirname(os.path.abspath(__file__))


def lithos(*options):
    """The words in front of a command that put it under lithos; call without options:
    unrestricted."""
    return [LITHOS, "run", *options, "--"]


def limited(seconds, command):
    """The command under timeout(1), which kills what does not stop."""
    return ["timeout", "-k", "5", str(seconds), *command]


def run(command, seconds, env=None):
    """Runs a command to its end: dict of exit code, seconds, stdout and the end of stderr."""
    begin = time.monotonic()
    done = subprocess.run(limited(seconds, command), capture_output=True, text=True,
                          errors="replace",
                          env=dict(os.environ, **(env or {})), check=False)
    return {"rc": done.returncode, "seconds": round(time.monotonic() - begin, 2),
            "out": done.stdout, "err": done.stderr[-2000:]}


def hung(rc):
    return rc in (124, 137, -9)


def last_json(text):
    """The last line of a text that is JSON, or None."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                return json.loads(line)
            except ValueError:
                return None
    return None


def median(values):
    return statistics.median(values) if values else None


def write_json(path, value):
    with open(path + ".new", "w", encoding="utf-8") as out:
        json.dump(value, out, indent=1, sort_keys=True)
        out.write("\n")
    os.replace(path + ".new", path)


def table(rows, header):
    """Rows of cells as aligned text."""
    cells = [[str(c) for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells)


def machine():
    """Names the machine a result came from; nothing that identifies it beyond its model."""
    query = "name,driver_version,clocks.max.sm"
    try:
        done = subprocess.run(["nvidia-smi", "--query-gpu=" + query, "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=20, check=False)
        gpu = done.stdout.strip().splitlines()
    except (OSError, subprocess.TimeoutExpired):
        gpu = []
    return {"gpu": gpu, "cpus": os.cpu_count(), "query": query}
