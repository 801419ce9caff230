/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members of one H200 and invented time, for the tests of sched/share.
 */
#ifndef LITHOS_TESTS_SHARE_RIG_H
#define LITHOS_TESTS_SHARE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "sched/quota.h"
#include "sched/share.h"

#include "topology_data.h"

#define RIG_MAX 300
#define MS      1000000ull

struct rig {
	struct topology topo;
	struct share share;
	struct share_member member[RIG_MAX];
	struct share_member *members[RIG_MAX];
	uint32_t nr;
	uint64_t now_ns;
	uint64_t had[RIG_MAX]; /* usable borrowed TPCs times ms */
	uint64_t had_last_ns[RIG_MAX];
	uint64_t longest_ns[RIG_MAX]; /* without any, while it wanted */
};

static struct rig rig;

static inline int rig_new(void **state)
{
	(void)state;
	memset(&rig, 0, sizeof(rig));
	rig.now_ns = 77 * MS;
	return topology_h200(&rig.topo);
}

/* An owner of n TPCs of those left, or for 0 a guest, that wants. */
static inline struct share_member *rig_add(uint32_t n, uint32_t priority)
{
	struct share_member *m = &rig.member[rig.nr];
	struct tpcset left = rig.topo.present;

	for (uint32_t i = 0; i < rig.nr; i++)
		left = tpcset_andnot(left, rig.member[i].own);
	m->id = 100 + rig.nr;
	m->priority = priority;
	m->wants = 1;
	if (n)
		assert_int_equal(quota_pick(&rig.topo, &left, n, &m->own), 0);
	rig.members[rig.nr++] = m;
	return m;
}

static inline void rig_update(void)
{
	share_update(&rig.share, &rig.topo, rig.members, rig.nr, rig.now_ns);
	assert_int_equal(share_check(&rig.topo, rig.members, rig.nr), 0);
}

/* What the member could really run on: its borrow set without TPCs in use by their owners. */
static inline uint32_t rig_usable(const struct share_member *m)
{
	struct tpcset set = m->borrow;

	for (uint32_t i = 0; i < rig.nr; i++) {
		if (rig.member[i].is_active || rig.member[i].wants)
			set = tpcset_andnot(set, rig.member[i].own);
	}
	return tpcset_count(&set);
}

/* What a member had for the next 2 ms. */
static inline void rig_account(uint32_t i)
{
	uint32_t usable = rig.member[i].wants ? rig_usable(&rig.member[i]) : 0;

	rig.had[i] += 2ull * usable;
	if (usable || !rig.member[i].wants || !rig.had_last_ns[i])
		rig.had_last_ns[i] = rig.now_ns;
	if (rig.now_ns - rig.had_last_ns[i] > rig.longest_ns[i])
		rig.longest_ns[i] = rig.now_ns - rig.had_last_ns[i];
}

/* Time passes in steps of 2 ms; updates come every 10 ms, as from the daemon. */
static inline void rig_run(uint64_t ms)
{
	for (uint64_t t = 0; t < ms; t += 2) {
		if (rig.now_ns - rig.share.begin_ns >= SHARE_PERIOD_NS || !rig.share.turn)
			rig_update();
		for (uint32_t i = 0; i < rig.nr; i++)
			rig_account(i);
		rig.now_ns += 2 * MS;
	}
}

/* The difference between who had most and who had least, in 1/1000 of the most. */
static inline uint64_t rig_unevenness(uint32_t from, uint32_t to)
{
	uint64_t least = UINT64_MAX, most = 0;

	for (uint32_t i = from; i < to; i++) {
		least = rig.had[i] < least ? rig.had[i] : least;
		most = rig.had[i] > most ? rig.had[i] : most;
	}
	return most ? (most - least) * 1000 / most : 0;
}

#endif
