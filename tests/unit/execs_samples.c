/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executable graphs: a record a node, kept over uploads; the order of the kernels learned from
 * their ends; samples only of what is newer than the last pass; every launch counted; nothing left
 * behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lithos/stats.h>

#include "shim/thread.h"
#include "shim/track/execs.h"
#include "shim/track/records.h"

#define DEVICE_BASE 0x7000000000u
#define NODE_BASE   (DEVICE_BASE + POOL_CHUNKS * CHUNK_RECORDS * sizeof(struct record))

static struct stats_region *region;
static struct record_pool pool;
static uint32_t descriptor[200]; /* their addresses are the nodes' keys */

static int setup(void **state)
{
	(void)state;
	memset(region->kernel, 0, 256 * sizeof(region->kernel[0]));
	if (record_pool_init(&pool))
		return -1;
	pool.device_address = DEVICE_BASE;
	return 0;
}

static uint32_t nr_taken(void)
{
	uint32_t nr = 0;

	for (uint32_t i = 0; i < POOL_NODES; i++)
		nr += pool.node_taken[i];
	return nr;
}

/* Every test forgets its graphs; then nothing may be taken. */
static int teardown(void **state)
{
	uint32_t nr_left = nr_taken();

	(void)state;
	record_pool_free(&pool);
	return nr_left ? -1 : 0;
}

static CUgraphExec handle(uintptr_t n)
{
	return (CUgraphExec)(n * 64);
}

static struct exec *exec(uintptr_t n)
{
	return exec_of(thread_self(), handle(n));
}

static struct node_release arm(uintptr_t n, uint32_t node, uint32_t kernel)
{
	struct node_release release = {0};

	assert_int_equal(exec_arm_node(exec(n), &pool, &descriptor[node], kernel, &release), 0);
	assert_true(release.address >= NODE_BASE &&
		    release.address + 16 <= DEVICE_BASE + record_pool_bytes());
	return release;
}

/* What the GPU does when the node has run. */
static void ran(const struct node_release *release, uint64_t end_ns)
{
	struct record *record =
		&pool.memory[(release->address - DEVICE_BASE) / sizeof(struct record)];

	atomic_store_explicit(&record->timestamp_ns, end_ns, memory_order_relaxed);
	atomic_store_explicit(&record->payload, release->payload, memory_order_release);
}

static void assert_row(uint32_t kernel, uint64_t nr_launches, uint64_t nr_timed, uint64_t total_ns)
{
	assert_int_equal(region->kernel[kernel].nr_launches, nr_launches);
	assert_int_equal(region->kernel[kernel].nr_timed, nr_timed);
	assert_int_equal(region->kernel[kernel].total_ns, total_ns);
}

static void test_node_records(void **state)
{
	static struct record_pool other;
	struct node_release a, b, again, elsewhere;

	(void)state;
	a = arm(1, 0, 5);
	b = arm(1, 1, 6);
	assert_int_not_equal(a.address, b.address);
	again = arm(1, 0, 5);
	assert_int_equal(again.address, a.address);
	/* What the upload before this one wrote does not count for it. */
	assert_int_not_equal(again.payload, a.payload);
	assert_int_not_equal(again.payload, 0);
	assert_int_equal(nr_taken(), 2);
	/* The same descriptor in another context is another node. */
	assert_int_equal(record_pool_init(&other), 0);
	other.device_address = 0x1000;
	assert_int_equal(exec_arm_node(exec(1), &other, &descriptor[0], 5, &elsewhere), 0);
	assert_int_equal(other.node_taken[0], 1);
	assert_int_equal(nr_taken(), 2);
	exec_forget(handle(1));
	assert_int_equal(other.node_taken[0], 0);
	record_pool_free(&other);
}

/* The driver announces the last node first; the ends tell the order. */
static void test_order_is_learned(void **state)
{
	struct node_release c = arm(2, 2, 12), b = arm(2, 1, 11), a = arm(2, 0, 10);

	(void)state;
	for (uint64_t n = 1; n <= 3; n++) {
		exec_launched(exec(2), 0);
		ran(&a, n * 10000);
		ran(&b, n * 10000 + 500);
		ran(&c, n * 10000 + 800);
		assert_int_equal(execs_collect(), 1);
	}
	assert_row(10, 3, 0, 0); /* the clock is not known, so nothing says when the first began */
	assert_row(11, 3, 3, 1500);
	assert_row(12, 3, 3, 900);
	/* Nothing new: nothing is sampled twice. */
	assert_int_equal(execs_collect(), 0);
	assert_int_equal(execs_collect(), 0);
	assert_row(12, 3, 3, 900);
	exec_forget(handle(2));
}

