/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Regions of a tenant in ordinary memory, for tests of src/shim/link without a daemon: what
 * connect.c, tenant.c and slots.c are to it. Included once a program.
 */
#ifndef LITHOS_TESTS_LINK_WORLD_H
#define LITHOS_TESTS_LINK_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/tenant.h"

struct link link_state;
struct tenant tenant;

static struct {
	struct shm_grant grant;
	struct shm_board board;
	struct shm_activity activity;
	struct shm_activity peer[2];
	_Atomic uint64_t nr_outstanding; /* what the tracker finds */
	void (*during_pass)(void);       /* called when it has looked */
	struct device device;
} world;

uint32_t tenant_collect(record_read_fn read)
{
	(void)read;
	activity_collected(atomic_load(&world.nr_outstanding));
	if (world.during_pass)
		world.during_pass();
	return 0;
}

struct context *tenant_context_of(struct thread_state *t, CUcontext handle)
{
	(void)t;
	(void)handle;
	return NULL;
}

void *slots_real(const char *symbol);
void *slots_real(const char *symbol)
{
	(void)symbol;
	return NULL;
}

static inline struct tpcset bits(unsigned int from, unsigned int to)
{
	struct tpcset set = {{0}};

	for (unsigned int i = from; i <= to && from <= to; i++)
		tpcset_add(&set, i);
	return set;
}

static inline void grant_is(struct tpcset own, struct tpcset borrow)
{
	__atomic_add_fetch(&world.grant.header.sequence, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < TPCSET_WORDS; i++) {
		__atomic_store_n(&world.grant.own.w[i], own.w[i], __ATOMIC_RELEASE);
		__atomic_store_n(&world.grant.borrow.w[i], borrow.w[i], __ATOMIC_RELEASE);
	}
	__atomic_add_fetch(&world.grant.header.sequence, 1, __ATOMIC_SEQ_CST);
}

static inline void owner_works(uint32_t place, uint32_t active)
{
	__atomic_store_n(&world.peer[place].proc[0].active, active, __ATOMIC_SEQ_CST);
}

/* TPCs 0-31; owners of 8-15 and 16-23, idle; the process owns 0-3 and borrows 8-23. */
static inline int world_setup(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	world.grant.state = SHM_GRANT_LIVE;
	world.grant.bound_ns = 1000000;
	world.grant.grace_ns = 100000;
	world.board.nr_owners = 2;
	world.device.is_shared = 1;
	for (uint32_t i = 0; i < 2; i++) {
		world.board.owner[i] = (struct shm_owner){.state = SHM_OWNER_LIVE,
							  .generation = 1,
							  .nr_lines = 1,
							  .tpcs = bits(8 + 8 * i, 15 + 8 * i)};
		link_state.peer[i].activity = &world.peer[i];
		link_state.peer[i].tag = lend_tag(1);
	}
	link_state.grant = &world.grant;
	link_state.board = &world.board;
	link_state.activity = &world.activity;
	link_state.line = &world.activity.proc[5];
	link_state.present = bits(0, 31);
	(void)atomic_fetch_add(&link_state.generation, 1);
	atomic_store(&link_state.is_on, 1);
	hold_reset();
	grant_is(bits(0, 3), bits(8, 23));
	return 0;
}

#endif
