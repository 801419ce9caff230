#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the prelude images: prelude.ptx -> ptxas -> patched cubin -> C arrays and disassembly.

    tools/prelude/generate.py --ptxas PTXAS [--nvdisasm NVDISASM]

ptxas 12.8 assembles for every architecture lithos names, sm_70 included (package
nvidia-cuda-nvcc-cu12 of PyPI); nvdisasm of CUDA 13 reads sm_75 and up (nvidia-cuda-nvdisasm).
Writes src/hw/prelude/images/sm_XX.inc and, with nvdisasm, tests/data/prelude/sm_XX.sass.

What is patched, and how the result is checked, is in patch_text(). The encodings were read off
nvdisasm's output for sm_70 to sm_120; an instruction is 16 bytes, `lo` and `hi` its two words.
From sm_90 on the preludes exist twice: source_for() adds those of cluster grids.
"""

import argparse
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ARCHS = (70, 75, 80, 86, 89, 90, 100, 120)
PRELUDES = ("lithos_gate", "lithos_claim")
READER = "lithos_reader"
FIRST_DISASSEMBLED = 75
FIRST_WITH_CLUSTERS = 90
MAX_REGISTERS = 24  # PRELUDE_REGISTERS of hw/prelude/prelude.h

BANK_SHIFT, BANK_MASK = 54, 0x1F
KERNEL_BANK, COMPILED_BANK, SLOT_BANK = 0, 3, 6
FORM_SHIFT, FORM_MASK, CONST_FORMS = 9, 7, (3, 5)  # operand B or C is a constant
CALL_REL, CALL_ABS = 0x344, 0x343
MOVES = (0x802, 0x424, 0x435, 0x431)  # MOV, IMAD.MOV, HFMA2.MMA, HFMA2 of an immediate
RETURN_ADDRESS = (20, 21)  # the ABI's registers
RET_ABS_NODEC = 0x7950
RET_HI_KEEP, RET_HI = 0xFFFFFFFFFC000000, 0x3E00000
NOP_LO, NOP_HI = 0x7918, 0x000FC00000000000


def cluster_entry(entry):
    """The same entry, by the number of the cluster's first block."""
    entry = re.sub(r"(\.entry \w+)\(", r"\1_cluster(", entry)
    entry, nr_places = re.subn(
        r"\tmov\.u32 %([xyz]), %ctaid\.\1;\n",
        r"\g<0>\tmov.u32 %inner, %cluster_ctaid.\1;\n\tsub.u32 %\1, %\1, %inner;\n",
        entry,
    )
    entry, nr_lists = re.subn(r"\.reg \.b32 %x,", ".reg .b32 %inner, %x,", entry)
    if nr_places != 3 or nr_lists != 1:
        sys.exit("prelude.ptx: an entry does not read %ctaid as expected")
    return entry


def source_for(arch):
    """The PTX for an architecture, and the names of the preludes in it."""
    text = (ROOT / "tools/prelude/prelude.ptx").read_text()
    text = text.replace(".target sm_70", f".target sm_{arch}").replace(".version 7.0",
        ".version 8.7")
    names = set(PRELUDES)
    if arch < FIRST_WITH_CLUSTERS:
        return text, names
    for name in PRELUDES:
        text += "\n" + cluster_entry(re.search(rf"\.visible \.entry {name}\(.*?\n}}\n", text,
                                               re.S)[0])
        names.add(name + "_cluster")
    return text, names


class Elf:
    """Sections of a 64-bit little-endian ELF file that is edited in place."""

    def __init__(self, data):
        self.data = bytearray(data)
        (shoff,) = struct.unpack_from("<Q", data, 0x28)
        count, names = struct.unpack_from("<HH", data, 0x3C)
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", data, shoff + 64 * i)
                        for i in range(count)]
        base = self.headers[names][4]
        self.names = [
            data[base + h[0] : data.index(b"\0", base + h[0])].decode() for h in self.headers
        ]

    def sections(self, prefix):
        for name, header in zip(self.names, self.headers):
            if name.startswith(prefix):
                yield name, header[4], header[5], header


def patch_instruction(lo, hi, counts):
    """One instruction, patched; counts what was done by kind."""
    op = lo & 0xFFF
    form = (lo >> FORM_SHIFT) & FORM_MASK
    if op in (CALL_REL, CALL_ABS):
        counts["jump"] += 1
        return RET_ABS_NODEC | (lo & 0xFF000000) | (lo & 0xF000), (hi & RET_HI_KEEP) | RET_HI
    if op in MOVES and (lo >> 16) & 0xFF in RETURN_ADDRESS:
        counts["nop"] += 1
        return NOP_LO, NOP_HI
    if form not in CONST_FORMS or (lo >> BANK_SHIFT) & BANK_MASK == KERNEL_BANK:
        return lo, hi
    if (lo >> BANK_SHIFT) & BANK_MASK == COMPILED_BANK:
        counts["bank"] += 1
        return (lo & ~(BANK_MASK << BANK_SHIFT)) | (SLOT_BANK << BANK_SHIFT), hi
    counts["other bank"] += 1
    return lo, hi


