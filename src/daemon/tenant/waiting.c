/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Best effort that has nothing to run on says so.
 *
 * Its work is held while every TPC that it might borrow belongs to owners that work, or is somebody
 * else's turn. That is as it should be, and looks like a program that hangs: so `lithos status`
 * says that it waits, and for whom. A moment's picture: owners come and go in microseconds, so a
 * tenant that is seen waiting once is not starved; one that is seen so each time is.
 *
 * Tested by tests/integration/cli_lithosd.bats.
 */
#include "daemon/tenant/waiting.h"

#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

/* An owner that works on the tenant's GPU: its TPCs are not lent. */
static int keeps_its_own(const struct tenant *o, const struct tenant *t)
{
	return o != t && o->grant.gpu == t->grant.gpu && !tpcset_is_empty(&o->grant.tpcs) &&
	       (o->member.is_active || o->member.wants);
}

uint32_t waiting_nr_borrowed(const struct tenant *t)
{
	struct tpcset turn = t->member.borrow;

	if (!t->member.wants)
		return 0;
	for (const struct tenant *o = t->daemon->tenants; o; o = o->next) {
		if (keeps_its_own(o, t))
			turn = tpcset_andnot(turn, o->grant.tpcs);
	}
	return tpcset_count(&turn);
}

int waiting_is(const struct tenant *t)
{
	return tpcset_is_empty(&t->grant.tpcs) && t->member.wants && !waiting_nr_borrowed(t);
}

static size_t add_name(char text[WAITING_BYTES], size_t used, const char *name)
{
	int n = snprintf(text + used, WAITING_BYTES - used, "%s%s", used ? ", " : "", name);

	return n > 0 && used + (size_t)n < WAITING_BYTES ? used + (size_t)n : used;
}

const char *waiting_for(const struct tenant *t, char text[WAITING_BYTES])
{
	static const char at_work[] = " at work";
	size_t used = 0;

	text[0] = '\0';
	for (const struct tenant *o = t->daemon->tenants; o; o = o->next) {
		if (keeps_its_own(o, t) &&
		    used + strlen(o->name) + sizeof(at_work) + 2 < WAITING_BYTES)
			used = add_name(text, used, o->name);
	}
	(void)snprintf(text + used, WAITING_BYTES - used, "%s",
		       used ? at_work : "its turn: others borrow what is lent");
	return text;
}
