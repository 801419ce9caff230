#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints line coverage a file and a folder, from gcovr's JSON summary, and ends with 1 below a
limit.

usage: coverage.py SUMMARY.json
"""
import json
import sys

# Least share of lines, in percent; folders without a row are only shown.
LIMITS = {
    "src/base": 90.0,
    "src/hw": 90.0,
    "src/sched": 90.0,
    "src/shim": 80.0,
    "src/cli": 80.0,
    "src/daemon": 80.0,
}


def percent(covered, total):
    return 100.0 * covered / total if total else 0.0


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: coverage.py SUMMARY.json")
    with open(sys.argv[1], encoding="utf-8") as file:
        files = json.load(file)["files"]
    folders = {folder: [0, 0] for folder in LIMITS}
    for row in sorted(files, key=lambda row: row["filename"]):
        covered, total = row["line_covered"], row["line_total"]
        print(f"{row['filename']:44} {covered:5}/{total:<5} {percent(covered, total):6.1f} %")
        counts = folders.setdefault("/".join(row["filename"].split("/")[:2]), [0, 0])
        counts[0] += covered
        counts[1] += total
    print()
    below = False
    for folder, (covered, total) in folders.items():
        share, limit = percent(covered, total), LIMITS.get(folder)
        verdict = "" if limit is None else f"limit {limit:.0f} %"
        if limit is not None and share < limit:
            verdict += " NOT REACHED"
            below = True
        print(f"{folder:44} {covered:5}/{total:<5} {share:6.1f} %  {verdict}")
    sys.exit(1 if below else 0)


if __name__ == "__main__":
    main()
