#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the first inputs of the fuzz targets that are no texts: tests/fuzz/make_seeds.py.

Their formats are those that target_NAME.c describes. Inputs that fuzzing has found lie beside them,
named for what they found; this script neither makes nor removes those.
"""
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
ADMIT, ATTACH, STATUS, RETURN_RUN, UNATTACHED = 1, 4, 8, 11, 12
NULL, NUMBER, SMALL, TEXT, BYTES, RIGHT = range(6)
KEEP_TOKEN = 0x80
ACTIVITY = 4 << 4


def write(target, name, data):
    folder = HERE / "seeds" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)


def admit(client, tpcs=0, percent=0, name=b"web"):
    body = name.ljust(64, b"\0") + struct.pack("<IIII", tpcs, percent, 10, 0)
    return bytes([1 | client << 2, ADMIT, len(body)]) + body


def step(client, kind, flags=0):
    return bytes([kind | client << 2 | flags])


def attach(client, flags=0, line=0, kind=ATTACH, fd=0):
    body = bytes(32) + struct.pack("<II", flags, line)
    return bytes([1 | client << 2 | KEEP_TOKEN | fd, kind, len(body)]) + body


def protocol():
    status = step(2, 1) + bytes([STATUS, 0]) + step(2, 3)
    write("protocol", "admit-attach-status", admit(0, tpcs=33) + step(0, 3) + attach(1)
          + step(1, 3) + status + step(1, 2) + step(0, 2))
    write("protocol", "guest-and-refusal", admit(0, percent=100) + admit(1, name=b"")
          + admit(2, tpcs=1) + step(0, 3) + step(2, 3))
    write("protocol", "return", admit(0, percent=50) + step(0, 3) + attach(1, kind=RETURN_RUN)
          + step(0, 2) + attach(2, flags=1, fd=ACTIVITY) + step(2, 3))
    write("protocol", "empty-with-descriptors", step(0, 0, 7 << 4) + bytes(2) + step(0, 0, 1 << 4)
          + bytes(2))
    said = bytes(16) + struct.pack("<II", 1, 0) + b"no daemon"
    write("protocol", "unattached", admit(0, tpcs=3) + step(0, 3) + step(0, 2)
          + bytes([1 | 1 << 2 | KEEP_TOKEN, UNATTACHED, len(said)]) + said + step(1, 2))
    write("protocol", "raw", step(0, 0) + struct.pack("<H", 20) + b"LITO" + bytes(16))


def small(value):
    return bytes([SMALL, value])


def tenant(number, tpcs, place, token=1):
    return (b"\x01" + small(number) + bytes([RIGHT, token]) + bytes([TEXT, 3]) + b"web" + small(0)
            + small(0) + small(4) + small(0) + bytes([RIGHT]) + place + small(1)
            + bytes([RIGHT]) + tpcs)


def process(number, line):
    return b"\0" + small(number) + small(line) + small(1) + small(0) + b"\x01"


def state():
    meta = small(7) + small(9)
    four = b"\x0f".ljust(20, b"\0")
    next_four = b"\xf0".ljust(20, b"\0")
    nobody = bytes([RIGHT])
    write("state", "two-owners", meta + tenant(1, four, small(0)) + tenant(2, next_four, small(1))
          + process(1, 0) + process(2, 3) + b"\x02" + small(1) + small(1) + small(0) + b"\x01")
    write("state", "guest", meta + tenant(1, bytes(20), nobody) + process(1, 0))
    write("state", "guest-with-tpcs", meta + tenant(1, four, nobody))
    alien = tenant(1, b"", small(0))[:-1] + bytes([BYTES, 20]) + b"\xff" * 20
    write("state", "tpcs-that-do-not-exist", meta + alien)
    write("state", "same-tpcs", meta + tenant(1, four, small(0)) + tenant(2, four, small(1)))


def statistics():
    row = struct.pack("<QQQ6I", 100, 90, 9000000, 132, 1, 1, 128, 1, 1)
    row += struct.pack("<8I", 0, 33, 3, 0, 1, 1, 20, 0) + b"kernel".ljust(256, b"\0")
    row += struct.pack("<256I", *([90] + [0] * 255))
    head = bytes([1, 2]) + struct.pack("<HH", 33, 66) + struct.pack("<8Q", *range(8))
    write("statistics", "two-rows", head + row + row.replace(b"kernel", b"_Z4lernPf"))
    most = struct.pack("<QQQ", 2**64 - 1, 2**64 - 1, 2**64 - 1)
    write("statistics", "absurd-numbers", head + most + row[24:] + most + row[24:])


def code():
    for arch, number in ((70, 0), (80, 2), (90, 5), (100, 6)):
        lines = (DATA / "code" / f"sm_{arch}.txt").read_text().splitlines()
        starts = [i for i, line in enumerate(lines) if line.startswith("kernel ")]
        for begin, end in list(zip(starts, starts[1:]))[:24:4]:
            words = " ".join(lines[begin + 1:end]).split()
            data = b"".join(struct.pack("<Q", int(word, 16)) for word in words[:256])
            name = lines[begin].split()[1]
            write("code", f"sm{arch}-{name}", bytes([number]) + data)


def elf_note():
    note = struct.pack("<III", 7, 4, 1) + b"lithos\0\0" + b"dddd"
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 4, 4, 120, 0, 0, len(note), len(note), 4)
    write("elf_note", "elf", header + program + note)
    strings = b"libcuda.so.1\0/usr/lib/libcuda.so.1\0"
    begin = 20 + 4 + 24 + 24
    cache = b"glibc-ld.so.cache1.1" + struct.pack("<II", 1, len(strings)) + bytes(20)
    cache += struct.pack("<iIIIQ", 0x303, begin, begin + 13, 0, 0) + strings
    write("elf_note", "ldcache", cache)


def bench():
    ready = b"device H200\nversion torch 2.11\nservice_ns 1050000\nservice_ns 1e6\n"
    write("bench", "ready", b"\x01" + ready)
    write("bench", "ready-not-numbers", b"\x01service_ns nan\nservice_ns inf\nservice_ns 1\n")
    write("bench", "result", b"\0" + b"0 1000\n1 2000000\n2 900000000\n")
    write("bench", "result-absurd", b"\0" + b"-9223372036854775808 9223372036854775807\n")


def configuration():
    root = HERE.parent.parent
    write("configuration", "shipped", (root / "etc" / "lithosd.yaml").read_bytes())
    write("configuration", "small", b"version: v1\nlog: debug\nsharing:\n  lend: false\n")
    write("configuration", "wrong", b"version: v1\nsharing:\n  bound_us: 1e3\n---\nlog: x\n")


if __name__ == "__main__":
    for make in (bench, code, configuration, elf_note, protocol, state, statistics):
        make()
