# SPDX-License-Identifier: Apache-2.0
"""A machine for the PTX of tools/prelude/prelude.ptx: as much of it as preludes use.

A warp is stepped from one access of global memory to the next, so that a test can put accesses of
other warps between two of them. Everything a warp is at such a point is a value (Warp), which can
be copied, compared and hashed. Addresses, constants and special registers are the test's.
"""

import re
from dataclasses import dataclass

MASK32, MASK64 = 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF
COMPARE = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "ge": lambda a, b: a >= b,
    "gt": lambda a, b: a > b,
}
COMBINE = {"and": lambda a, b: a and b, "or": lambda a, b: a or b}


@dataclass(frozen=True)
class Instruction:
    guard: str  # a predicate, with "!" in front where it is negated; "" for none
    op: tuple
    args: tuple


@dataclass(frozen=True)
class Warp:
    """At the access it makes next, or at its end (access None)."""

    at: int
    lanes: tuple  # a tuple of registers' values for each lane
    # ("load", address), ("cas", address, expected, new), ("store", address, value)
    access: tuple = None
    runs: bool = None  # at the end: whether it has jumped to the kernel


def split_args(text):
    return tuple(a.strip() for a in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s][^,]*", text))


class Program:
    def __init__(self, source, entry):
        body = re.search(rf"\.entry {entry}\(\)\s*{{(.*?)\n}}", source, re.S)[1]
        body = re.sub(r"//[^\n]*", "", body)
        self.code, self.labels, self.registers = [], {}, {}
        for statement in body.replace(":", ":;").split(";"):
            self._statement(statement.strip())
        self.live = self._live()

    def _statement(self, text):
        if not text or text.startswith("."):
            for name in re.findall(r"%\w+", text) if text.startswith(".reg") else ():
                self.registers[name] = len(self.registers)
            return
        if text.endswith(":"):
            self.labels[text[:-1]] = len(self.code)
            return
        guard, op, args = re.fullmatch(r"(?:@(!?%\w+)\s+)?(\S+)\s*(.*)", text, re.S).groups()
        self.code.append(Instruction(guard or "", tuple(op.split(".")), split_args(args)))

    def _names(self, instruction):
        """Registers an instruction reads, and the one it certainly overwrites."""
        op, args = instruction.op[0], instruction.args
        names = [re.findall(r"%\w+", arg) for arg in args]
        writes = () if op in ("st", "bra", "call", "ret") else names[0] if names else ()
        reads = {n for group in (names if not writes else names[1:]) for n in group}
        if instruction.guard:
            reads |= {instruction.guard.lstrip("!"), *writes}  # what it may leave as it is
        return reads & self.registers.keys(), set(writes)

    def _next(self, at):
        """Where control may go from an instruction."""
        instruction = self.code[at]
        if instruction.op[0] in ("ret", "call"):
            return ()
        if instruction.op[0] == "bra":
            return (self.labels[instruction.args[0]], at + 1) if instruction.guard else (
                self.labels[instruction.args[0]],)  # fmt: skip
        return (at + 1,)

    def _live(self):
        """Registers read later, before each instruction: what else they hold makes no
        difference."""
        live = [set() for _ in self.code]
        changed = True
        while changed:
            changed = False
            for at in range(len(self.code) - 1, -1, -1):
                reads, writes = self._names(self.code[at])
                after = set().union(*(live[n] for n in self._next(at)))
                now = reads | (after - writes)
                changed |= now != live[at]
                live[at] = now
        return [frozenset(self.registers[n] for n in names) for names in live]

    def start(self, constants, special, nr_lanes=1):
        """A warp at its first access; `special` gives %ctaid.x and so on, for all lanes but
        %laneid."""
        blank = (0,) * (len(self.registers) + 1)  # the last one is the carry
        machine = _Machine(self, constants, special, Warp(0, (blank,) * nr_lanes))
        return machine.run()

    def resume(self, warp, value, constants, special):
        """The warp at its next access, after the one it was at has given this value."""
        return _Machine(self, constants, special, warp).run(value)


