# SPDX-License-Identifier: Apache-2.0
"""Which kernels ran in parts with the bits of a native run, which were refused and why, and what
differs.

    coverage.py --out coverage.json [--gangs gangs.txt] [--at-least 300] FOLDER

The folder holds, for each section (library, models) and each label (native, native2, atoms-8, ...),
the file SECTION.LABEL.json of library.py or models.py and, but for native ones,
SECTION.LABEL.stats*.json of `lithos run --stats=json`.

An entry is judged when all its native digests agree. A kernel is exact in a way of splitting when
it ran in parts within an entry's hashed runs, that entry has the native bits, and no judged entry
that ran it has others. It is covered when it is exact in one way and suspect in none. Exit code 1:
a judged entry differs, failed or is missing, a file is missing, or fewer kernels are covered than
asked for.

Gangs: kernels whose blocks wait for other blocks. gangs.txt says of some names what is true, from
sources; a kernel that the detector took for a gang and that is none costs latency (false positive),
one that it took for none hangs or is rescued (false negative). What the file does not name is not
judged.
"""

import argparse
import glob
import json
import os
import re
import subprocess
import sys

import common

SECTIONS = ("library", "models")
SHORT = 72
OWN = re.compile(r"^lk_|^\(unnamed\)$|^$")
ONE_BLOCK = "one block"
NO_STATISTICS = "no statistics"
UNFINISHED = tuple("error: " + word for word in ("no time left", "hung", "not finished", "not run"))


# --- files

def read_json(path):
    try:
        with open(path, encoding="utf-8") as text:
            return json.load(text)
    except (OSError, ValueError):
        return None


def entries_of(section, data):
    """{entry: {hashes, error, ran: {kernel: [launches, split, cut]}}} of either kind of file."""
    out = {}
    names = data.get("names", [])
    for name, row in data.get("entries", data.get("models", {})).items():
        ran = row.get("ran") or {}
        if section == "library":
            ran = {names[int(i)]: counts for i, counts in ran.items()}
        hashes = [row[key] for key in ("sha256", "sha256_again") if key in row]
        out[f"{section}: {name}"] = {"hashes": hashes, "error": row.get("error"), "ran": ran}
    return out


def load(folder):
    """{label: {"entries", "stats": [...]}} and what is missing."""
    runs, missing = {}, []
    for section in SECTIONS:
        paths = [p for p in sorted(glob.glob(os.path.join(folder, section + ".*.json")))
                 if ".stats" not in os.path.basename(p)]
        for path in paths:
            label = os.path.basename(path)[len(section) + 1:-len(".json")]
            run = runs.setdefault(label, {"entries": {}, "stats": []})
            data = read_json(path)
            if data is None:
                missing.append(f"{path}: cannot be read")
                continue
            run["entries"].update(entries_of(section, data))
            if is_native(label):
                continue
            stats = [read_json(p) for p in sorted(glob.glob(path[:-len(".json")] + ".stats*.json"))]
            run["stats"] += [s for s in stats if s]
            if not any(stats):
                missing.append(f"{section} {label}: no statistics")
    return runs, missing


def is_native(label):
    return label.startswith("native")


# --- entries

def native_of(rows):
    """What the native rows of one entry say: a digest, or why there is none to judge by."""
    errors = [row["error"] for row in rows if row["error"]]
    if errors or not rows:
        return None, "error: " + (errors[0] if errors else "not run")
    hashes = {h for row in rows for h in row["hashes"]}
    if len(hashes) != 1:
        return None, "unstable"
    return hashes.pop(), "stable"


def judged(row, digest):
    if row is None:
        return "missing"
    if row["error"]:
        return "error: " + row["error"]
    return "same" if set(row["hashes"]) == {digest} else "differs"


def read_patterns(lines):
    return [re.compile(line.strip()) for line in lines if line.strip() and not line.startswith("#")]


