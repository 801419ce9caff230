# SPDX-License-Identifier: Apache-2.0
"""The seven properties of a mix (docs/properties.md), judged by what was seen of it.

Where a time is compared, the time for which the machine gave no processor to the tenant or to the
simulated GPU is taken off first: the kernel counts it. What the simulated GPU itself timed (waiting
for room, blocks) needs no such care. A property gives a line for each way in which it fails.
"""

import bisect

MS = 1_000_000
HOLD_MS = 8  # an owner's launch on its way to the GPU; a held one took up to 100
DRAIN_SLACK_MS = 2.5  # beside somebody else's block: cutting, and the simulation's answers
FEW = 0.04  # of an owner's requests may miss, two at least: what a cut met in the wrong moment
TURN_MS = 13  # a period of sharing, and the daemon's look
TOO_LATE = 0.2  # share of a mix in which the machine was late: then rates say nothing of lithos
COVERED = 0.25  # of the TPC time that nobody needed, at least
PROGRESS_MS = 60  # so long something could be borrowed: then a guest has done something
GAP_NS = 40_000  # shorter than any grace
CLEAR_MS = 25  # nothing waits in its stream for longer than that, mostly
ORDINARY = 2  # type of a grid without clusters that is no gang
STATUS_SAYS_WAITING = True


def mean(values):
    return sum(values) / len(values) if values else 0


def late_ns(seen, request, to_ns):
    return request.late_ns + seen.machine_late_ns(request.call_ns, to_ns)


def judged(tenant):
    """Its requests that ended and of which the simulated GPU saw something."""
    return [r for r in tenant.requests if r.done_ns and r.grids]


def took_ns(seen, r):
    """From the call to the end, without what the machine was late."""
    return r.done_ns - r.call_ns - late_ns(seen, r, r.done_ns)


def owners(seen):
    return [(name, t) for name, t in seen.tenants.items() if t.spec.is_owner]


def guests(seen):
    return [(name, t) for name, t in seen.tenants.items() if not t.spec.is_owner]


def others(seen, name):
    return [t for other, t in seen.tenants.items() if other != name]


def longest_block_ns(seen, name):
    """Of anybody else: what may be found on an owner's TPCs when it comes back."""
    return max([1000 * s.us for t in others(seen, name) for s in t.spec.steps] or [0])


def longest_whole_ns(seen, name):
    """
    Of what others launch and nothing can cut: graphs, and for a gang or a cluster, which waits for
    all of its room while later blocks overtake it (docs/simulator.md), any grid.
    """
    needs_all = any(step.kind != "k" for step in seen.tenants[name].spec.steps)
    whole = [t for t in others(seen, name) if t.spec.is_graph or needs_all]
    return max([g.end_ns - g.first_ns for t in whole for g in t.grids] or [0])


def too_many(nr, of):
    return nr > max(2, FEW * of)


# --- 1: an owner never waits for TPCs that are not its own ----------------------------------------


def hold_ns(seen, r):
    start = r.grids[0].start_ns
    return start - r.call_ns - late_ns(seen, r, start)


def wait_ns(r):
    return sum(g.first_ns - g.start_ns for g in r.grids)


def never_waits(seen):
    for name, t in owners(seen):
        rs = judged(t)
        held = [hold_ns(seen, r) / MS for r in rs]
        nr = sum(h > HOLD_MS for h in held)
        # Behind its own earlier requests it may wait.
        if t.spec.depth == 1 and too_many(nr, len(rs)):
            yield "%s: %d of %d requests were held back, the longest %.1f ms" % (
                name,
                nr,
                len(rs),
                max(held),
            )
        most = longest_block_ns(seen, name) + longest_whole_ns(seen, name) + DRAIN_SLACK_MS * MS
        nr = sum(wait_ns(r) > most for r in rs)
        if too_many(nr, len(rs)):
            longest = max(wait_ns(r) for r in rs) / MS
            yield "%s: %d of %d requests waited on the GPU for over %.1f ms, the longest %.1f" % (
                name,
                nr,
                len(rs),
                most / MS,
                longest,
            )


# --- 2: never worse off than with a fixed partition -----------------------------------------------


def no_loss(seen):
    for name, t in owners(seen):
        rs = judged(t)
        part = t.spec.request_ns(t.own)
        drain = longest_block_ns(seen, name) + 0.5 * MS
        if any(step.kind != "k" for step in t.spec.steps):
            drain += longest_whole_ns(seen, name)
        ran = mean([wait_ns(r) + sum(g.end_ns - g.first_ns for g in r.grids) for r in rs])
        if len(rs) > 3 and ran > 1.1 * part + drain:
            yield "%s: requests take %.2f ms on the GPU, %.2f on its own TPCs alone" % (
                name,
                ran / MS,
                part / MS,
            )
        took = mean([took_ns(seen, r) for r in rs])
        if len(rs) > 3 and t.spec.depth == 1 and took > 1.15 * part + drain + 2 * MS:
            yield "%s: requests take %.2f ms, %.2f on its own TPCs alone" % (
                name,
                took / MS,
                part / MS,
            )


