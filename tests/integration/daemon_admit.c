/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: disjoint owners, best effort, refusals that say who is in the way, limits per user,
 * reservations that end.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

static void refused(const struct wish *wish, const char *part)
{
	int fd = client_connect(&d);
	struct received answer;

	CHECK(client_admit(fd, wish, &answer) == PROTO_REFUSED);
	if (!strstr(answer.m.text.text, part))
		(void)fprintf(stderr, "'%s' lacks '%s'\n", answer.m.text.text, part);
	CHECK(strstr(answer.m.text.text, part) != NULL);
	(void)close(fd);
}

static void check_disjoint(struct attached *a, struct attached *b)
{
	struct shm_grant one = grant_now(a), two = grant_now(b);
	struct tpcset both = tpcset_and(one.own, two.own);
	struct tpcset own_borrowed = tpcset_and(one.own, one.borrow);

	CHECK(tpcset_count(&one.own) == 33 && tpcset_count(&two.own) == 20);
	CHECK(tpcset_is_empty(&both));
	CHECK(tpcset_is_empty(&own_borrowed));
	CHECK(one.owner_index != two.owner_index && one.owner_index < SHM_MAX_OWNERS);
	CHECK(a->board->owner[one.owner_index].tenant_id == one.tenant_id);
	CHECK(a->board->owner[one.owner_index].state == SHM_OWNER_LIVE);
	CHECK(a->board->owner[two.owner_index].priority == 7);
	CHECK(one.bound_ns == 100000 && one.grace_ns == 200000);
}

static void test_owners(void)
{
	struct proto_admitted one, two, guest;
	struct attached a, b, g;
	struct shm_grant grant;
	int fd1 = tenant_admitted(&d, &(struct wish){.name = "one", .percent = 50}, &one);
	int fd2 =
		tenant_admitted(&d, &(struct wish){.name = "two", .tpcs = 20, .priority = 7}, &two);
	int fd3 = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);

	CHECK(one.nr_own == 33 && one.nr_tpcs == 66 && one.nr_gpus == 1 && !one.mps_is_on);
	CHECK(two.nr_own == 20 && guest.nr_own == 0);
	CHECK(one.mps_client_priority == 0 && guest.mps_client_priority == 1);
	CHECK(client_attach(&d, &one, &a, NULL) == PROTO_ATTACHED);
	CHECK(client_attach(&d, &two, &b, NULL) == PROTO_ATTACHED);
	CHECK(client_attach(&d, &guest, &g, NULL) == PROTO_ATTACHED);
	check_disjoint(&a, &b);
	grant = grant_now(&g);
	CHECK(grant.owner_index == SHM_NO_OWNER && tpcset_is_empty(&grant.own));
	CHECK(tpcset_count(&grant.borrow) == 66);
	refused(&(struct wish){.name = "x", .tpcs = 14}, "14 of 66 TPCs wanted, 13 are free");
	refused(&(struct wish){.name = "x", .tpcs = 14}, "held by: one (33, uid ");
	refused(&(struct wish){.name = "x", .percent = 100}, "), two (20, uid ");
	refused(&(struct wish){.name = "x", .tpcs = 67}, "the GPU has 66");
	refused(&(struct wish){.name = "x", .tpcs = 1, .percent = 1}, "bad request");
	refused(&(struct wish){.name = "x", .percent = 101}, "bad request");
	refused(&(struct wish){.name = "x", .priority = 1001}, "bad request");
	refused(&(struct wish){.name = "x", .gpus = "GPU-00000000"}, "no such GPU");
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	attached_close(&a);
	attached_close(&b);
	attached_close(&g);
	(void)close(fd1);
	(void)close(fd2);
	(void)close(fd3);
}

/* The reservation is given up, but the process (this one) attached: only its death ends it. */
static void test_reservation(void)
{
	struct proto_admitted admitted;
	int fd = tenant_admitted(&d, &(struct wish){.tpcs = 66}, &admitted);

	CHECK(strncmp(admitted.tenant, "tenant-", 7) == 0);
	refused(&(struct wish){.tpcs = 1}, "0 are free");
	(void)close(fd);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
	fd = tenant_admitted(&d, &(struct wish){.name = "a b\n\"c\xff", .tpcs = 66}, &admitted);
	CHECK(strcmp(admitted.tenant, "a_b_\"c_") == 0);
	(void)close(fd);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
}

static void test_limit(void)
{
	struct proto_admitted admitted;
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = tenant_admitted(&d, &(struct wish){.tpcs = 1}, &admitted);
	refused(&(struct wish){.tpcs = 1}, "4 tenants already, which is the limit");
	(void)close(fds[0]);
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 63);
	fds[0] = tenant_admitted(&d, &(struct wish){.tpcs = 1}, &admitted);
	for (int i = 0; i < 4; i++)
		(void)close(fds[i]);
}

int main(void)
{
	daemon_prepare(&d, "version: v1\nlimits:\n  tenants_per_user: 4\n");
	daemon_start(&d);
	test_reservation();
	test_limit();
	WAIT_UNTIL(daemon_number(&d, "ledger.free") == 66);
	test_owners();
	daemon_remove(&d);
	return 0;
}
