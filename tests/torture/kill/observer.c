/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon the TPCs of a dead tenant are free, seen as another tenant sees it.
 *
 *   torture_observer SOCKET TOKEN UUID    both in hexadecimal
 *
 * It attaches as a process of the tenant that TOKEN names and maps the board (lithos/shm.h). For
 * each line "PID TENANT_ID" on stdin it
 *   1. opens a pidfd, finds the tenant's place on the board, and prints "armed OWNS ATTACHED", each
 *      0 or 1: the tenant owns TPCs, and its process has attached;
 *   2. looks again and again, with a short sleep between, whether the process is dead, and whether
 *      the place is another's or nobody's;
 *   3. prints "dead ALIVE_NS DEAD_NS FREE_NS", CLOCK_MONOTONIC: the last look at which the process
 *      still lived, the first at which it did not, the first at which its TPCs were free (0: owned
 *      nothing).
 *
 * FREE_NS - ALIVE_NS is never less than what it took: when this process had to wait for a
 * processor, the time is charged to the daemon. So it runs before everything else where it may.
 * Each look at the board is a copy under its sequence number, and is checked: no TPC is two
 * owners', none is outside the GPU, and none is free whose process had attached and still lives.
 *
 * What it does badly: it takes a few percent of a processor while it looks, and sees nothing of
 * tenants that own no TPCs. Exit: 0 at the end of stdin, 1 with the reason on stderr.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon_client.h"

enum {
	NR_LOOKERS = 1,
	LOOK_US = 100, /* from one look to the next */
	WAIT_S = 120   /* a machine that tests may take so long to tear a process down */
};

/* Each looker has its own. */
struct victim {
	const struct attached *me;
	int pidfd;
	uint32_t tenant_id;
	int owns;
	int was_attached; /* else it ends with its reservation, dead or not */
	uint64_t alive_ns;
	uint64_t dead_ns;
	uint64_t free_ns;
};

static _Noreturn void die(const char *what)
{
	(void)fprintf(stderr, "torture_observer: %s\n", what);
	exit(1);
}

static void from_hex(const char *text, uint8_t *bytes, size_t size)
{
	if (strlen(text) != 2 * size)
		die("a token or UUID of the wrong length");
	for (size_t i = 0; i < size; i++) {
		const char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};

		bytes[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
}

/* First the strongest that this user may have. */
static void run_before_others(void)
{
	const struct sched_param lowest = {.sched_priority = 1};

	(void)prctl(PR_SET_TIMERSLACK, 1ul);
	if (sched_setscheduler(0, SCHED_FIFO, &lowest) < 0)
		(void)setpriority(PRIO_PROCESS, 0, -20);
}

/* --- the board -------------------------------------------------------------------------------- */

static uint32_t load_sequence(const volatile struct shm_board *board)
{
	return __atomic_load_n(&board->header.sequence, __ATOMIC_ACQUIRE);
}

/* The owners, at one moment. A daemon that was interrupted while it wrote makes this wait. */
static void copy_owners(const volatile struct shm_board *board, struct shm_owner *owners)
{
	const volatile uint32_t *from = (const volatile uint32_t *)board->owner;
	uint32_t *to = (uint32_t *)owners;

	for (;;) {
		uint32_t before = load_sequence(board);
		/* Acquire on every word: the number is read again after all of them. */
		for (size_t i = 0; i < SHM_MAX_OWNERS * sizeof(*owners) / sizeof(uint32_t); i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_ACQUIRE);
		if (!(before & 1) && load_sequence(board) == before)
			return;
		(void)usleep(10);
	}
}

static void check_owners(const volatile struct shm_board *board, const struct shm_owner *owners)
{
	struct tpcset present = board->present;
	struct tpcset owned = {{0}};

	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		struct tpcset twice = tpcset_and(owned, owners[i].tpcs);
		struct tpcset outside = tpcset_andnot(owners[i].tpcs, present);

		if (!tpcset_is_empty(&twice) || !tpcset_is_empty(&outside))
			die("the board gives a TPC to two owners, or one that is not there");
		owned = tpcset_or(owned, owners[i].tpcs);
	}
}

static int is_place_of(const struct shm_owner *owner, uint32_t tenant_id)
{
	return owner->state != SHM_OWNER_NONE && owner->tenant_id == tenant_id;
}

/* 1 and the tenant's place on the board; 0 when it has none. */
static int find_place(const volatile struct shm_board *board, uint32_t tenant_id,
		      struct shm_owner *ret_place)
{
	struct shm_owner owners[SHM_MAX_OWNERS];

	copy_owners(board, owners);
	check_owners(board, owners);
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		if (!is_place_of(&owners[i], tenant_id))
			continue;
		*ret_place = owners[i];
		return 1;
	}
	return 0;
}

/* --- one victim ------------------------------------------------------------------------------- */