def judge(runs, reordered=()):
    """{entry: {"sha256", "native": stable|unstable|reordered|error, "ways": {label: verdict}}}."""
    natives = {label: run["entries"] for label, run in runs.items() if is_native(label)}
    names = {name for run in runs.values() for name in run["entries"]}
    out = {}
    for name in sorted(names):
        digest, state = native_of([rows[name] for rows in natives.values() if name in rows])
        if digest and any(pattern.search(name) for pattern in reordered):
            digest, state = None, "reordered"
        # A way that did not run the entry's section at all is not missing it.
        section = name.split(":")[0] + ":"
        ways = {label: judged(run["entries"].get(name), digest) if digest else "not judged"
                for label, run in runs.items() if not is_native(label)
                and any(other.startswith(section) for other in run["entries"])}
        out[name] = {"sha256": digest, "native": state, "ways": ways}
    return out


def failures(entries):
    """What differs or did not run; also natively, but for operations that this release lacks."""
    found = []
    for name, row in entries.items():
        if row["native"].startswith(UNFINISHED):
            found.append(f"{name} native: {row['native']}")
        found += [f"{name} {label}: {verdict}" for label, verdict in row["ways"].items()
                  if verdict not in ("same", "not judged")]
    return found


# --- kernels

def fresh():
    return {"launches": 0, "split": 0, "cut": 0, "multi": False, "reason": None, "way": None,
            "same": [], "other": [], "unjudged": []}


def add_statistics(kernels, stats):
    for row in stats["kernels"]:
        if OWN.search(row["name"]):
            continue
        kernel = kernels.setdefault(row["name"], fresh())
        for key in ("launches", "split", "cut"):
            kernel[key] += row[key]
        x, y, z = row["grid"]
        kernel["multi"] |= x * y * z > 1
        # The word of a run that was asked weighs more than that of one that was not.
        if not kernel["reason"] or not row["reason"].startswith("not asked"):
            kernel["reason"], kernel["way"] = row["reason"], row["way"]


def kernels_of_way(label, run, entries):
    """{kernel: counts, and the entries that ran it in parts with the native bits, others, or
    unjudged}."""
    kernels = {}
    for stats in run["stats"]:
        add_statistics(kernels, stats)
    for name, row in run["entries"].items():
        verdict = entries[name]["ways"].get(label)
        for kernel, (_, split, _) in row["ran"].items():
            if OWN.search(kernel):
                continue
            into = kernels.setdefault(kernel, fresh())
            if verdict not in ("same", "not judged"):
                into["other"].append(name)
            elif split:
                into["same" if verdict == "same" else "unjudged"].append(name)
    for kernel in kernels.values():
        kernel["state"] = state_of(kernel)
    return kernels


def state_of(kernel):
    if kernel["other"]:
        return "suspect"
    if kernel["same"]:
        return "exact"
    return "unjudged" if kernel["split"] or kernel["unjudged"] else "refused"


def refusal(kernel):
    """Why a kernel never ran in parts, in a few words."""
    if not kernel["reason"]:
        return NO_STATISTICS
    reason = kernel["reason"].split(":")[0]
    if reason != "forced":
        return reason
    # Forced, and yet whole: nothing to split, or the descriptor could not take a prelude.
    return "not applied" if kernel["way"] != "whole" or kernel["multi"] else ONE_BLOCK


def refusals(ways):
    """{reason: {label: [names]}}."""
    out = {}
    for label, kernels in ways.items():
        for name, kernel in sorted(kernels.items()):
            if kernel["state"] == "refused":
                out.setdefault(refusal(kernel), {}).setdefault(label, []).append(name)
    return out


def covered(ways):
    states = {}
    for kernels in ways.values():
        for name, kernel in kernels.items():
            states.setdefault(name, set()).add(kernel["state"])
    return sorted(name for name, seen in states.items() if "exact" in seen
                  and "suspect" not in seen)


# --- gangs

def read_truth(lines):
    """(regular expression, is it a gang) in the order of the file; the first match decides."""
    truth = []
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, pattern = line.split(None, 1)
        if word not in ("gang", "free"):
            raise ValueError("neither gang nor free: " + line)
        truth.append((re.compile(pattern), word == "gang"))
    return truth