# --- 3: what fits is served -----------------------------------------------------------------------


def is_served(seen):
    """A request takes less than the time to the next; where the machine was on time, all end."""
    for name, t in owners(seen):
        if not t.spec.period_us or t.spec.is_killed:
            continue
        rs = judged(t)
        took, period = mean([took_ns(seen, r) for r in rs]), 1000 * t.spec.period_us
        if len(rs) > 3 and took > 0.9 * period:
            yield "%s: requests every %.1f ms take %.1f ms" % (name, period / MS, took / MS)
        end = seen.begin_ns + t.spec.end_ms * MS
        due = [r for r in t.requests if r.due_ns < end - 30 * MS - 4 * t.spec.request_ns(t.own)]
        done = [r for r in due if r.done_ns <= end]
        if machine_was_late(seen) < TOO_LATE and len(due) - len(done) > max(1, 0.05 * len(due)):
            yield "%s: %d of %d requests served" % (name, len(done), len(due))


# --- 4: work is conserved -------------------------------------------------------------------------


def merged(intervals):
    out = []
    for a, b in sorted(intervals):
        if out and a <= out[-1][1]:
            out[-1][1] = max(out[-1][1], b)
        else:
            out.append([a, b])
    return out


def inverted(intervals, from_ns, to_ns):
    out, at = [], from_ns
    for a, b in intervals:
        if a > at:
            out.append([at, min(a, to_ns)])
        at = max(at, b)
    if at < to_ns:
        out.append([at, to_ns])
    return [i for i in out if i[1] > i[0]]


def overlap_ns(xs, ys):
    """Of two lists of intervals that are sorted and apart."""
    total, k = 0, 0
    for a, b in xs:
        while k < len(ys) and ys[k][1] <= a:
            k += 1
        i = k
        while i < len(ys) and ys[i][0] < b:
            total += min(b, ys[i][1]) - max(a, ys[i][0])
            i += 1
    return total