static int is_dead(const struct victim *victim)
{
	struct pollfd p = {.fd = victim->pidfd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

/* 1 when there is nothing more to see. The time at which something is still as before is taken
 * before the look, the time at which it has changed after it. The board is read first: what is free
 * there must be of a process that is dead when it is asked for afterwards. */
static int look(struct victim *victim)
{
	struct shm_owner place;
	uint64_t begin_ns = client_now_ns();
	int is_free = !find_place(victim->me->board, victim->tenant_id, &place);
	uint64_t free_ns = client_now_ns();

	if (is_free && victim->owns && !victim->free_ns)
		victim->free_ns = free_ns;
	if (!victim->dead_ns && !is_dead(victim)) {
		victim->alive_ns = begin_ns;
		if (is_free && victim->owns && victim->was_attached)
			die("TPCs of a process that lives are free");
		return 0;
	}
	if (!victim->dead_ns)
		victim->dead_ns = client_now_ns();
	return is_free;
}

/* What the daemon says of peers is of no use here, but a connection that nobody reads is
 * dropped. */
static void drain(const struct attached *me)
{
	struct received message;

	while (client_receive(me->fd, &message, 0) == 1)
		received_close(&message);
}

static void watch(struct victim *victim)
{
	const struct timespec pause = {.tv_nsec = LOOK_US * 1000};
	uint64_t end_ns = client_now_ns() + WAIT_S * 1000000000ull;

	while (!look(victim)) {
		if (client_now_ns() > end_ns)
			die(victim->dead_ns ? "a dead tenant still has TPCs"
					    : "a killed process does not die");
		(void)nanosleep(&pause, NULL);
	}
}

struct looker {
	pthread_t thread;
	cpu_set_t where;
	struct victim victim;
};

static void *looker_run(void *arg)
{
	struct looker *looker = arg;

	(void)sched_setaffinity(0, sizeof(looker->where), &looker->where);
	watch(&looker->victim);
	return NULL;
}

/* Together: the last that saw it alive, the first that saw it dead, the first that saw it free. */
static void merge(struct victim *all, const struct victim *one)
{
	if (one->alive_ns > all->alive_ns)
		all->alive_ns = one->alive_ns;
	if (!all->dead_ns || one->dead_ns < all->dead_ns)
		all->dead_ns = one->dead_ns;
	if (!all->free_ns || one->free_ns < all->free_ns)
		all->free_ns = one->free_ns;
}

/* The i-th processor that this process may run on, or any. */
static cpu_set_t processor(int i)
{
	cpu_set_t allowed;
	cpu_set_t one;

	CPU_ZERO(&one);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
		return one;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || i-- > 0)
			continue;
		CPU_SET(cpu, &one);
		return one;
	}
	return allowed;
}

static void watch_together(struct victim *victim)
{
	struct looker lookers[NR_LOOKERS];

	for (int i = 0; i < NR_LOOKERS; i++) {
		lookers[i] = (struct looker){.where = processor(i), .victim = *victim};
		if (pthread_create(&lookers[i].thread, NULL, looker_run, &lookers[i]))
			die("no thread");
	}
	/* Only now may it be killed. */
	(void)printf("armed %d %d\n", victim->owns, victim->was_attached);
	for (int i = 0; i < NR_LOOKERS; i++) {
		(void)pthread_join(lookers[i].thread, NULL);
		merge(victim, &lookers[i].victim);
	}
}

static void observe(const struct attached *me, pid_t pid, uint32_t tenant_id)
{
	struct victim victim = {.me = me, .tenant_id = tenant_id};
	struct shm_owner place = {0};

	drain(me);
	victim.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (victim.pidfd < 0)
		die("there is no such process");
	victim.owns = find_place(me->board, tenant_id, &place);
	victim.was_attached = place.nr_lines > 0;
	victim.alive_ns = client_now_ns();
	watch_together(&victim);
	(void)printf("dead %llu %llu %llu\n", (unsigned long long)victim.alive_ns,
		     (unsigned long long)victim.dead_ns, (unsigned long long)victim.free_ns);
	(void)close(victim.pidfd);
}

int main(int argc, char **argv)
{
	struct proto_admitted tenant = {0};
	struct test_daemon daemon = {0};
	struct attached me;
	char line[64];

	if (argc != 4 || strlen(argv[1]) >= sizeof(daemon.socket))
		die("usage: torture_observer SOCKET TOKEN UUID");
	(void)snprintf(daemon.socket, sizeof(daemon.socket), "%s", argv[1]);
	from_hex(argv[2], tenant.token, sizeof(tenant.token));
	from_hex(argv[3], tenant.gpu_uuid, sizeof(tenant.gpu_uuid));
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	run_before_others();
	if (client_attach(&daemon, &tenant, &me, NULL) != PROTO_ATTACHED)
		die("not attached");
	while (fgets(line, sizeof(line), stdin)) {
		char *next;
		pid_t pid = (pid_t)strtol(line, &next, 10);

		observe(&me, pid, (uint32_t)strtoul(next, NULL, 10));
	}
	attached_close(&me);
	return 0;
}
