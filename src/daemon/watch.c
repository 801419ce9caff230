/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon's look at the activity lines, and what follows.
 *
 * Every tick (2 ms while somebody does something, 20 ms after 100 ms of quiet, none while nobody is
 * attached) each attached process' line is read once, word by word. Tenants may write anything
 * there, so a line can say no more than the following, whatever is in it:
 *
 *   active   its own TPCs are in use. A beat older than a second takes that back: a stopped owner
 *            (SIGSTOP, a debugger) is STALLED on the board and lends as if idle.
 *   wants    it is one of those that want to borrow. Work that is still held on borrowed TPCs is
 *            taken for wanting, too: who occupies TPCs takes part in the division.
 *   hold     its timers on the board. Only on TPCs that it could borrow in the last 100 ms, and
 *            never more than 100 ms ahead, so a wrong or hostile line keeps others off nothing that
 *            was not its turn.
 *
 * share_update() runs when somebody begins or stops wanting, when tenants come and go, and every
 * 10 ms while two or more want. Grants and boards are written only where something changed.
 *
 * Without memory order: a word that is read one tick late is a tick late. Tested by
 * tests/integration/daemon_share.c and daemon_hostile.c.
 */
#include "daemon/watch.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

#define TICK_NS        2000000u
#define QUIET_TICK_NS  20000000u
#define QUIET_TICKS    50u
#define BEAT_NS        100000000u
#define STALL_NS       1000000000u
#define HOLD_MAX_NS    100000000u
#define LENT_BEFORE_NS 100000000u
#define MAX_MEMBERS    (LEDGER_MAX_GUESTS + SHM_MAX_OWNERS)

/* What the lines of one tenant say together. */
struct seen {
	uint32_t is_active;
	uint32_t is_alive; /* some active process beats */
	uint32_t wants;
};

/* One GPU during a tick. */
struct look {
	struct daemon *daemon;
	uint32_t gpu;
	uint64_t now_ns;
	uint32_t is_busy;
	uint32_t wants_changed;
	uint32_t board_changed;
	uint64_t timer_ns[TPCSET_BITS];
};

static uint32_t load32(const uint32_t *word)
{
	return atomic_load_explicit((const _Atomic uint32_t *)word, memory_order_relaxed);
}

static uint64_t load64(const uint64_t *word)
{
	return atomic_load_explicit((const _Atomic uint64_t *)word, memory_order_relaxed);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* A beat of the future is one of now. */
static int beats(const struct process *p, const struct shm_proc *line, uint64_t now_ns)
{
	uint64_t beat_ns = load64(&line->beat_ns);

	if (beat_ns > now_ns)
		return 1;
	if (beat_ns < p->attached_ns)
		beat_ns = p->attached_ns;
	return now_ns < beat_ns + STALL_NS;
}

/* TPCs that the tenant's borrowed work may be on by right. */
static struct tpcset may_hold(const struct tenant *t)
{
	return tpcset_or(t->member.borrow, t->lent_before);
}

static int look_at_hold(struct look *look, const struct tenant *t, const struct shm_proc *line)
{
	uint64_t until_ns = load64(&line->hold_until_ns);
	struct tpcset allowed = may_hold(t);
	struct tpcset hold;

	if (until_ns <= look->now_ns)
		return 0;
	if (until_ns > look->now_ns + HOLD_MAX_NS)
		until_ns = look->now_ns + HOLD_MAX_NS;
	for (int i = 0; i < TPCSET_WORDS; i++)
		hold.w[i] = load32(&line->hold.w[i]) & allowed.w[i];
	/* Owners go first on the hardware: nobody has to keep off what they borrow. */
	for (unsigned int bit = 0; bit < TPCSET_BITS && tpcset_is_empty(&t->grant.tpcs); bit++) {
		if (tpcset_has(&hold, bit) && look->timer_ns[bit] < until_ns)
			look->timer_ns[bit] = until_ns;
	}
	return !tpcset_is_empty(&hold);
}

static void look_at_line(struct look *look, const struct process *p, struct seen *seen)
{
	const struct shm_activity *activity = p->tenant->activity.map;
	const struct shm_proc *line = &activity->proc[p->line];
	int is_alive = beats(p, line, look->now_ns);
	int holds = look_at_hold(look, p->tenant, line);

	if (load32(&line->active)) {
		seen->is_active = 1;
		seen->is_alive |= (uint32_t)is_alive;
	}
	if ((load32(&line->wants) || holds) && is_alive)
		seen->wants = 1;
}

/* An owner's process that is known from before a restart goes on as if it was here. */
static struct seen look_at_tenant(struct look *look, const struct tenant *t)
{
	struct seen seen = {0};

	for (uint32_t i = 0; t->activity.map && t->nr_processes && i < SHM_MAX_PROCS; i++) {
		if (t->process[i])
			look_at_line(look, t->process[i], &seen);
	}
	return seen;
}

static void take_in(struct look *look, struct tenant *t)
{
	struct seen seen = look_at_tenant(look, t);
	int is_stalled = seen.is_active && !seen.is_alive;

	if (is_stalled != t->is_stalled && t->grant.place != SHM_NO_OWNER)
		look->board_changed = 1;
	t->is_stalled = is_stalled;
	t->is_active = seen.is_active && !is_stalled;
	if (seen.wants != t->member.wants)
		look->wants_changed = 1;
	t->member.wants = seen.wants;
	t->member.is_active = (uint32_t)t->is_active;
	look->is_busy |= seen.is_active | seen.wants;
}

/* --- what comes of it ------------------------------------------------------------------------- */

static void write_timers(const struct look *look)
{
	struct shm_board *board = look->daemon->gpu[look->gpu].board;

	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		_Atomic uint64_t *timer = (_Atomic uint64_t *)&board->timer_ns[bit];

		if (atomic_load_explicit(timer, memory_order_relaxed) != look->timer_ns[bit])
			atomic_store_explicit(timer, look->timer_ns[bit], memory_order_relaxed);
	}
}

