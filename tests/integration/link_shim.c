/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant under the shim, and beside it, in a thread, a daemon that does what the case says
 * (link_daemon.h). Where launches went is read from the simulated GPU's trace. One case a run,
 * named on the command line: a process attaches once.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "hw/topo_cache.h"
#include "link_rig.h"

/* A tenant of `own`, on a GPU where place 0 has TPCs 0-3 and place 1 has 9-16. */
static void attach(struct tpcset own, struct tpcset borrow)
{
	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, own, borrow);
	link_daemon_owner(&test.daemon, 0, link_bits(0, 3), SHM_OWNER_LIVE, 0);
	link_daemon_owner(&test.daemon, 1, link_bits(9, 16), SHM_OWNER_LIVE, 0);
	open_program();
	CHECK(test.daemon.nr_attached == 1);
	CHECK(test.daemon.nr_wrong == 0);
}

static void peer_active(uint32_t place, uint32_t active)
{
	__atomic_store_n(&test.daemon.peer[place]->proc[1].active, active, __ATOMIC_SEQ_CST);
}

/*
 * For as long as `event` has not come, the process says that it works. The word is read first: on a
 * busy machine the work may end between the two.
 */
static void active_until(CUevent event)
{
	uint32_t active = is_active();

	while (cu.EventQuery(event) == CUDA_ERROR_NOT_READY) {
		CHECK(active);
		nap();
		active = is_active();
	}
}

/* --- cases ---------------------------------------------------------------------------------- */

static void case_masks(void)
{
	struct tpcset own = link_bits(0, 3), lent = link_bits(9, 16);
	struct tpcset both = tpcset_or(own, lent);

	attach(own, none);
	CHECK(told_sms() == 8);
	CHECK(is_there(own));
	/* Lent, but the owner's activity is not known yet. */
	link_daemon_grant(&test.daemon, own, lent);
	CHECK(is_there(own));
	link_daemon_owner(&test.daemon, 1, lent, SHM_OWNER_LIVE, 1);
	EVENTUALLY(is_there(both));
	/* Within one launch of the owner's word. */
	for (int i = 0; i < 50; i++) {
		peer_active(1, 1);
		CHECK(is_there(own));
		peer_active(1, 0);
		EVENTUALLY(is_there(both));
	}
	/* Another tenant in the same place: its activity is not the one mapped. */
	link_daemon_owner(&test.daemon, 1, lent, SHM_OWNER_LIVE, 0);
	CHECK(is_there(own));
	peer_active(1, 1);
	link_daemon_owner(&test.daemon, 1, lent, SHM_OWNER_STALLED, 0);
	EVENTUALLY(is_there(both));
	peer_active(1, 0);
	/* Somebody else's borrowed work gives way to an owner. */
	__atomic_store_n(&test.daemon.board->timer_ns[12], UINT64_MAX / 2, __ATOMIC_SEQ_CST);
	usleep(1000);
	EVENTUALLY(is_there(both));
	link_daemon_grant(&test.daemon, own, none);
	CHECK(is_there(own));
	CHECK(test.daemon.line->pid == (uint32_t)getpid());
}

static void case_activity(void)
{
	CUevent event;
	CUgraphExec exec;
	CUgraph graph;
	CUgraphNode node;
	uint64_t ns = 300 * MS;
	void *params[] = {&ns};
	CUDA_KERNEL_NODE_PARAMS spin = {.func = NULL,
					.gridDimX = 1,
					.gridDimY = 1,
					.gridDimZ = 1,
					.blockDimX = 32,
					.blockDimY = 1,
					.blockDimZ = 1,
					.kernelParams = params};

	attach(link_bits(0, 3), none);
	MUST(cu.EventCreate(&event, 0));
	EVENTUALLY(!is_active());
	for (int i = 0; i < 3; i++) {
		launch(test.spin, 100 * MS, 1);
		MUST(cu.EventRecord(event, NULL));
		active_until(event);
		MUST(cu.CtxSynchronize());
		EVENTUALLY(!is_active());
		CHECK(__atomic_load_n(&test.daemon.line->wants, __ATOMIC_SEQ_CST) == 0);
	}
	spin.func = test.spin;
	MUST(cu.GraphCreate(&graph, 0));
	MUST(cu.GraphAddKernelNode(&node, graph, NULL, 0, &spin));
	MUST(cu.GraphInstantiate(&exec, graph, 0));
	for (int i = 0; i < 3; i++) {
		MUST(cu.GraphLaunch(exec, NULL));
		MUST(cu.EventRecord(event, NULL));
		active_until(event);
		MUST(cu.CtxSynchronize());
		EVENTUALLY(!is_active());
	}
	MUST(cu.GraphExecDestroy(exec));
	EVENTUALLY(test.daemon.line->own_tpc_ns >= 4 * 100 * MS);
	EVENTUALLY(test.daemon.line->nr_launches >= 6);
	CHECK(test.daemon.line->borrowed_tpc_ns == 0);
	CHECK(test.daemon.line->beat_ns != 0);
}

