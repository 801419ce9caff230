# SPDX-License-Identifier: Apache-2.0
"""Mixes drawn from a seed: who is there, with how many TPCs, and what each of them launches when.

A mix is a list of tenants on one chip. Nothing in it depends on anything but the seed, so one
number repeats a mix. Times are such that the simulated GPU keeps up on two processors: requests
of 2 to 8 ms on the tenant's own TPCs, kernels of 0.05 to 2 ms.
"""

import random
from dataclasses import dataclass, field

# Bits of the TPC mask (src/sim/device/chip.c). A GPC is a run of nine; those from 72 up are alone.
CHIPS = {
    "small": [0, 1, 2, 9, 10, 11, 12, 75],
    "h100": [0, 1, 2, 3, *range(9, 17), *range(18, 26), *range(27, 35), *range(36, 44)]
    + [*range(45, 53), *range(54, 72), 75, 78, 81, 83],
}
SMS_PER_TPC = 2
SHARED = {1: 200000, 2: 100000}  # bytes of a block, by how many blocks an SM then holds
WINDOW_MS = 350
GUESTS_HAVE_GRAPHS = True
EVERY_H100 = 8  # one mix in so many is on the large chip, whose blocks cost the simulation more


def gpc_of(bit):
    return bit // 9 if bit < 72 else bit