static void hand_on(struct tenant *t, const struct tpcset *before, uint64_t now_ns)
{
	if (tpcset_equal(before, &t->member.borrow))
		return;
	if (now_ns - t->lent_before_ns > LENT_BEFORE_NS)
		t->lent_before = (struct tpcset){{0}};
	t->lent_before = tpcset_or(t->lent_before, *before);
	t->lent_before_ns = now_ns;
	grant_write(t);
}

/* Where nothing is lent only what nobody owns can be borrowed. */
static void partition(struct share_member *const *members, uint32_t nr)
{
	struct tpcset owned = {{0}};

	for (uint32_t i = 0; i < nr; i++)
		owned = tpcset_or(owned, members[i]->own);
	for (uint32_t i = 0; i < nr; i++)
		members[i]->borrow = tpcset_andnot(members[i]->borrow, owned);
}

static void divide(struct daemon *daemon, uint32_t gpu, uint64_t now_ns)
{
	static struct share_member *members[MAX_MEMBERS];
	static struct tenant *tenants[MAX_MEMBERS];
	static struct tpcset before[MAX_MEMBERS];
	const struct topology *topo = &daemon->ledger.gpu[gpu].topo;
	uint32_t nr = 0;

	for (struct tenant *t = daemon->tenants; t && nr < MAX_MEMBERS; t = t->next) {
		if (t->grant.gpu != gpu)
			continue;
		tenants[nr] = t;
		before[nr] = t->member.borrow;
		members[nr++] = &t->member;
	}
	share_update(&daemon->gpu[gpu].share, topo, members, nr, now_ns);
	if (!daemon->config.lends)
		partition(members, nr);
	assert(share_check(topo, members, nr) == 0);
	for (uint32_t i = 0; i < nr; i++)
		hand_on(tenants[i], &before[i], now_ns);
	daemon->gpu[gpu].is_stale = 0;
	daemon->watch.nr_divisions++;
}

static uint32_t nr_wanting(const struct daemon *daemon, uint32_t gpu)
{
	uint32_t nr = 0;

	for (const struct tenant *t = daemon->tenants; t; t = t->next)
		nr += t->grant.gpu == gpu && t->member.wants;
	return nr;
}

