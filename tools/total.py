#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up what tools/test.sh ran: ctest's JUnit files and the checks noted in checks.txt.

usage: total.py RESULTS_FOLDER

Prints what failed, a line a suite, and as its last line `N passed, M failed, K skipped`. Ends with
1 when anything failed or nothing ran. A test that ctest could not start counts as failed, not as
skipped.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def outcome(case):
    """passed, failed or skipped, for one testcase element as ctest 3.25 writes it."""
    if case.get("status") == "run":
        return "passed"
    skipped = case.find("skipped")
    reason = "" if skipped is None else skipped.get("message", "")
    if case.get("status") == "disabled" or reason.startswith("SKIP_"):
        return "skipped"
    return "failed"


def suites(folder):
    """Yields (suite, name, outcome)."""
    for path in sorted(folder.glob("*.xml")):
        for case in ElementTree.parse(path).getroot().iter("testcase"):
            yield path.stem, case.get("name"), outcome(case)
    checks = folder / "checks.txt"
    if checks.exists():
        for line in checks.read_text().splitlines():
            word, _, name = line.partition(" ")
            yield "checks", name, "passed" if word == "ok" else "failed"


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: total.py RESULTS_FOLDER")
    table = {}
    total = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for suite, name, result in suites(pathlib.Path(sys.argv[1])):
        row = table.setdefault(suite, dict.fromkeys(total, 0))
        row[result] += 1
        total[result] += 1
        if result == "failed":
            print(f"failed: {suite}: {name}")
    for suite, row in table.items():
        print(f"{suite:10} {row['passed']:5} passed {row['failed']:5} failed {row['skipped']:5} skipped")
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    sys.exit(1 if total["failed"] or not total["passed"] else 0)


if __name__ == "__main__":
    main()