/* A pass in the middle of a replay loses the sample at the seam, and mixes nothing. */
static void test_pass_in_mid_replay(void **state)
{
	struct node_release a = arm(3, 0, 20), b = arm(3, 1, 21), c = arm(3, 2, 22);

	(void)state;
	exec_launched(exec(3), 0);
	ran(&a, 1000);
	assert_int_equal(execs_collect(), 1);
	assert_row(21, 1, 0, 0); /* some never ran: no order yet */
	ran(&b, 1500);
	ran(&c, 1800);
	assert_int_equal(execs_collect(), 0);
	assert_row(21, 1, 1, 500);
	assert_row(22, 1, 1, 300);
	exec_launched(exec(3), 0);
	ran(&a, 5000);
	ran(&b, 5600);
	assert_int_equal(execs_collect(), 1);
	assert_row(21, 2, 2, 1100);
	assert_row(22, 2, 1, 300);
	ran(&c, 5900);
	(void)execs_collect();
	assert_row(22, 2, 1, 300);
	/* Many launches between two passes: all are counted, one is sampled. */
	for (int i = 0; i < 100; i++)
		exec_launched(exec(3), 0);
	ran(&a, 90000);
	ran(&b, 90700);
	ran(&c, 91100);
	assert_int_equal(execs_collect(), 1);
	assert_row(21, 102, 3, 1800);
	assert_row(22, 102, 2, 700);
	exec_forget(handle(3));
}

/* A node that was uploaded anew counts when it has run anew. */
static void test_uploaded_again(void **state)
{
	struct node_release a = arm(4, 0, 30), b = arm(4, 1, 31);

	(void)state;
	exec_launched(exec(4), 0);
	ran(&a, 1000);
	ran(&b, 1100);
	(void)execs_collect();
	assert_row(31, 1, 1, 100);
	b = arm(4, 1, 33); /* another kernel now */
	exec_launched(exec(4), 0);
	ran(&a, 2000);
	(void)execs_collect();
	assert_row(33, 1, 0, 0);
	ran(&b, 2070);
	(void)execs_collect();
	assert_row(33, 1, 1, 70);
	assert_row(31, 1, 1, 100);
	exec_forget(handle(4));
}

/* With the clock known, and the graph idle before, the first kernel begins when it was submitted.
 */
static void test_first_node(void **state)
{
	struct node_release a = arm(5, 0, 40);

	(void)state;
	/* The clocks are equal. */
	clock_sync_observe(
		&pool.sync,
		&(struct clock_record){.gpu_ns = 1000, .submitted_ns = 1000, .polled_ns = 1000});
	exec_launched(exec(5), 4000);
	ran(&a, 4700);
	(void)execs_collect();
	assert_row(40, 1, 1, 700);
	(void)execs_collect(); /* finds it idle */
	exec_launched(exec(5), 8000);
	ran(&a, 8200);
	(void)execs_collect();
	assert_row(40, 2, 2, 900);
	(void)execs_collect();
	/* Two at once: the second waited for the first, so nothing says when it began. */
	exec_launched(exec(5), 9000);
	exec_launched(exec(5), 9001);
	ran(&a, 9900);
	(void)execs_collect();
	assert_row(40, 4, 2, 900);
	/* And one more before it was seen idle: still busy, for all that is known. */
	exec_launched(exec(5), 10000);
	ran(&a, 10900);
	(void)execs_collect();
	assert_row(40, 5, 2, 900);
	/* A pass that sees an end it did not know has not seen the graph idle: another may run. */
	(void)execs_collect();
	exec_launched(exec(5), 11000);
	exec_launched(exec(5), 11001);
	(void)execs_collect();
	ran(&a, 11500);
	(void)execs_collect();
	exec_launched(exec(5), 12000);
	ran(&a, 12900);
	(void)execs_collect();
	assert_row(40, 8, 2, 900);
	exec_forget(handle(5));
}

