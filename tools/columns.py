#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lines end at 100 columns, a tab going to the next multiple of eight.

usage: columns.py FILE...

Prints `FILE:LINE: COLUMNS columns` for each that does not, and ends with 1. Longer may be what
cannot be broken, or would be harder to search for: a row of a Markdown table, a line of one word (a
link, a path), and, up to 140 columns, a line whose end is in quotes.
"""
import re
import sys

COLUMNS = 100
QUOTED_COLUMNS = 140
COMMENT = re.compile(r"\s*(#|//|/?\*)")


def cannot_be_broken(path, line, width):
    if path.endswith(".md"):
        return line.lstrip().startswith("|")
    if len(line.split()) == 1:
        return True
    beyond = len(line)
    while len(line[:beyond].expandtabs(8)) > COLUMNS:
        beyond -= 1
    return (width <= QUOTED_COLUMNS and not COMMENT.match(line)
            and any(quote in line[:beyond] and quote in line[beyond:] for quote in "'\""))


def main():
    found = 0
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                line = line.rstrip("\n")
                width = len(line.expandtabs(8))
                if width > COLUMNS and not cannot_be_broken(path, line, width):
                    print(f"{path}:{number}: {width} columns")
                    found += 1
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
