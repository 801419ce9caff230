# SPDX-License-Identifier: Apache-2.0
"""All orders in which warps can decide a block: the claim's PTX, access by access.

A work's launches on the device at once: one that others help (the lead), helpers one after the
other, and a rescue that nobody tells to go. Each has two warps of the block. Whether a launch is to
go is left open at every look of a warp that may be told: the words alone must see to it that

- the warps of a block agree,
- one launch at most runs it,
- a launch that neither runs it nor finds it taken has reported,
- what nobody runs, the next launch of the work runs.

    test_claims.py PRELUDE.PTX [MODEL]

MODEL prints cases and what the C model of src/sim/device/begin.c makes of them, one a line.
"""

import itertools
import pathlib
import subprocess
import sys
import unittest

import ptx

STEP = 4  # between numbers of launches: PRELUDE_NUMBER_STEP
WORDS, REPORT, ENTRY = 0x7F00000000, 0x10000, 0xBEEF
TOLD, DISARM = WORDS - 8, WORDS - 4
ASKED, CALM = 0x20000, 7
SPECIAL = {"%ctaid." + axis: 0 for axis in "xyz"} | {"%nctaid.x": 1, "%nctaid.y": 1}

source = pathlib.Path(__file__).parents[3] / "tools/prelude/prelude.ptx"
model = None


def slot_of(first, run, lead, flags=(ASKED, ASKED), calm=(CALM, CALM), report=None):
    """Constants by offset, as struct prelude_slot of hw/prelude/prelude.h."""
    return {0: 0, 4: lead, 8: ENTRY, 16: WORDS, 24: flags[0], 32: flags[1], 40: calm[0],
            44: calm[1], 48: first, 52: run, 56: REPORT + run if report is None
            else report}  # fmt: skip


class Launch:
    def __init__(self, slot, is_armed, after, nr_warps):
        self.slot, self.run, self.is_armed = slot, slot[52], is_armed
        self.after, self.nr_warps = after, nr_warps


def access(memory, access):
    """What an access gives, and the memory after it."""
    kind, address, *values = access
    old = memory.get(address, 0)
    if kind == "store":
        memory = memory | {address: values[0]}
    elif kind == "cas" and old == values[0]:
        memory = memory | {address: values[1]}
    return old, memory