def is_gang(truth, name):
    return next((gang for pattern, gang in truth if pattern.search(name)), None)


def detected(rows):
    """What the detector made of a kernel, from its rows in all ways: gang, unread, free, or
    None."""
    reasons = {(row["reason"] or "").split(":")[0] for row in rows}
    split = any(row["split"] for row in rows)
    if "gang" in reasons:
        return "mixed" if split else "gang"
    if split:
        return "free"
    return "unread" if "unread" in reasons else None


CELLS = {("gang", True): "true_positives", ("gang", False): "false_positives",
         ("free", True): "false_negatives", ("free", False): "true_negatives",
         ("gang", None): "gangs_not_judged", ("unread", True): "unread_gangs",
         ("unread", False): "unread_free", ("unread", None): "unread_not_judged"}


def judge_gangs(ways, truth):
    """{cell: [names]}. mixed: called a gang and split, as a kernel that was rescued, or two of one
    name."""
    out = {cell: [] for cell in (*CELLS.values(), "mixed")}
    for name in sorted({name for kernels in ways.values() for name in kernels}):
        verdict = detected([kernels[name] for kernels in ways.values() if name in kernels])
        cell = "mixed" if verdict == "mixed" else CELLS.get((verdict, is_gang(truth, name)))
        if cell:
            out[cell].append(name)
    return out


# --- words

def demangle(names):
    """{name: demangled}; a name that was cut stays as it is."""
    names = list(names)
    try:
        done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True,
                              timeout=60,
                              check=True)
        lines = done.stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        lines = names
    return dict(zip(names, lines if len(lines) == len(names) else names))


def short(name):
    for noise in ("void ", "(anonymous namespace)::", "at::native::", "unsigned "):
        name = name.replace(noise, "")
    return name if len(name) <= SHORT else name[:SHORT - 3] + "..."


def way_table(ways):
    rows = []
    for label, kernels in ways.items():
        states = [k["state"] for k in kernels.values()]
        rows.append([label, len(kernels), sum(k["multi"] for k in kernels.values()),
                     sum(k["split"] > 0 for k in kernels.values()), states.count("exact"),
                     states.count("unjudged"), states.count("suspect"), states.count("refused"),
                     sum(k["cut"] > 0 for k in kernels.values())])
    return common.table(rows, ["way", "kernels", ">1 block", "in parts", "exact", "unjudged",
                               "suspect",
                               "refused", "cut"])


def entry_table(entries, labels):
    rows = []
    for label in labels:
        verdicts = [row["ways"][label].split(":")[0] for row in entries.values()
                    if label in row["ways"]]
        rows.append([label, *(verdicts.count(v) for v in ("same", "differs", "error", "missing",
                                                          "not judged"))])
    return common.table(rows, ["way", "same bits", "differ", "errors", "missing", "not judged"])


def name_lines(names, words, most):
    lines = ["    " + short(words.get(name, name)) for name in names[:most]]
    return lines + ([f"    and {len(names) - most} more"] if len(names) > most else [])


def native_lines(entries):
    """What could not be judged, and why: so that nobody takes it for tested."""
    lines = []
    for state in ("unstable", "reordered", "error"):
        names = [name.replace("library: ", "") for name, row in entries.items()
                 if row["native"].split(":")[0] == state]
        if names:
            more = f" and {len(names) - 12} more" if len(names) > 12 else ""
            lines.append(f"natively {state}: " + ", ".join(names[:12]) + more)
    return lines


