/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process that no daemon has answered: confined all the same.
 *
 * Everything that launches ask (view.c, share.c) is answered from a grant and a board at fixed
 * addresses, so a process without a daemon gets both, made by itself: a grant of what it was told
 * at its start (sched/known.h), and a board on which everything else has an owner who always works.
 * Then nothing on the launch path needs to know the difference, and when the daemon answers at last
 * its regions are mapped over these and the views are made anew.
 *
 * What the process says of itself goes into a line that is nobody else's. When it attaches, the
 * line of the tenant's activity takes over; a thread that read the pointer just before writes one
 * last word to the old line, where it does no harm, and the tracker brings the new line up to date
 * at its next pass.
 *
 * What it does badly: others do not see a detached owner work. Borrowers that were attached before
 * go on using its TPCs, at the lowest priority, until it has attached. Best effort on TPCs that
 * were nobody's may meet an owner that came since; it is at the lowest priority there, too.
 *
 * Tested by tests/integration/link_alone.c.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "sched/known.h"
#include "shim/link/connect.h"
#include "shim/link/link.h"
#include "shim/tenant.h"

static struct {
	struct tpcset told; /* by the environment */
	int has_told;
	int is_on;
	int reason; /* -errno of the attempt to attach */
	struct shm_proc line;
} detached;

void link_read_told(const char *text)
{
	if (!text[0])
		return;
	detached.has_told = !known_parse(text, &detached.told);
	if (!detached.has_told)
		log_line(NULL, LOG_WARN, "msg=\"no set of TPCs, ignored\" LITHOS_TPCS=\"%s\"",
			 text);
}

const struct tpcset *link_told(void)
{
	return detached.has_told ? &detached.told : NULL;
}

int link_is_best_effort(void)
{
	return !tenant.options.tpc_quota[0];
}

void link_line_set(struct shm_proc *line)
{
	/* pairs with the acquire in link_line() */
	__atomic_store_n(&link_state.line, line, __ATOMIC_RELEASE);
}

int detached_is_on(void)
{
	return detached.is_on;
}

void detached_begin(int reason)
{
	detached.is_on = 1;
	detached.reason = reason;
	memset(&detached.line, 0, sizeof(detached.line));
	link_line_set(&detached.line);
	link_state.is_verified = 0;
	link_state.present = tpcset_full();
	thread_count(STATS_share_detached);
}

static void say_where(const struct tpcset *set)
{
	const char *whose = "named at the start";

	if (!detached.has_told)
		whose = link_is_best_effort() ? "and no more, for want of a better choice"
					      : "of this GPU, whosoever they are";
	log_line(NULL, LOG_WARN,
		 "msg=\"no daemon answers: confined until it does to %u TPCs %s\" socket=\"%s\" "
		 "reason=\"%s\"",
		 tpcset_count(set), whose, tenant.options.socket, strerror(-detached.reason));
}

int detached_fill(const struct topology *topo, uint32_t nr_own)
{
	struct known known;
	int err = known_choose(topo, link_told(), nr_own, &known);

	if (!err)
		err = regions_fill(&known.own, &known.borrow, &topo->present);
	if (err)
		return err;
	(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
	say_where(nr_own ? &known.own : &known.borrow);
	return 0;
}

void detached_forget(void)
{
	detached.is_on = 0;
}