class _Machine:
    def __init__(self, program, constants, special, warp):
        self.program, self.constants, self.special = program, constants, special
        self.at, self.lanes = warp.at, [list(lane) for lane in warp.lanes]

    # --- operands ---------------------------------------------------------------------------------

    def get(self, lane, name):
        if name in self.program.registers:
            return self.lanes[lane][self.program.registers[name]]
        if name == "%laneid":
            return lane
        if name in self.special:
            return self.special[name]
        return int(name, 0) & MASK64

    def put(self, lane, name, value):
        self.lanes[lane][self.program.registers[name]] = value

    def is_on(self, lane, guard):
        return not guard or self.get(lane, guard.lstrip("!")) != guard.startswith("!")

    # --- instructions -----------------------------------------------------------------------------

    def setp(self, lane, op, args):
        compare, *combine, kind = op[1:]
        a, b = self.get(lane, args[1]) & MASK32, self.get(lane, args[2]) & MASK32
        if kind == "s32":
            a, b = (v - (1 << 32) if v >> 31 else v for v in (a, b))
        result = COMPARE[compare](a, b)
        if combine:
            result = COMBINE[combine[0]](result, bool(self.get(lane, args[3])))
        self.put(lane, args[0], result)

    def move(self, lane, op, args):
        if args[0].startswith("{"):
            lo, hi = split_args(args[0][1:-1])
            self.put(lane, lo, self.get(lane, args[1]) & MASK32)
            self.put(lane, hi, self.get(lane, args[1]) >> 32)
        elif args[1].startswith("{"):
            lo, hi = split_args(args[1][1:-1])
            self.put(lane, args[0], self.get(lane, hi) << 32 | self.get(lane, lo))
        else:
            self.put(lane, args[0], self.get(lane, args[1]))

    def arithmetic(self, lane, op, args):
        a = [self.get(lane, name) for name in args[1:]]
        if op[0] == "mad":
            value = a[0] * a[1] + a[2]
        elif op[0] == "mul":
            value = a[0] * a[1]
        elif op[0] in ("sub", "subc"):
            value = a[0] - a[1] - (self.lanes[lane][-1] if op[0] == "subc" else 0)
            if "cc" in op:
                self.lanes[lane][-1] = int(value < 0)
        elif op[0] == "selp":
            value = a[0] if a[2] else a[1]
        elif op[0] == "not":
            value = not a[0] if op[1] == "pred" else ~a[0]
        else:
            value = {"add": int.__add__, "and": int.__and__, "or": int.__or__}[op[0]](*a)
        if op[-1] != "pred":
            value &= MASK64 if op[-1] == "u64" or "wide" in op else MASK32
        self.put(lane, args[0], value)

    def constant(self, lane, op, args):
        offset = re.fullmatch(r"\[slot(?:\s*\+\s*(\d+))?\]", args[1])[1]
        self.put(lane, args[0], self.constants[int(offset or 0)])

    def shuffle(self, op, args):
        values = [self.get(lane, args[1]) for lane in range(len(self.lanes))]
        for lane in range(len(self.lanes)):
            self.put(lane, args[0], values[int(args[2])])

    # --- accesses ---------------------------------------------------------------------------------

    def access_of(self, lane, op, args):
        if op[0] == "ld":
            return ("load", self.get(lane, args[1][1:-1]))
        if op[0] == "st":
            return ("store", self.get(lane, args[0][1:-1]), self.get(lane, args[1]))
        return ("cas", self.get(lane, args[1][1:-1]), self.get(lane, args[2]),
                self.get(lane, args[3]))

    def next_access(self, instruction):
        """The access an instruction makes, if any lane does: the first alone may."""
        on = [lane for lane in range(len(self.lanes)) if self.is_on(lane, instruction.guard)]
        if on not in ([], [0]):
            raise AssertionError(f"lanes {on} access memory")
        return self.access_of(0, instruction.op, instruction.args) if on else None

    def branches(self, instruction):
        on = {bool(self.is_on(lane, instruction.guard)) for lane in range(len(self.lanes))}
        if len(on) != 1:
            raise AssertionError("a branch parts the warp")
        return on.pop()

    # --- control ----------------------------------------------------------------------------------

    def step(self, instruction):
        """One that touches no global memory and does not branch."""
        op, args = instruction.op, instruction.args
        if op[0] == "shfl":
            self.shuffle(op, args)
            return
        do = {"setp": self.setp, "mov": self.move, "ld": self.constant}.get(op[0], self.arithmetic)
        for lane in range(len(self.lanes)):
            if self.is_on(lane, instruction.guard):
                do(lane, op, args)

    def warp(self, **more):
        if "runs" in more:
            return Warp(0, (), **more)
        live = self.program.live[self.at]
        lanes = (
            tuple(v if i in live else 0 for i, v in enumerate(lane)) for lane in self.lanes
        )
        return Warp(self.at, tuple(lanes), **more)

    def run(self, value=None):
        if value is not None:
            instruction = self.program.code[self.at]
            if instruction.op[0] != "st":
                self.put(0, instruction.args[0], value)
            self.at += 1
        while True:
            instruction = self.program.code[self.at]
            name = instruction.op[0]
            if name == "ret":
                return self.warp(runs=False)
            if name == "call":
                return self.warp(runs=True)
            if name in ("st", "atom") or (name == "ld" and "global" in instruction.op):
                access = self.next_access(instruction)
                if access:
                    return self.warp(access=access)
            elif name == "bra":
                if self.branches(instruction):
                    self.at = self.program.labels[instruction.args[0]]
                    continue
            else:
                self.step(instruction)
            self.at += 1