def patch_text(elf, name, offset, size):
    """Patches one entry's code in place and drops the relocations of what was patched."""
    counts = {"jump": 0, "nop": 0, "bank": 0, "other bank": 0}
    patched = set()
    for at in range(offset, offset + size, 16):
        before = struct.unpack_from("<QQ", elf.data, at)
        after = patch_instruction(*before, counts)
        if after != before:
            patched.add(at - offset)
            struct.pack_into("<QQ", elf.data, at, *after)
    # A constant of the compiler's would lie in a bank of the prelude, where the kernel has its own.
    if counts["jump"] != 1 or counts["nop"] != 2 or counts["bank"] < 2 or counts["other bank"]:
        sys.exit(f"{name}: the compiler's output has another shape than expected: {counts}")
    for kind, entry_bytes in ((".rela" + name, 24), (".rel" + name, 16)):
        for section, at, bytes_, _ in elf.sections(kind):
            if section == kind:
                drop_relocations(elf, at, bytes_, entry_bytes, patched)


def drop_relocations(elf, offset, size, entry_bytes, patched):
    for at in range(offset, offset + size, entry_bytes):
        (where,) = struct.unpack_from("<Q", elf.data, at)
        if where & ~15 in patched:
            struct.pack_into("<Q", elf.data, at + 8, 0)  # R_CUDA_NONE


def assemble(ptxas, arch, folder):
    """The image's path, and the names of its preludes."""
    text, preludes = source_for(arch)
    source, image = folder / f"{arch}.ptx", folder / f"{arch}.cubin"
    source.write_text(text)
    subprocess.run([ptxas, f"-arch=sm_{arch}", str(source), "-o", str(image)], check=True)
    elf = Elf(image.read_bytes())
    found = set()
    for name, offset, size, _ in list(elf.sections(".text.")):
        entry = name[len(".text.") :]
        if entry in preludes:
            patch_text(elf, name, offset, size)
        found.add(entry)
    if found != preludes | {READER}:
        sys.exit(f"sm_{arch}: entries {sorted(found)}")
    image.write_bytes(elf.data)
    return image, preludes


def write_array(arch, image, version):
    data = image.read_bytes()
    lines = [
        "/* SPDX-License-Identifier: Apache-2.0 */",
        f"/* Generated by tools/prelude/generate.py from prelude.ptx with {version}. */",
        "/* clang-format off */",
    ]
    for at in range(0, len(data), 24):
        lines.append(",".join(str(byte) for byte in data[at : at + 24]) + ",")
    path = ROOT / f"src/hw/prelude/images/sm_{arch}.inc"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def registers_of(code):
    """How many registers an instruction reaches; an operand of 64 bits counts two."""
    numbers = [int(n) for n in re.findall(r"\bR(\d+)", code)]
    return max(numbers) + (2 if re.search(r"\.64|WIDE", code) else 1) if numbers else 0


def check_accesses(arch, entry, code):
    """Scopes of what a claim shares with others, and constant banks 0 (the kernel's own) and 6."""
    text = "\n".join(code)
    banks = set(re.findall(r"\bc\[(0x\w+)\]", text))
    wanted = {"LDG.E.STRONG.GPU": 5, "ATOMG.E.CAS.STRONG.GPU": 1, "STG.E.STRONG.GPU": 1,
              "STG.E.STRONG.SYS": 1}  # fmt: skip
    if "claim" not in entry:
        wanted = {}
    accesses = re.findall(r"\b((?:LD|ST|ATOM|RED)[GS]?\.E\S*)", text)
    found = {name: accesses.count(name) for name in accesses}
    if entry != READER and (found != wanted or not banks <= {"0x0", "0x6"}):
        sys.exit(f"sm_{arch}: {entry} accesses {found}, banks {banks}")


def disassemble(nvdisasm, arch, image, preludes):
    out = subprocess.run([nvdisasm, "-c", str(image)], check=True, capture_output=True, text=True)
    code = {}
    for line in out.stdout.splitlines():
        section = re.match(r"\s*\.section\s+\.text\.(\w+)", line)
        instruction = re.match(r"\s*/\*([0-9a-f]{4})\*/\s+([^;.][^;]*?)\s*;", line)
        if section:
            lines = code.setdefault(section[1], [])
        elif instruction and instruction[2] != "NOP":
            lines.append(f"{instruction[1]} {instruction[2]}")
    text = f"# sm_{arch}, by nvdisasm; generated by tools/prelude/generate.py\n"
    for entry in sorted(code):
        nr = max(registers_of(line) for line in code[entry])
        text += f"\n{entry}: instructions={len(code[entry])} registers={nr}\n"
        text += "\n".join(code[entry]) + "\n"
        check_accesses(arch, entry, code[entry])
        if nr > MAX_REGISTERS:
            sys.exit(f"sm_{arch}: {entry} needs {nr} registers")
    if "c[0x3]" in text or "CALL" in text or text.count("RET.ABS.NODEC") != len(preludes):
        sys.exit(f"sm_{arch}: patch not as intended:\n{text}")
    (ROOT / f"tests/data/prelude/sm_{arch}.sass").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ptxas", required=True)
    parser.add_argument("--nvdisasm")
    args = parser.parse_args()
    out = subprocess.run([args.ptxas, "--version"], check=True, capture_output=True, text=True)
    version = "ptxas " + re.search(r"V[0-9.]+", out.stdout)[0]
    with tempfile.TemporaryDirectory() as folder:
        for arch in ARCHS:
            image, preludes = assemble(args.ptxas, arch, pathlib.Path(folder))
            write_array(arch, image, version)
            if args.nvdisasm and arch >= FIRST_DISASSEMBLED:
                disassemble(args.nvdisasm, arch, image, preludes)


if __name__ == "__main__":
    main()