static void case_best_effort(void)
{
	struct tpcset lent = link_bits(9, 16);

	attach(none, none);
	/* Told of what nobody owns: 66 - 4 - 8 TPCs. */
	CHECK(told_sms() == 2 * 54);
	link_daemon_owner(&test.daemon, 1, lent, SHM_OWNER_LIVE, 1);
	link_daemon_grant(&test.daemon, none, lent);
	EVENTUALLY(is_there(lent));
	peer_active(1, 1);
	launch(test.prog.count, 1000, 16);
	usleep(100000);
	CHECK(grids_since(&trace_end).nr == 0); /* held */
	EVENTUALLY(__atomic_load_n(&test.daemon.line->nr_queued, __ATOMIC_SEQ_CST) == 1);
	peer_active(1, 0);
	MUST(cu.CtxSynchronize());
	struct grids grids = grids_since(&trace_end);
	CHECK(grids.nr == 1 && tpcset_equal(&grids.last, &lent));
	/* Somebody else's borrowed work, whose turn is over. */
	__atomic_store_n(&test.daemon.board->timer_ns[12], UINT64_MAX / 2, __ATOMIC_SEQ_CST);
	tpcset_remove(&lent, 12);
	EVENTUALLY(is_there(lent));
	__atomic_store_n(&test.daemon.board->timer_ns[12], 0, __ATOMIC_SEQ_CST);
	tpcset_add(&lent, 12);
	EVENTUALLY(is_there(lent));
	/* Borrowed work is charged while it runs, and then no more. */
	launch(test.spin, 1000 * MS, 16);
	EVENTUALLY(tpcset_equal(&test.daemon.line->hold, &lent));
	MUST(cu.CtxSynchronize());
	EVENTUALLY(tpcset_is_empty(&test.daemon.line->hold));
	EVENTUALLY(test.daemon.line->hold_until_ns == 0 && test.daemon.line->outstanding_ns == 0);
	EVENTUALLY(test.daemon.line->borrowed_tpc_ns >= 8 * 900 * MS);
	CHECK(test.daemon.line->own_tpc_ns == 0);
}

/* Where nothing is lent, the TPCs of an owner are not borrowed, idle or not, whatever the turn. */
static void case_partitioned(void)
{
	struct tpcset all = link_bits(0, TPCSET_BITS - 1), owned = link_bits(0, 3), used;

	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, none, all);
	link_daemon_owner(&test.daemon, 0, owned, SHM_OWNER_LIVE, 0);
	link_daemon_partitioned(&test.daemon, 1);
	open_program();
	CHECK(told_sms() == 2 * 62);
	link_daemon_owner(&test.daemon, 0, owned, SHM_OWNER_LIVE, 1);
	used = where();
	CHECK(tpcset_count(&used) == 62);
	used = tpcset_and(used, owned);
	CHECK(tpcset_is_empty(&used));
	link_daemon_partitioned(&test.daemon, 0);
	EVENTUALLY((used = where(), tpcset_count(&used) == 66));
	/* What it was told stays. */
	CHECK(told_sms() == 2 * 62);
}

/* An owner is stopped while it works, and no daemon is there to see it. */
static void case_old_beat(void)
{
	struct tpcset own = link_bits(0, 3), lent = link_bits(9, 16);
	uint64_t *beat;

	attach(own, lent);
	link_daemon_owner(&test.daemon, 1, lent, SHM_OWNER_LIVE, 1);
	EVENTUALLY(is_there(tpcset_or(own, lent)));
	link_daemon_kill(&test.daemon);
	beat = &test.daemon.peer[1]->proc[1].beat_ns;
	__atomic_store_n(beat, clock_now_ns(), __ATOMIC_SEQ_CST);
	peer_active(1, 1);
	CHECK(is_there(own));
	__atomic_store_n(beat, clock_now_ns() - 1100 * MS, __ATOMIC_SEQ_CST);
	EVENTUALLY(is_there(tpcset_or(own, lent)));
	__atomic_store_n(beat, clock_now_ns() + 3600000 * MS, __ATOMIC_SEQ_CST);
	EVENTUALLY(is_there(own));
}

