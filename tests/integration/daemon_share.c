/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Borrow sets in grants: everything for one, halves for two within a moment, timers on the board,
 * a stopped owner that lends.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

/* A process that beats, and wants when told to: 'w' wants, 'n' does not, 'a' active, 'i' idle. */
struct actor {
	struct proto_admitted tenant;
	int reservation;
	int pipe[2];
	pid_t pid;
};

static void act(const struct attached *a, char what)
{
	volatile struct shm_proc *line = attached_line(a);

	if (what == 'w' || what == 'n')
		line->wants = what == 'w';
	if (what == 'a' || what == 'i')
		line->active = what == 'a';
}

static void actor_body(void *cookie)
{
	const struct actor *actor = cookie;
	struct attached a;
	char what;

	CHECK(client_attach(&d, &actor->tenant, &a, NULL) == PROTO_ATTACHED);
	for (;;) {
		attached_line(&a)->beat_ns = client_now_ns();
		if (read(actor->pipe[0], &what, 1) == 1)
			act(&a, what);
		client_sleep_ms(1);
	}
}

static void actor_start(struct actor *actor, const struct wish *wish)
{
	actor->reservation = tenant_admitted(&d, wish, &actor->tenant);
	CHECK(pipe2(actor->pipe, O_CLOEXEC | O_NONBLOCK) == 0);
	actor->pid = client_fork(actor_body, actor);
}

static void actor_tell(const struct actor *actor, char what)
{
	CHECK(write(actor->pipe[1], &what, 1) == 1);
}

static void actor_end(struct actor *actor)
{
	CHECK(kill(actor->pid, SIGKILL) == 0);
	CHECK(waitpid(actor->pid, NULL, 0) == actor->pid);
	(void)close(actor->reservation);
	(void)close(actor->pipe[0]);
	(void)close(actor->pipe[1]);
}

static int ledger_is(int own, int lent, int free)
{
	json_t *status = client_status(&d);
	int is = status_number(status, "ledger.own") == own &&
		 status_number(status, "ledger.lent") == lent &&
		 status_number(status, "ledger.free") == free &&
		 status_number(status, "ledger.all") == 66;

	json_decref(status);
	return is;
}

/* What all borrow together, by one report. */
static int borrowed_is(int nr)
{
	json_t *status = client_status(&d);
	json_t *tenant;
	size_t i;

	json_array_foreach(json_object_get(status, "tenants"), i, tenant) nr -=
		(int)status_number(tenant, "borrowed");
	json_decref(status);
	return nr == 0;
}

static void test_division(void)
{
	struct actor a, b, owner;

	actor_start(&a, &(struct wish){.name = "a"});
	actor_start(&b, &(struct wish){.name = "b"});
	actor_start(&owner, &(struct wish){.name = "owner", .tpcs = 26});
	WAIT_UNTIL(ledger_is(26, 0, 40));
	actor_tell(&a, 'w');
	WAIT_UNTIL(ledger_is(0, 66, 0));
	CHECK(tenant_number(&d, "a", "borrowed") == 66);
	CHECK(tenant_number(&d, "owner", "lent") == 26);
	actor_tell(&owner, 'a');
	WAIT_UNTIL(ledger_is(26, 40, 0));
	CHECK(tenant_number(&d, "a", "borrowed") == 40 && tenant_number(&d, "a", "borrow") == 66);
	CHECK(tenant_number(&d, "owner", "lent") == 0);
	actor_tell(&b, 'w');
	/* The 40, and in advance of the owner's idleness its 26 as well, for one of the two
	 * each. */
	WAIT_UNTIL(tenant_number(&d, "a", "borrow") + tenant_number(&d, "b", "borrow") == 66 &&
		   tenant_number(&d, "b", "borrow") < 40);
	CHECK(borrowed_is(40));
	CHECK(ledger_is(26, 40, 0));
	actor_tell(&owner, 'i');
	WAIT_UNTIL(tenant_number(&d, "a", "borrowed") == 33 &&
		   tenant_number(&d, "b", "borrowed") == 33);
	actor_tell(&a, 'n');
	WAIT_UNTIL(tenant_number(&d, "b", "borrowed") == 66);
	actor_end(&a);
	actor_end(&b);
	actor_end(&owner);
}

static int owner_state(const struct attached *g)
{
	return (int)g->board->owner[0].state;
}

static void test_stopped_owner(void)
{
	struct actor owner;
	struct proto_admitted guest;
	struct attached g;
	int fd;

	actor_start(&owner, &(struct wish){.name = "owner", .tpcs = 26});
	fd = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);
	CHECK(client_attach(&d, &guest, &g, NULL) == PROTO_ATTACHED);
	actor_tell(&owner, 'a');
	client_sleep_ms(100);
	CHECK(owner_state(&g) == SHM_OWNER_LIVE);
	CHECK(kill(owner.pid, SIGSTOP) == 0);
	WAIT_UNTIL(owner_state(&g) == SHM_OWNER_STALLED);
	CHECK(kill(owner.pid, SIGCONT) == 0);
	WAIT_UNTIL(owner_state(&g) == SHM_OWNER_LIVE);
	actor_end(&owner);
	attached_close(&g);
	(void)close(fd);
}

static int nr_timers(const struct attached *g)
{
	int nr = 0;

	for (int bit = 0; bit < TPCSET_BITS; bit++)
		nr += g->board->timer_ns[bit] > client_now_ns();
	return nr;
}

static void hold_everything(const struct attached *a)
{
	for (int i = 0; i < TPCSET_WORDS; i++)
		attached_line(a)->hold.w[i] = UINT32_MAX;
	attached_line(a)->beat_ns = client_now_ns() + 3600000000000ull;
	attached_line(a)->hold_until_ns = client_now_ns() + 3600000000000ull;
}

/* Timers: as the line says, on TPCs that it may borrow, and not for long ahead. */
static void test_timers(void)
{
	struct proto_admitted guest;
	struct attached a;
	int fd = tenant_admitted(&d, &(struct wish){.name = "timers"}, &guest);

	CHECK(client_attach(&d, &guest, &a, NULL) == PROTO_ATTACHED);
	hold_everything(&a);
	WAIT_UNTIL(nr_timers(&a) == 66);
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++)
		CHECK(a.board->timer_ns[bit] < client_now_ns() + 1000000000u);
	CHECK(tenant_number(&d, "timers", "wants") == 1);
	attached_line(&a)->hold_until_ns = 0;
	WAIT_UNTIL(nr_timers(&a) == 0);
	WAIT_UNTIL(a.board->timer_ns[0] == 0);
	attached_close(&a);
	(void)close(fd);
}

/* Nobody keeps off what an owner borrows: its blocks go first anyway. */
static void test_no_timers_of_owners(void)
{
	struct proto_admitted owner;
	struct attached a;
	int fd = tenant_admitted(&d, &(struct wish){.name = "owner", .tpcs = 10}, &owner);

	CHECK(client_attach(&d, &owner, &a, NULL) == PROTO_ATTACHED);
	hold_everything(&a);
	WAIT_UNTIL(tenant_number(&d, "owner", "wants") == 1);
	CHECK(nr_timers(&a) == 0);
	attached_line(&a)->hold_until_ns = 0;
	attached_close(&a);
	(void)close(fd);
}

int main(void)
{
	daemon_prepare(&d, NULL);
	daemon_start(&d);
	test_division();
	WAIT_UNTIL(ledger_is(0, 0, 66));
	test_stopped_owner();
	test_timers();
	test_no_timers_of_owners();
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	daemon_remove(&d);
	return 0;
}