def needed(seen, t):
    """When an owner needs its TPCs: from the call to the end of each request."""
    if t.spec.is_killed:
        # It left no times: from its first grid to its last.
        return merged([[g.start_ns - MS, g.end_ns + 5 * MS] for g in t.grids])
    return merged([[r.call_ns - MS // 2, r.done_ns + MS] for r in t.requests])


def lifetime(seen, t):
    return seen.begin_ns + t.spec.begin_ms * MS, seen.begin_ns + t.spec.end_ms * MS


def available(seen, from_ns, to_ns):
    """For each TPC, when nobody needed it for longer than a turn, but for that turn."""
    from draw import CHIPS

    needs = {}
    for _, t in owners(seen):
        busy = needed(seen, t)
        for bit in t.own:
            needs[bit] = busy
    free = {}
    for bit in CHIPS[seen.mix.chip]:
        spans = inverted(needs.get(bit, []), from_ns, to_ns)
        free[bit] = [[a + TURN_MS * MS, b] for a, b in spans if b - a > TURN_MS * MS]
    return free


def covered_share(seen):
    """(share, TPC-ms): of the time of TPCs that guests could have had, how much they had."""
    always = [t for _, t in guests(seen) if t.spec.is_always_busy and not t.spec.is_killed]
    if not always:
        return 1, 0
    from_ns = max(lifetime(seen, t)[0] for t in always) + 30 * MS
    to_ns = min(lifetime(seen, t)[1] for t in always)
    free = available(seen, from_ns, to_ns)
    had = {bit: [] for bit in free}
    for t in seen.tenants.values():
        for g in t.grids:
            for bit in g.allowed:
                had[bit].append([g.first_ns, g.end_ns])
    total = sum(b - a for spans in free.values() for a, b in spans)
    hit = sum(overlap_ns(spans, merged(had[bit])) for bit, spans in free.items())
    return (hit / total if total else 1), total / MS


def is_conserved(seen):
    share, total = covered_share(seen)
    if not was_too_late(seen) and total > 200 and share < COVERED:
        yield "of %.0f TPC-ms that nobody needed, best effort had %.0f %%" % (total, 100 * share)


# --- 5: nobody starves without a word -------------------------------------------------------------


def some_free_ns(seen, from_ns, to_ns):
    """How long at least one TPC could be had."""
    spans = [span for spans in available(seen, from_ns, to_ns).values() for span in spans]
    return sum(b - a for a, b in merged(spans))


def says_waiting(seen, name):
    return any(
        t["name"] == name and t["state"] == "waiting" for _, r in seen.reports for t in r["tenants"]
    )


def nobody_starves(seen):
    for name, t in guests(seen) if not was_too_late(seen) else []:
        from_ns, to_ns = lifetime(seen, t)
        ended = [g for g in t.grids if from_ns < g.end_ns <= to_ns + 5 * MS and g.blocks_run]
        if ended:
            continue
        free = some_free_ns(seen, from_ns, to_ns)
        if free > PROGRESS_MS * MS:
            yield "%s: nothing done, although TPCs were to be had for %.0f ms" % (name, free / MS)
        elif STATUS_SAYS_WAITING and not says_waiting(seen, name):
            yield "%s: nothing done, and status does not say that it waits" % name


# --- 6: confined ----------------------------------------------------------------------------------


def busy_since(spans, at_ns):
    """Since when the owner has been at work at that time; None: it is idle."""
    i = bisect.bisect_right([a for a, _ in spans], at_ns) - 1
    return spans[i][0] if i >= 0 and spans[i][1] > at_ns else None


def written_after(t):
    """(grid, a time before which its descriptor was not written), where that can be said."""
    if t.spec.is_graph:
        return
    for r in t.requests if t.spec.depth == 1 else []:
        for g in r.grids:
            yield g, r.call_ns - MS // 10
    for g in t.grids:
        yield g, g.start_ns - CLEAR_MS * MS


def is_confined(seen):
    busy = {}
    for name, t in owners(seen):
        # As the GPU saw it: an owner that leaves a gap may lend in it.
        spans = merged([[g.start_ns, g.end_ns + GAP_NS] for g in t.grids])
        for bit in t.own:
            busy[bit] = (name, spans)
    for name, t in seen.tenants.items():
        astray = {id(g): g for g, since in written_after(t) if is_astray(g, since, name, t, busy)}
        if too_many(len(astray), len(t.grids)):
            g = min(astray.values(), key=lambda g: g.start_ns)
            at = (g.start_ns - seen.begin_ns) / MS
            yield "%s: %d of %d grids may run on an active owner's TPCs, first %s at %.1f ms" % (
                name,
                len(astray),
                len(t.grids),
                g.kernel,
                at,
            )


def is_astray(g, since_ns, name, t, busy):
    """Its mask has a TPC whose owner has been at work from before it was written until it began."""
    for bit in g.allowed - t.own if g.type == ORDINARY else ():
        owner, spans = busy.get(bit, (name, []))
        since = busy_since(spans, g.start_ns) if owner != name else None
        if since is not None and since < since_ns:
            return True
    return False


# --- 7: the program's results do not change -------------------------------------------------------


def same_results(seen):
    for name, t in seen.tenants.items():
        expected = -9 if t.spec.is_killed else 0
        if t.status not in (expected, 0):
            yield "%s: ended with %d: %s" % (name, t.status, t.messages[:300])
        if any(g.is_hung for g in t.grids):
            yield "%s: a grid hangs" % name


ALL = [
    (1, "an owner never waits for TPCs that are not its own", never_waits),
    (2, "an owner is never worse off than with a fixed partition", no_loss),
    (3, "what fits is served", is_served),
    (4, "work is conserved", is_conserved),
    (5, "nobody starves without a word", nobody_starves),
    (6, "confined", is_confined),
    (7, "results do not change", same_results),
]


def violations(seen, numbers=None):
    """(number, title, line) of each property that does not hold."""
    return [
        (n, title, line)
        for n, title, check in ALL
        if not numbers or n in numbers
        for line in check(seen)
    ]


def gpu_late_ns(seen):
    """Of the simulated GPU, or of the begin."""
    return max(seen.machine_late_ns(seen.begin_ns, seen.end_ns), seen.begin_late_ns)


def machine_was_late(seen):
    """Share of the mix in which the simulated GPU, or the latest tenant, had no processor."""
    length = max(1, seen.end_ns - seen.begin_ns)
    tenants = [sum(r.late_ns for r in t.requests) / t.spec.depth for t in seen.tenants.values()]
    return max(gpu_late_ns(seen), *tenants) / length


def was_too_late(seen):
    """Without the tenants, which wait for one another's processor in any busy mix."""
    return gpu_late_ns(seen) > 2 * TOO_LATE * (seen.end_ns - seen.begin_ns)


def facts(seen):
    """A line for each tenant, for people."""
    for name, t in seen.tenants.items():
        rs = judged(t)
        part = t.spec.request_ns(t.own) if t.own else 0
        ran = [wait_ns(r) + sum(g.end_ns - g.first_ns for g in r.grids) for r in rs]
        text = "%s: %d requests, %d grids; held %.2f ms at most, waited %.2f; "
        text += "on the GPU %.2f (alone %.2f), in all %.2f"
        yield text % (
            name,
            len(t.requests),
            len(t.grids),
            max([hold_ns(seen, r) for r in rs] or [0]) / MS,
            max([wait_ns(r) for r in rs] or [0]) / MS,
            mean(ran) / MS,
            part / MS,
            mean([r.done_ns - r.call_ns for r in rs]) / MS,
        )
    share, total = covered_share(seen)
    text = "of %.0f TPC-ms that nobody needed %.0f %% were used; the machine was late for %.0f %%"
    yield text % (total, 100 * share, 100 * machine_was_late(seen))
