#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Regenerates what is derived from api/cuda.def.

cuda.symbols: the exported names, sorted, one a line; the exports test compares the library with it.
Run by `make gen`; a test runs it into a temporary folder and compares with what is committed.
"""
import pathlib
import re
import sys

ROW = re.compile(r"^(PASS|HOOK)\((\w+)\)$")


def rows(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = re.sub(r"/\*.*?\*/", "", line).strip()
        if not text or text.startswith(("/*", "*")):
            continue
        match = ROW.match(text)
        if not match:
            sys.exit(f"{path}:{number}: not a row: {text}")
        yield match.groups()


def main():
    here = pathlib.Path(__file__).resolve().parent
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here
    names = [name for _, name in rows(here / "cuda.def")]
    double = {name for name in names if names.count(name) > 1}
    if double:
        sys.exit(f"api/cuda.def: listed twice: {', '.join(sorted(double))}")
    if names != sorted(names):
        sys.exit("api/cuda.def: rows are not sorted")
    (out / "cuda.symbols").write_text("".join(f"{name}\n" for name in names))


if __name__ == "__main__":
    main()
