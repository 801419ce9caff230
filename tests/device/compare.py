# SPDX-License-Identifier: Apache-2.0
"""Sets the files of models.py side by side: is every quota bit-identical to native, and how fast?

    compare.py --out models.json native.json q66.json q33.json ... [--stats q66=stats.json ...]

The first file labelled native* is the reference; further native files show whether a model is
stable at all. A digest may differ because a library chose other kernels, or other grids of the same
kernels, for the SM count it was told. Native runs have no kernel list, so the reference for kernels
is the first file that has one and whose digest equals native's (the run with all TPCs). A
difference without a difference in kernels or grids is unexplained, and the exit code is 1.
"""

import argparse
import json
import sys

import common


def is_native(run):
    return run["label"].startswith("native")


def kernel_reference(runs, model, native_digest):
    """The kernels of the run that stands for native: same digest, list present."""
    for run in runs:
        row = run["models"].get(model, {})
        if row.get("kernels") and row.get("sha256") == native_digest:
            return row["kernels"]
    return None


def kernel_difference(reference, kernels):
    """Names only in one of the two, and names in both whose grids or launches differ."""
    if reference is None or kernels is None:
        return None
    common_names = set(reference) & set(kernels)
    grids = sorted(n for n in common_names if reference[n].get("grids") != kernels[n].get("grids"))
    counts = sorted(n for n in common_names
                    if reference[n].get("launches") != kernels[n].get("launches")
                    and n not in grids)
    return {"only_native": sorted(set(reference) - set(kernels)),
            "only_here": sorted(set(kernels) - set(reference)),
            "other_grid": grids, "other_count": counts}


def explains(difference):
    """Whether the library did something else: another kernel or another grid. Counts alone do not
    count: the number of timed iterations differs between runs."""
    return bool(difference and (difference["only_native"] or difference["only_here"]
                                or difference["other_grid"]))


def expected_sms(run):
    """SMs that a run must see: what its label says in TPCs, else what it was told."""
    digits = run["label"].lstrip("q").rstrip("b")
    return 2 * int(digits) if digits.isdigit() else run.get("reported_sms")


def compare_model(runs, model):
    natives = [r["models"][model] for r in runs if is_native(r) and model in r["models"]]
    native = natives[0] if natives else {}
    digest = native.get("sha256")
    reference = kernel_reference(runs, model, digest)
    stable = len({n.get("sha256") for n in natives}) == 1 if len(natives) > 1 else None
    out = {"native_ms": native.get("ms"), "native_stable": stable, "runs": {}}
    for run in runs:
        row = run["models"].get(model, {"error": "missing"})
        entry = {k: row[k] for k in ("ms", "iterations", "sha256", "finite", "sms_before",
                                     "sms_after",
                                     "error", "seconds", "nondeterministic") if k in row}
        if "error" not in row:
            entry["identical"] = row["sha256"] == digest
            entry["sms_right"] = {row["sms_before"], row["sms_after"]} == {expected_sms(run)}
            if native.get("ms"):
                entry["relative_speed"] = native["ms"] / row["ms"]
            if not entry["identical"]:
                entry["difference"] = kernel_difference(reference, row.get("kernels"))
                entry["explained"] = explains(entry["difference"])
        out["runs"][run["label"]] = entry
    return out


def compare(runs):
    models = []
    for run in runs:
        models += [m for m in run["models"] if m not in models]
    return {m: compare_model(runs, m) for m in models}


def problems(compared):
    """What must not be: errors, wrong SMs, differences nobody can explain."""
    found = []
    for model, row in compared.items():
        for label, entry in row["runs"].items():
            if "error" in entry:
                found.append(f"{model} {label}: {entry['error']}")
                continue
            if not entry["sms_right"]:
                found.append(f"{model} {label}: SMs {entry['sms_before']}, {entry['sms_after']}")
            if (not entry["identical"] and not entry.get("explained")
                    and row["native_stable"] is not False):
                found.append(f"{model} {label}: differs from native for no visible reason")
    return found


def cell(entry):
    if entry is None or "error" in entry:
        return "error"
    same = "same" if entry["identical"] else "other" if entry.get("explained") else "DIFFERS"
    speed = f" {entry['relative_speed']:.2f}x" if "relative_speed" in entry else ""
    return f"{entry['ms']:.2f} ms{speed} {same}"


def render(compared, labels):
    rows = [[model, *(cell(row["runs"].get(label)) for label in labels)]
            for model, row in compared.items()]
    return common.table(rows, ["model", *labels])


def load(paths):
    runs, missing = [], []
    for path in paths:
        try:
            with open(path, encoding="utf-8") as run:
                runs.append(json.load(run))
        except (OSError, ValueError) as error:
            missing.append(f"{path}: {error}")
    return runs, missing


def all_kernels(value, found=None):
    """Every {name, launches} in a statistics file, wherever it lies in it."""
    found = {} if found is None else found
    if isinstance(value, dict):
        launches = value.get("launches", value.get("nr_launches"))
        if isinstance(value.get("name"), str) and isinstance(launches, int):
            found[value["name"]] = found.get(value["name"], 0) + launches
        for inner in value.values():
            all_kernels(inner, found)
    elif isinstance(value, list):
        for inner in value:
            all_kernels(inner, found)
    return found


def load_stats(pairs):
    """label=path of `lithos run --stats-file`: how many kernels and launches each run counted."""
    out = {}
    for pair in pairs:
        label, path = pair.split("=", 1)
        loaded, _ = load([path])
        kernels = all_kernels(loaded[0]) if loaded else {}
        out[label] = {"kernels": len(kernels), "launches": sum(kernels.values())}
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", required=True)
    parser.add_argument("--stats", action="append", default=[])
    parser.add_argument("runs", nargs="+")
    options = parser.parse_args()
    runs, missing = load(options.runs)
    compared = compare(runs)
    found = missing + problems(compared)
    common.write_json(options.out, {
        "machine": common.machine(), "compared": compared, "problems": found,
        "stats": load_stats(options.stats), "runs": runs})
    print(render(compared, [r["label"] for r in runs]))
    print("same: bit-identical to native; other: the library chose other kernels or grids")
    for problem in found:
        print("PROBLEM " + problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