class Explorer:
    """Every order of the accesses of some launches' warps to a block's word.

    What a warp is told at a look is its own affair, so looks need no order among others' accesses.
    """

    def __init__(self, program, launches):
        self.program, self.launches = program, launches
        self.owner = [i for i, launch in enumerate(launches) for _ in range(launch.nr_warps)]
        self.resumed = {}
        self.outcomes = set()
        self.nr_states = 0

    def explore(self, word):
        starts = [
            [w for _, w in self.look((), self.program.start(launch.slot, SPECIAL), i)]
            for i, launch in enumerate(self.launches)
        ]
        todo = [
            (self.sorted(warps), ((WORDS, word),))
            for warps in itertools.product(*(starts[i] for i in self.owner))
        ]
        seen = set(todo)
        while todo:
            state = todo.pop()
            self.nr_states += 1
            nexts = list(self.nexts(*state))
            if not nexts:
                self.finish(*state)
            for following in nexts:
                if following not in seen:
                    seen.add(following)
                    todo.append(following)

    def may_step(self, warps, i):
        after = self.launches[self.owner[i]].after
        return warps[i].access and (
            after is None
            or all(not w.access for w, owner in zip(warps, self.owner) if owner == after)
        )

    def sorted(self, warps):
        """Warps of a launch may change places."""
        groups = itertools.groupby(zip(self.owner, warps), key=lambda pair: pair[0])
        return tuple(w for _, pairs in groups for _, w in sorted(pairs, key=repr))

    def resume(self, warp, value, owner):
        key = warp, value, owner
        if key not in self.resumed:
            slot = self.launches[owner].slot
            self.resumed[key] = self.program.resume(warp, value, slot, SPECIAL)
        return self.resumed[key]

    def look(self, memory, warp, owner):
        """The warp behind its looks at epochs and disarming, for whatever they may say."""
        address = warp.access[1] if warp.access else None
        if address not in (ASKED, DISARM):
            return [(memory, warp)]
        if address == DISARM:
            values = {0, self.launches[owner].run}
        else:
            values = {CALM, CALM + self.launches[owner].is_armed}
        return [pair for v in values for pair in self.look(memory, self.resume(warp, v, owner),
                                                           owner)]

    def nexts(self, warps, memory):
        for i, warp in enumerate(warps):
            if not self.may_step(warps, i):
                continue
            value, after = access(dict(memory), warp.access)
            after = tuple(sorted(after.items()))
            for after, moved in self.look(after, self.resume(warp, value, self.owner[i]),
                                          self.owner[i]):
                yield self.sorted(warps[:i] + (moved,) + warps[i + 1 :]), after

    def finish(self, warps, memory):
        memory = dict(memory)
        runners = []
        for i, launch in enumerate(self.launches):
            runs = {w.runs for w, owner in zip(warps, self.owner) if owner == i}
            if len(runs) != 1:
                raise AssertionError(f"warps of launch {launch.run} disagree")
            if runs.pop():
                runners.append(launch.run)
        if len(runners) > 1:
            raise AssertionError(f"launches {runners} run a block")
        reported = {l.run for l in self.launches if memory.get(REPORT + l.run) == l.run}
        if not runners:
            self.finish_open(reported, memory[WORDS])
        self.outcomes.add((tuple(runners), frozenset(reported)))

    def finish_open(self, reported, word):
        if len(reported) != len(self.launches):
            raise AssertionError("a block is left and not reported")
        last = self.launches[-1]
        run = last.run + STEP
        slot = slot_of(last.slot[48], run, run)
        if not decide(self.program, slot, {WORDS: word, ASKED: CALM})[0]:
            raise AssertionError("a block that was left is not run by the next launch")


def decide(program, slot, memory):
    """One warp alone; whether it runs, and the accesses' memory."""
    warp = program.start(slot, SPECIAL, nr_lanes=2)
    while warp.access:
        value, memory = access(memory, warp.access)
        warp = program.resume(warp, value, slot, SPECIAL)
    return warp.runs, memory


def launches_of(shape, first, lead):
    """Shapes name launches: L lead, H helper, G a helper that begins when the H before it has
    ended, R rescue; small letters: nobody tells it to go."""
    launches = []
    for i, letter in enumerate(shape):
        after = i - 1 if letter in "Gg" else None
        is_armed = letter.isupper() and letter != "R"
        slot = slot_of(first, lead + i * STEP, lead)
        launches.append(Launch(slot, is_armed, after, 1 if letter == "R" else 2))
    return launches