static int is_due(const struct look *look)
{
	const struct share *share = &look->daemon->gpu[look->gpu].share;

	if (look->wants_changed || look->daemon->gpu[look->gpu].is_stale)
		return 1;
	return look->now_ns - share->begin_ns >= SHARE_PERIOD_NS &&
	       nr_wanting(look->daemon, look->gpu) > 1;
}

/* Borrow sets of before count for holds for a while only. */
static void forget_lent(struct tenant *t, uint64_t now_ns)
{
	if (now_ns - t->lent_before_ns > LENT_BEFORE_NS)
		t->lent_before = (struct tpcset){{0}};
}

static uint32_t look_at_gpu(struct daemon *daemon, uint32_t gpu)
{
	struct look look = {.daemon = daemon, .gpu = gpu, .now_ns = clock_now_ns()};

	for (struct tenant *t = daemon->tenants; t; t = t->next) {
		if (t->grant.gpu != gpu)
			continue;
		forget_lent(t, look.now_ns);
		take_in(&look, t);
	}
	write_timers(&look);
	if (look.board_changed)
		board_write(daemon, gpu);
	if (is_due(&look))
		divide(daemon, gpu, look.now_ns);
	return look.is_busy;
}

/* --- times ------------------------------------------------------------------------------------ */

static int anybody_is_attached(const struct daemon *daemon)
{
	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		if (t->nr_processes)
			return 1;
	}
	return 0;
}

static void set_pace(struct daemon *daemon, uint64_t every_ns)
{
	struct watch *watch = &daemon->watch;

	if (watch->every_ns == every_ns)
		return;
	watch->every_ns = every_ns;
	if (every_ns)
		(void)loop_timer_set(&watch->tick, every_ns, every_ns);
	else
		(void)loop_timer_stop(&watch->tick);
}

static void on_tick(void *cookie)
{
	struct daemon *daemon = cookie;
	struct watch *watch = &daemon->watch;
	uint32_t is_busy = 0;

	watch->nr_ticks++;
	for (uint32_t gpu = 0; gpu < daemon->ledger.nr_gpus; gpu++)
		is_busy |= look_at_gpu(daemon, gpu);
	watch->nr_quiet = is_busy ? 0 : watch->nr_quiet + 1;
	if (!anybody_is_attached(daemon))
		set_pace(daemon, 0);
	else
		set_pace(daemon, watch->nr_quiet > QUIET_TICKS ? QUIET_TICK_NS : TICK_NS);
}

static void store_beat(struct shm_header *header, uint64_t now_ns)
{
	atomic_store_explicit((_Atomic uint64_t *)&header->beat_ns, now_ns, memory_order_relaxed);
}

static void on_beat(void *cookie)
{
	struct daemon *daemon = cookie;
	uint64_t now_ns = clock_now_ns();

	for (uint32_t gpu = 0; gpu < daemon->ledger.nr_gpus; gpu++)
		store_beat(&daemon->gpu[gpu].board->header, now_ns);
	for (const struct tenant *t = daemon->tenants; t; t = t->next)
		store_beat(t->grant_region.map, now_ns);
}

void watch_changed(struct daemon *daemon, uint32_t gpu)
{
	daemon->gpu[gpu].is_stale = 1;
	daemon->watch.nr_quiet = 0;
	(void)look_at_gpu(daemon, gpu);
	set_pace(daemon, anybody_is_attached(daemon) ? TICK_NS : 0);
}

int watch_open(struct daemon *daemon)
{
	struct watch *watch = &daemon->watch;
	int r;

	watch->tick = (struct loop_timer){.on_time = on_tick, .cookie = daemon};
	watch->beat = (struct loop_timer){.on_time = on_beat, .cookie = daemon};
	r = loop_timer_add(&daemon->loop, &watch->tick);
	if (r == 0)
		r = loop_timer_add(&daemon->loop, &watch->beat);
	if (r == 0)
		r = loop_timer_set(&watch->beat, BEAT_NS, BEAT_NS);
	return r;
}

void watch_close(struct daemon *daemon)
{
	loop_timer_remove(&daemon->loop, &daemon->watch.tick);
	loop_timer_remove(&daemon->loop, &daemon->watch.beat);
}