static void test_forget(void **state)
{
	struct exec *before;

	(void)state;
	(void)arm(6, 0, 50);
	(void)arm(6, 1, 51);
	(void)arm(7, 0, 52);
	before = exec(6);
	assert_ptr_equal(exec(6), before);
	exec_launched(before, 0);
	exec_launched(before, 0);
	assert_int_equal(nr_taken(), 3);
	exec_forget(handle(6));
	/* Launches that no pass had seen are counted, and the records are free. */
	assert_row(50, 2, 0, 0);
	assert_row(51, 2, 0, 0);
	assert_row(52, 0, 0, 0);
	assert_int_equal(nr_taken(), 1);
	exec_forget(handle(6)); /* unknown by now */
	/* The driver gives the handle out again: another graph, without the old one's nodes. */
	exec_launched(exec(6), 0);
	(void)execs_collect();
	assert_row(50, 2, 0, 0);
	exec_forget(handle(6));
	exec_forget(handle(7));
}

/* A graph that came and went between two passes is still sampled, all but its first kernel. */
static void test_forget_takes_a_last_look(void **state)
{
	struct node_release first, second;

	(void)state;
	first = arm(12, 0, 70);
	second = arm(12, 1, 71);
	exec_launched(exec(12), 0);
	ran(&first, 1000);
	ran(&second, 1700);
	exec_forget(handle(12));
	assert_row(70, 1, 0, 0);
	assert_row(71, 1, 1, 700);
}

/* A context goes: its nodes are forgotten, their records free, their launches counted. */
static void test_drop_pool(void **state)
{
	(void)state;
	(void)arm(8, 0, 60);
	(void)arm(9, 1, 61);
	exec_launched(exec(8), 0);
	execs_drop_pool(&pool);
	assert_int_equal(nr_taken(), 0);
	exec_launched(exec(8), 0);
	(void)execs_collect();
	assert_row(60, 1, 0, 0);
	assert_row(61, 0, 0, 0);
	exec_forget(handle(8));
	exec_forget(handle(9));
}

static void test_many_nodes(void **state)
{
	struct node_release release, one_more;
	uint32_t index;

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		release = arm(10, i, i);
	assert_int_equal(nr_taken(), 200);
	assert_int_equal(arm(10, 199, 199).address, release.address);
	while (!record_node_take(&pool, &index))
		;
	assert_int_equal(exec_arm_node(exec(11), &pool, &descriptor[0], 0, &one_more), -ENOSPC);
	exec_forget(handle(10));
	for (uint32_t i = 0; i < POOL_NODES; i++)
		record_node_give(&pool, i);
	assert_int_equal(exec_arm_node(exec(11), &pool, &descriptor[0], 0, &one_more), 0);
	exec_forget(handle(11));
}

/* --- with the tracker looking on
 * ------------------------------------------------------------------- */

static atomic_int is_over;

static void *collector_main(void *arg)
{
	while (!atomic_load(&is_over))
		(void)execs_collect();
	return arg;
}

static void test_collector_beside(void **state)
{
	pthread_t collector;

	(void)state;
	atomic_store(&is_over, 0);
	assert_int_equal(pthread_create(&collector, NULL, collector_main, NULL), 0);
	for (uint32_t round = 0; round < 300; round++) {
		uintptr_t n = 100 + round % 5;
		struct node_release a = arm(n, 0, 70), b = arm(n, 1, 71);

		for (uint64_t i = 1; i <= 10; i++) {
			exec_launched(exec(n), i);
			ran(&a, round * 100000 + i * 1000);
			ran(&b, round * 100000 + i * 1000 + 10);
		}
		if (round % 3 == 0)
			exec_forget(handle(n));
	}
	atomic_store(&is_over, 1);
	assert_int_equal(pthread_join(collector, NULL), 0);
	for (uintptr_t n = 100; n < 105; n++)
		exec_forget(handle(n));
	assert_int_equal(region->kernel[70].nr_launches, 3000);
	assert_int_equal(region->kernel[71].nr_launches, 3000);
	execs_after_fork();
	assert_int_equal(execs_collect(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_node_records, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_is_learned, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pass_in_mid_replay, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uploaded_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_node, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forget, setup, teardown),
		cmocka_unit_test_setup_teardown(test_forget_takes_a_last_look, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drop_pool, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_nodes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_collector_beside, setup, teardown),
	};
	int nr_failed;

	region = calloc(1, sizeof(*region));
	if (!region)
		return 1;
	execs_init(region);
	nr_failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(region);
	return nr_failed;
}