class Claims(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = ptx.Program(source.read_text(), "lithos_claim")

    def words(self, first, lead):
        """What may stand in a word that nobody has decided: an earlier work's, an earlier
        round's."""
        yield from (0, first - STEP, first - STEP + 1, first - 1)
        if lead > first:
            yield from (first + 1, first + 3, lead - STEP + 1, lead - 1)

    def explore(self, shape, first, lead, words=None):
        outcomes, nr_states = set(), 0
        for word in words or self.words(first, lead):
            explorer = Explorer(self.program, launches_of(shape, first, lead))
            explorer.explore(word)
            outcomes |= explorer.outcomes
            nr_states += explorer.nr_states
        print(f"shape={shape} states={nr_states} outcomes={len(outcomes)}")
        return {runners for runners, _ in outcomes}

    def test_alone(self):
        self.assertEqual(self.explore("L", 400, 400), {(), (400,)})
        self.assertEqual(self.explore("L", 400, 412), {(), (412,)})
        self.assertEqual(self.explore("l", 400, 412), {(412,)})

    def test_with_a_helper(self):
        self.assertEqual(self.explore("LH", 400, 412), {(), (412,), (416,)})
        self.assertEqual(self.explore("lH", 400, 412), {(412,), (416,)})
        self.assertEqual(self.explore("Lh", 400, 412), {(412,), (416,)})

    def test_helpers_in_turn(self):
        self.assertEqual(self.explore("LHG", 400, 412, [413 - STEP]), {(), (412,), (416,), (420,)})

    def test_with_a_rescue(self):
        self.assertEqual(self.explore("LHR", 400, 412, [0]), {(412,), (416,), (420,)})

    def test_decided_words(self):
        for word, run, lead in itertools.product((400, 404, 412, 416), (412, 416), (412,)):
            slot = slot_of(400, run, lead)
            runs, memory = decide(self.program, slot, {WORDS: word, ASKED: CALM + 1})
            self.assertEqual(runs, word == run)
            self.assertEqual(memory[WORDS], word)

    def test_other_lanes_follow(self):
        """decide() has two lanes, and a branch that parts them is an error."""
        runs, memory = decide(self.program, slot_of(400, 412, 412), {WORDS: 0, ASKED: CALM})
        self.assertTrue(runs)
        self.assertEqual(memory[WORDS], 412)


# Text of the rule, and what makes it wrong.
MUTANTS = {
    "the lead's mark is lost": ("selp.u32 %kept, %bits, 0, %here;", "mov.u32 %kept, 0;"),
    "the helper's mark is lost": ("selp.u32 %base, %word, %run, %p;", "mov.u32 %base, %run;"),
    "marks of an earlier round count": ("setp.ge.and.u32 %here, %word, %lead, %odd;",
                                        "setp.ge.and.u32 %here, %word, %first, %odd;"),
    "no further try": ("@%p bra.uni TRY;", ""),
    "taken back": ("setp.eq.and.u32 %gone, %bits, %sign, %here;",
                   "setp.eq.and.u32 %gone, %bits, %epoch0, %here;"),
    "no report": ("or.pred %p, %gone, %q;", "mov.pred %p, %q;\n\tand.pred %p, %p, %gone;"),
}  # fmt: skip


class Mutants(unittest.TestCase):
    """Rules that are wrong in one place are found, or the exploration is worth nothing."""

    def is_found(self, text):
        program = ptx.Program(text, "lithos_claim")
        for shape in ("L", "LH", "LHR"):
            for word in (0, 401, 403):
                try:
                    Explorer(program, launches_of(shape, 400, 412)).explore(word)
                except AssertionError as error:
                    return f"{shape} {word}: {error}"
        return None

    def test_found(self):
        text = source.read_text()
        for name, (right, wrong) in MUTANTS.items():
            self.assertEqual(text.count(right), 1, name)
            found = self.is_found(text.replace(right, wrong))
            print(f'mutant="{name}" found="{found}"')
            self.assertIsNotNone(found, name)


class Model(unittest.TestCase):
    def test_same_as_the_simulator(self):
        if not model:
            self.skipTest("no model")
        program = ptx.Program(source.read_text(), "lithos_claim")
        lines = subprocess.run([model], check=True, capture_output=True,
                               text=True).stdout.splitlines()
        for line in lines:
            case = {k: int(v) for k, v in (pair.split("=") for pair in line.split())}
            slot = slot_of(case["first"], case["run"], case["lead"], (ASKED, ASKED + 4),
                           (case["calm0"], case["calm1"]), REPORT)  # fmt: skip
            before = {WORDS: case["word"], ASKED: case["epoch0"], ASKED + 4: case["epoch1"],
                      DISARM: case["disarm"], TOLD: case["told"]}  # fmt: skip
            runs, after = decide(program, slot, before)
            self.assertEqual(
                (runs, after[WORDS], after[TOLD], after.get(REPORT, 0)),
                (case["runs"] == 1, case["word_after"], case["told_after"], case["report"]),
                line,
            )
        self.assertGreater(len(lines), 1000)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        source = pathlib.Path(sys.argv.pop(1))
    if len(sys.argv) > 1:
        model = sys.argv.pop(1)
    unittest.main()
