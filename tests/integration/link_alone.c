/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant that no daemon answers, or not yet: it is confined to what it was told at its start.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "link_rig.h"
#include "sched/known.h"

/* What `lithos run` tells an owner: how many TPCs the daemon granted, and which. */
static void told_at_start(const char *quota, struct tpcset tpcs)
{
	if (quota)
		(void)setenv("LITHOS_TPC_QUOTA", quota, 1);
	if (!tpcset_is_empty(&tpcs)) {
		char text[KNOWN_TEXT_BYTES];

		(void)setenv("LITHOS_TPCS", known_text(&tpcs, text), 1);
	}
}

/* No daemon that is one: the TPCs that it had granted, from the first launch on, and soon. */
static void confined(enum link_answer answer)
{
	struct tpcset granted = link_bits(18, 21);
	double start = now_s();

	told_at_start("4", granted);
	test.daemon.answer = answer;
	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, link_bits(0, 3), none);
	open_program();
	CHECK(now_s() - start < 30);
	CHECK(told_sms() == 8);
	for (int i = 0; i < 20; i++)
		CHECK(is_there(granted));
	CHECK(test.daemon.line->pid == 0);
}

static void case_refused(void)
{
	confined(LINK_REFUSES);
}

static void case_silent(void)
{
	confined(LINK_IS_SILENT);
}

static void case_hangs_up(void)
{
	confined(LINK_HANGS_UP);
}

static void case_version(void)
{
	confined(LINK_WRONG_VERSION);
}

static void case_unsealed(void)
{
	confined(LINK_NO_SEALS);
}

static void case_magic(void)
{
	confined(LINK_WRONG_MAGIC);
}

static void case_line(void)
{
	confined(LINK_WRONG_LINE);
}

static void case_nobody(void)
{
	told_at_start("4", link_bits(18, 21));
	open_program();
	CHECK(told_sms() == 8);
	CHECK(is_there(link_bits(18, 21)));
}

/* A hint that cannot be is not believed: another GPU's TPCs, or not as many as the quota. */
static void case_wrong_hint(void)
{
	struct tpcset used;

	told_at_start("4", link_bits(2, 5));
	open_program();
	CHECK(told_sms() == 8);
	used = where();
	CHECK(tpcset_count(&used) == 4);
}

/* Best effort has nothing of its own: what was nobody's, after a wait for the daemon. */
static void case_nobody_best_effort(void)
{
	double start = now_s();

	told_at_start(NULL, link_bits(54, 71));
	open_program();
	CHECK(now_s() - start >= 3 && now_s() - start < 30);
	CHECK(is_there(link_bits(54, 71)));
	CHECK(told_sms() == 2 * 18);
}

/* Everything had an owner: one TPC, never all of them. */
static void case_nobody_no_room(void)
{
	open_program();
	CHECK(is_there(link_bits(83, 83)));
}

static void *daemon_later(void *arg)
{
	(void)arg;
	usleep(1000000);
	link_daemon_start(&test.daemon, test.socket);
	return NULL;
}

/* The daemon is being restarted: best effort finds it before it runs anywhere. */
static void case_best_effort_waits(void)
{
	struct tpcset lent = link_bits(9, 16);
	pthread_t later;

	told_at_start(NULL, link_bits(54, 71));
	link_daemon_prepare(&test.daemon);
	link_daemon_grant(&test.daemon, none, lent);
	CHECK(pthread_create(&later, NULL, daemon_later, NULL) == 0);
	open_program();
	CHECK(test.daemon.nr_attached == 1);
	CHECK(is_there(lent));
	CHECK(pthread_join(later, NULL) == 0);
}

/*
 * The daemon answers at last: its grant takes the place of what was known, and sees the process
 * work.
 */
static void attaches_late(struct tpcset before)
{
	struct tpcset own = link_bits(18, 21), lent = link_bits(9, 16);

	CHECK(is_there(before));
	link_daemon_kill(&test.daemon);
	test.daemon.answer = LINK_ATTACHES;
	link_daemon_grant(&test.daemon, own, lent);
	link_daemon_start(&test.daemon, test.socket);
	EVENTUALLY(is_there(tpcset_or(own, lent)));
	CHECK(test.daemon.nr_returned == 0 && test.daemon.nr_wrong == 0);
	CHECK(test.daemon.line->pid == (uint32_t)getpid());
	launch(test.spin, 300 * MS, 1);
	EVENTUALLY(is_active());
	MUST(cu.CtxSynchronize());
	EVENTUALLY(!is_active());
	/* From now on it is a process like others, also when that daemon goes. */
	link_daemon_kill(&test.daemon);
	CHECK(is_there(tpcset_or(own, lent)));
	link_daemon_start(&test.daemon, test.socket);
	EVENTUALLY(test.daemon.nr_returned == 1);
	CHECK(is_there(tpcset_or(own, lent)));
}

static void case_late(void)
{
	told_at_start("4", link_bits(18, 21));
	test.daemon.answer = LINK_IS_SILENT;
	link_daemon_start(&test.daemon, test.socket);
	open_program();
	attaches_late(link_bits(18, 21));
}

static void case_late_best_effort(void)
{
	told_at_start(NULL, link_bits(54, 71));
	test.daemon.answer = LINK_REFUSES;
	link_daemon_start(&test.daemon, test.socket);
	open_program();
	attaches_late(link_bits(54, 71));
}

/* Not one descriptor is left for the socket. */
static void case_no_descriptors(void)
{
	struct tpcset own = link_bits(0, 3), both = tpcset_or(own, link_bits(9, 16));
	struct rlimit before, few = {.rlim_cur = 0};
	CUcontext context;
	CUdevice device;

	told_at_start("4", own);
	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, own, link_bits(9, 16));
	CHECK(cu_open() == 0);
	MUST(cu.Init(0));
	MUST(cu.DeviceGet(&device, 0));
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	few.rlim_max = before.rlim_max;
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	MUST(cu.DevicePrimaryCtxRetain(&context, device));
	CHECK(test.daemon.nr_attached == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	EVENTUALLY(test.daemon.nr_attached == 1);
	open_program();
	EVENTUALLY(is_there(both));
}

static const struct link_case cases[] = {
	{"refused", case_refused},
	{"silent", case_silent},
	{"hangs_up", case_hangs_up},
	{"version", case_version},
	{"unsealed", case_unsealed},
	{"magic", case_magic},
	{"line", case_line},
	{"nobody", case_nobody},
	{"wrong_hint", case_wrong_hint},
	{"nobody_best_effort", case_nobody_best_effort},
	{"nobody_no_room", case_nobody_no_room},
	{"best_effort_waits", case_best_effort_waits},
	{"late", case_late},
	{"late_best_effort", case_late_best_effort},
	{"no_descriptors", case_no_descriptors},
};

int main(int argc, char **argv)
{
	return run_case(cases, sizeof(cases) / sizeof(cases[0]), argc == 2 ? argv[1] : "");
}