static void case_returns(void)
{
	struct tpcset own = link_bits(0, 3), other = link_bits(18, 25);
	struct link_daemon before;

	attach(own, none);
	link_daemon_kill(&test.daemon);
	before = test.daemon;
	for (int i = 0; i < 20; i++)
		CHECK(is_there(own));
	/* In the middle of a write, and gone for good: what is known stays. */
	before.grant->header.sequence++;
	before.grant->own = other;
	for (int i = 0; i < 20; i++)
		CHECK(is_there(own));
	/* Same sequence numbers as the first one, other contents. */
	link_daemon_prepare(&test.daemon);
	link_daemon_grant(&test.daemon, own, other);
	link_daemon_owner(&test.daemon, 0, link_bits(0, 3), SHM_OWNER_LIVE, 0);
	link_daemon_owner(&test.daemon, 1, link_bits(9, 16), SHM_OWNER_LIVE, 0);
	CHECK(test.daemon.grant->header.sequence + 1 == before.grant->header.sequence);
	CHECK(test.daemon.board->header.sequence == before.board->header.sequence);
	link_daemon_start(&test.daemon, test.socket);
	EVENTUALLY(test.daemon.nr_returned == 1);
	EVENTUALLY(is_there(tpcset_or(own, other)));
	CHECK(test.daemon.nr_wrong == 0);
	CHECK(before.line->pid == (uint32_t)getpid());
	launch(test.spin, 300 * MS, 1);
	EVENTUALLY(is_active());
	MUST(cu.CtxSynchronize());
	EVENTUALLY(!is_active());
}

static atomic_int is_over;

static void *launcher(void *arg)
{
	(void)arg;
	MUST(cu.CtxSetCurrent(test.prog.context));
	while (!is_over)
		launch(test.prog.count, 1000, 4);
	return NULL;
}

static void with_launchers(void (*meanwhile)(void))
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, launcher, NULL) == 0);
	meanwhile();
	is_over = 1;
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	MUST(cu.CtxSynchronize());
}

static void scribble(void *memory, size_t bytes, unsigned int *seed)
{
	uint32_t *word = memory;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		__atomic_store_n(&word[i], (uint32_t)rand_r(seed) * 3u, __ATOMIC_RELAXED);
}

static void garbage(void)
{
	unsigned int seed = 7;

	for (int i = 0; i < 300; i++) {
		scribble(&test.daemon.board->nr_tpcs,
			 sizeof(*test.daemon.board) - offsetof(struct shm_board, nr_tpcs), &seed);
		scribble(&test.daemon.grant->state,
			 sizeof(*test.daemon.grant) - offsetof(struct shm_grant, state), &seed);
		test.daemon.grant->own = chip(); /* so that nothing is held for long */
		test.daemon.grant->header.sequence = (uint32_t)i * 2;
		test.daemon.board->header.sequence = (uint32_t)rand_r(&seed);
		scribble(test.daemon.peer[i % 4]->proc, sizeof(test.daemon.peer[0]->proc), &seed);
		scribble(test.daemon.activity->proc, sizeof(test.daemon.activity->proc), &seed);
		nap();
	}
	/* A whole board again, with nobody on it. */
	test.daemon.board->nr_owners = 0;
	test.daemon.board->header.sequence = 2;
	link_daemon_grant(&test.daemon, chip(), none);
}

static void case_garbage(void)
{
	attach(link_bits(0, 3), link_bits(9, 16));
	link_daemon_owner(&test.daemon, 1, link_bits(9, 16), SHM_OWNER_LIVE, 1);
	with_launchers(garbage);
	struct grids grids = grids_since(&trace_end);
	CHECK(grids.nr > 100 && grids.nr_bad == 0 && grids.nr_hung == 0);
	CHECK(is_there(chip()));
}

static void turns(void)
{
	for (unsigned int i = 0; i < 300; i++) {
		unsigned int gpc = 1 + i % 5;
		link_daemon_grant(&test.daemon, link_bits(0, 3),
				  link_bits(9 * gpc, 9 * gpc + i % 8));
		peer_active(1, i % 2);
		if (i % 10 == 0)
			link_daemon_owner(&test.daemon, 1, link_bits(9, 16), SHM_OWNER_LIVE, 1);
		nap();
	}
}