def render(report, words):
    ways, gangs = report["ways"], report["gangs"]
    native = [row["native"].split(":")[0] for row in report["entries"].values()]
    lines = [f"entries: {len(native)}; natively stable {native.count('stable')}, unstable "
             f"{native.count('unstable')}, by the order of blocks {native.count('reordered')}, failed {native.count('error')}",
             *native_lines(report["entries"]), entry_table(report["entries"], ways), "",
             way_table(ways), "",
             f"covered: {len(report['covered'])} distinct kernels in parts, with the bits of a native run"]
    for reason, labels in sorted(report["refused"].items()):
        counts = ", ".join(f"{label} {len(names)}" for label, names in labels.items())
        lines.append(f"refused, {reason}: {counts}")
        lines += name_lines(sorted({n for names in labels.values() for n in names}), words, 4)
    lines.append("gangs: " + ", ".join(f"{cell.replace('_', ' ')} {len(names)}"
                                       for cell, names in gangs.items()))
    for cell in ("false_negatives", "false_positives", "mixed", "gangs_not_judged"):
        if gangs[cell]:
            lines += [cell.replace("_", " ") + ":", *name_lines(gangs[cell], words, 8)]
    return "\n".join(lines)


# --- all

def assemble(runs, truth, reordered=()):
    entries = judge(runs, reordered)
    ways = {label: kernels_of_way(label, run, entries) for label, run in runs.items()
            if not is_native(label)}
    counters = {label: {} for label in ways}
    for label, total in counters.items():
        for stats in runs[label]["stats"]:
            for name, value in stats["counters"].items():
                total[name] = total.get(name, 0) + value
    return {"entries": entries, "ways": ways, "covered": covered(ways), "refused": refusals(ways),
            "gangs": judge_gangs(ways, truth), "counters": counters}


def compact(report, words):
    """For the file: names stand once, the ways that have the native bits are left out."""
    index = {name: i for i,
             name in enumerate(sorted({n for k in report["ways"].values() for n in k}))}
    kept = set(report["covered"])
    kernels = [{"name": name, "covered": name in kept,
                **({"demangled": words[name]} if words.get(name, name) != name else {}),
                "ways": {label: kernel_row(ways[name]) for label, ways in report["ways"].items()
                         if name in ways}} for name in index]
    entries = {name: {"native": row["native"], "sha256": (row["sha256"] or "")[:16],
                      **{label: verdict for label, verdict in row["ways"].items()
                         if verdict not in ("same", "not judged")}}
               for name, row in report["entries"].items()}
    return {
        "entries": entries, "kernels": kernels, "labels": list(report["ways"]),
        "refused": {reason: {label: [index[n] for n in names] for label, names in labels.items()}
                    for reason, labels in report["refused"].items()},
        "gangs": {cell: [index[n] for n in names] for cell, names in report["gangs"].items()},
        "counters": report["counters"],
    }


def kernel_row(kernel):
    row = {key: kernel[key] for key in ("launches", "split", "cut", "state", "reason")
           if kernel[key]}
    row["entries"] = len(kernel["same"])
    if kernel["other"]:
        row["other"] = kernel["other"][:20]
    return row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--gangs", default=os.path.join(common.HERE, "gangs.txt"))
    parser.add_argument("--reordered", default=os.path.join(common.HERE, "reordered.txt"))
    parser.add_argument("--at-least", type=int, default=0,
                        help="distinct kernels that must be covered")
    parser.add_argument("folder")
    options = parser.parse_args()
    runs, missing = load(options.folder)
    with open(options.gangs, encoding="utf-8") as gangs, open(options.reordered,
                                                              encoding="utf-8") as lines:
        report = assemble(runs, read_truth(gangs), read_patterns(lines))
    words = demangle({name for kernels in report["ways"].values() for name in kernels})
    found = missing + failures(report["entries"])
    if not runs:
        found.append(f"{options.folder}: no results")
    if len(report["covered"]) < options.at_least:
        found.append(f"{len(report['covered'])} kernels covered, {options.at_least} asked for")
    with open(options.out, "w", encoding="utf-8") as out:
        json.dump({"machine": common.machine(), "failures": found, **compact(report, words)}, out,
                  separators=(",", ":"), sort_keys=True)
        out.write("\n")
    # First what matters: whoever calls may cut the end off.
    for line in found[:20]:
        print("FAILED " + line[:160])
    if len(found) > 20:
        print(f"FAILED and {len(found) - 20} more")
    print(render(report, words))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