def divide_up(a, b):
    return -(-a // b)


@dataclass
class Step:
    kind: str  # k: ordinary, c: clusters, g: gang
    blocks: int
    us: int
    cluster: int = 0

    def text(self):
        return "%s%s:%d:%d" % (self.kind, self.cluster or "", self.blocks, self.us)

    def waves(self, tpcs, per_sm):
        """Waves of it on these TPCs; None where it has no room."""
        if self.kind == "c":
            sms = {}
            for bit in tpcs:
                sms[gpc_of(bit)] = sms.get(gpc_of(bit), 0) + SMS_PER_TPC
            room = sum(n // self.cluster for n in sms.values()) * self.cluster * per_sm
        else:
            room = len(tpcs) * SMS_PER_TPC * per_sm
        if not room or (self.kind == "g" and room < self.blocks):
            return None
        return divide_up(self.blocks, room)


@dataclass
class Tenant:
    name: str
    quota: int  # TPCs; 0: best effort
    steps: list
    per_sm: int = 1
    is_graph: bool = False
    two_streams: bool = False
    depth: int = 1
    period_us: int = 0
    is_poisson: bool = False
    gap_us: int = 0
    makes_mistakes: bool = False
    begin_ms: int = 0
    end_ms: int = WINDOW_MS
    is_killed: bool = False  # at its end, instead of ending by itself
    seed: int = 1

    @property
    def is_owner(self):
        return self.quota > 0

    @property
    def is_always_busy(self):
        return not self.period_us and not self.gap_us

    def request_ns(self, tpcs):
        """Time of one request with these TPCs to itself, in the simulated GPU's own terms."""
        waves = [step.waves(tpcs, self.per_sm) for step in self.steps]
        return sum(1000 * s.us * (w or 1) for s, w in zip(self.steps, waves))

    def arguments(self):
        a = [
            "--steps",
            ",".join(s.text() for s in self.steps),
            "--shared",
            str(SHARED[self.per_sm]),
        ]
        a += ["--depth", str(self.depth), "--seed", str(self.seed)]
        a += ["--period-us", str(self.period_us), "--gap-us", str(self.gap_us)]
        flags = (("--graph", self.is_graph), ("--two-streams", self.two_streams))
        flags += (("--poisson", self.is_poisson), ("--mistakes", self.makes_mistakes))
        return a + [name for name, is_set in flags if is_set]

    def text(self):
        loop = "closed"
        if self.period_us:
            loop = "%s every %d us" % ("poisson" if self.is_poisson else "even", self.period_us)
        elif self.gap_us:
            loop = "closed with gaps of %d us" % self.gap_us
        way = "graph" if self.is_graph else "eager in two streams" if self.two_streams else "eager"
        life = (
            ""
            if (self.begin_ms, self.end_ms) == (0, WINDOW_MS)
            else ", %d to %d ms" % (self.begin_ms, self.end_ms)
        )
        return "%s: %s, %s, %s, depth %d, %d a SM%s%s: %s" % (
            self.name,
            "%d TPCs" % self.quota if self.quota else "best effort",
            way,
            loop,
            self.depth,
            self.per_sm,
            life,
            ", killed" if self.is_killed else "",
            " ".join(s.text() for s in self.steps),
        )


@dataclass
class Mix:
    seed: int
    chip: str
    tenants: list = field(default_factory=list)

    @property
    def owners(self):
        return [t for t in self.tenants if t.is_owner]

    @property
    def guests(self):
        return [t for t in self.tenants if not t.is_owner]

    def text(self):
        lines = ["mix seed=%d chip=%s" % (self.seed, self.chip)]
        return "\n  ".join(lines + [t.text() for t in self.tenants])


def draw_quotas(rng, nr_owners, nr_tpcs):
    """Quotas that fit; in half of the mixes nothing is left over."""
    cuts = sorted(rng.sample(range(1, nr_tpcs), nr_owners - 1)) if nr_owners > 1 else []
    quotas = [b - a for a, b in zip([0] + cuts, cuts + [nr_tpcs])]
    if rng.random() < 0.5:
        quotas = [max(1, round(q * rng.uniform(0.5, 0.9))) for q in quotas]
    if nr_owners == 1 and quotas[0] == nr_tpcs:
        quotas[0] = nr_tpcs - rng.randint(0, nr_tpcs // 2)
    return quotas


def draw_step(rng, slots, is_large_gang_ok):
    """One launch of a tenant for which so many blocks fit at once."""
    kind = rng.choices(["short", "wave", "long", "cluster", "gang"], [4, 2, 3, 1, 1])[0]
    if kind == "short":
        return Step("k", rng.randint(1, slots), rng.randint(50, 200))
    if kind == "wave":
        return Step("k", slots, rng.randint(200, 800))
    if kind == "long":
        return Step("k", slots * rng.randint(3, 7), rng.randint(100, 300))
    if kind == "cluster":
        return Step("c", 2 * rng.randint(1, max(1, slots // 2)), rng.randint(100, 300), 2)
    most = slots if is_large_gang_ok else max(1, slots // 2)
    return Step("g", rng.randint(1, most), rng.randint(100, 300))


def scale(tenant, slots_tpcs, target_us):
    """Makes requests about so long on the tenant's own TPCs, and no block shorter than 40 us."""
    now_us = tenant.request_ns(slots_tpcs) / 1000
    for step in tenant.steps:
        step.us = max(40, min(1500, round(step.us * target_us / now_us)))


def draw_tenant(rng, name, quota, nr_tpcs):
    per_sm = rng.choice([1, 1, 2])
    tpcs = list(range(quota or nr_tpcs))
    slots = len(tpcs) * SMS_PER_TPC * per_sm
    steps = [draw_step(rng, slots, quota > 0) for _ in range(rng.choice([1, 2, 3, 4, 6]))]
    tenant = Tenant(name, quota, steps, per_sm=per_sm, seed=rng.randint(1, 1 << 30))
    scale(tenant, tpcs, rng.randint(2000, 8000))
    tenant.is_graph = rng.random() < 0.5 and (quota > 0 or GUESTS_HAVE_GRAPHS)
    tenant.two_streams = not tenant.is_graph and len(steps) > 1 and rng.random() < 0.3
    tenant.makes_mistakes = rng.random() < 0.2
    return tenant


def draw_loop(rng, tenant):
    """How much there is to lend: busy owners leave no gap, others wait between requests."""
    us = tenant.request_ns(list(range(tenant.quota))) // 1000
    way = rng.choices(["busy", "gaps", "even", "poisson"], [2, 3, 2, 3])[0]
    if way == "busy":
        tenant.depth = rng.choice([1, 2, 3])
    elif way == "gaps":
        tenant.gap_us = rng.randint(1000, 20000)
    else:
        tenant.period_us = round(us / rng.uniform(0.15, 0.5))
        tenant.is_poisson = way == "poisson"


def draw_life(rng, tenant):
    way = rng.choices(["stays", "comes", "goes", "killed"], [6, 1, 1, 1])[0]
    if way == "comes":
        tenant.begin_ms = rng.randint(50, WINDOW_MS // 2)
    elif way != "stays":
        tenant.end_ms = rng.randint(WINDOW_MS // 3, WINDOW_MS * 2 // 3)
        tenant.is_killed = way == "killed"


def draw(seed):
    rng = random.Random("lithos mix %d" % seed)
    mix = Mix(seed, "h100" if seed % EVERY_H100 == 0 else "small")
    nr_tpcs = len(CHIPS[mix.chip])
    nr_owners = rng.choices([1, 2, 3, 4], [2, 4, 2, 2])[0]
    nr_guests = rng.choices([0, 1, 2, 3], [2, 4, 2, 1])[0]
    for i, quota in enumerate(draw_quotas(rng, nr_owners, nr_tpcs)):
        tenant = draw_tenant(rng, "o%d" % i, quota, nr_tpcs)
        draw_loop(rng, tenant)
        mix.tenants.append(tenant)
    for i in range(nr_guests):
        tenant = draw_tenant(rng, "g%d" % i, 0, nr_tpcs)
        tenant.depth = rng.choice([1, 2, 4])
        mix.tenants.append(tenant)
    if len(mix.tenants) > 1 and rng.random() < 0.5:
        draw_life(rng, rng.choice(mix.tenants))
    return mix