static void case_threads(void)
{
	struct tpcset reach = link_bits(0, 3);

	for (unsigned int gpc = 1; gpc <= 5; gpc++)
		reach = tpcset_or(reach, link_bits(9 * gpc, 9 * gpc + 7));
	attach(link_bits(0, 3), none);
	with_launchers(turns);
	struct grids grids = grids_since(&trace_end);
	struct tpcset beyond = tpcset_andnot(grids.allowed, reach);
	CHECK(grids.nr > 100 && grids.nr_bad == 0 && grids.nr_hung == 0);
	CHECK(tpcset_is_empty(&beyond));
	CHECK(tpcset_count(&grids.allowed) > 4);
	EVENTUALLY(!is_active());
}

/* Sockets and memfds of ours in this process. */
static int nr_descriptors(void)
{
	char path[64], target[256];
	int nr = 0;

	for (int fd = 3; fd < 256; fd++) {
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		nr += strstr(target, "memfd:") || strstr(target, "socket:") ||
		      strstr(target, "eventfd");
	}
	return nr;
}

static void case_fork(void)
{
	int status = 0;

	attach(link_bits(0, 3), none);
	int nr_before = nr_descriptors();
	pid_t child = fork();
	if (child == 0) {
		/* The socket and the activity of the shim are closed here; the daemon's
		 * are the test's own. */
		int nr = nr_descriptors();
		_Exit(nr == nr_before - 2 ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "link_shim", "descriptors", (char *)NULL);
		_Exit(2);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	CHECK(is_there(link_bits(0, 3)));
	CHECK(test.daemon.nr_attached == 1);
}

/* Attached in the parent or not, a child that starts CUDA first is a tenant of its own. */
static void case_child(void)
{
	int status = 0;

	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, link_bits(0, 3), none);
	CHECK(cu_open() == 0);
	pid_t child = fork();
	if (child == 0) {
		open_program();
		CHECK(is_there(link_bits(0, 3)));
		CHECK(test.daemon.line->pid == (uint32_t)getpid());
		exit(prog_result());
	}
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == 0);
	CHECK(test.daemon.nr_attached == 1);
	CHECK(!is_active()); /* given up at exit */
}

static int topology_known(struct topology *topo)
{
	struct topo_cache_key key = {.nr_sms = 132};
	int version = 0;

	CHECK(cu_open() == 0);
	MUST(cu.Init(0));
	MUST(cu.DriverGetVersion(&version));
	key.driver_version = (uint32_t)version;
	memcpy(key.uuid, test.daemon.board->uuid, sizeof(key.uuid));
	return topo_cache_load(getenv("LITHOS_CACHE_DIR"), &key, topo);
}

/* In two processes: the first leaves the topology behind, in the second the daemon has it. */
static void verified(int is_true)
{
	static struct topology topo;
	char path[128];
	int status = 0;
	pid_t child;

	(void)snprintf(path, sizeof(path), "%s/topology", test.folder);
	child = fork();
	if (child == 0) {
		attach(link_bits(0, 3), none);
		CHECK(topology_known(&topo) == 0);
		int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		CHECK(write(fd, &topo, sizeof(topo)) == sizeof(topo));
		exit(prog_result());
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(read(fd, &topo, sizeof(topo)) == sizeof(topo));
	(void)close(fd);
	(void)grids_since(&trace_end);
	topo.nr_sms += is_true ? 0 : 2;
	test.daemon.topology = &topo;
	link_daemon_start(&test.daemon, test.socket);
	link_daemon_grant(&test.daemon, link_bits(0, 3), none);
	prog_open(&test.prog);
	test.word = prog_words(1, 0);
	launch(test.prog.count, 1000, 16);
	MUST(cu.CtxSynchronize());
	struct grids grids = grids_since(&trace_end);
	CHECK(is_true ? grids.nr_probes == 0 : grids.nr_probes > 0);
	CHECK(tpcset_count(&grids.last) == 4);
}

static void case_verified(void)
{
	verified(1);
}

static void case_unverified(void)
{
	verified(0);
}

static const struct link_case cases[] = {
	{"masks", case_masks},
	{"activity", case_activity},
	{"best_effort", case_best_effort},
	{"partitioned", case_partitioned},
	{"old_beat", case_old_beat},
	{"returns", case_returns},
	{"garbage", case_garbage},
	{"threads", case_threads},
	{"fork", case_fork},
	{"child", case_child},
	{"verified", case_verified},
	{"unverified", case_unverified},
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "descriptors"))
		return nr_descriptors() != 0;
	return run_case(cases, sizeof(cases) / sizeof(cases[0]), argc == 2 ? argv[1] : "");
}
