/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: order within a round, removal from inside callbacks, timers, processes, tasks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/loop.h"

static struct loop loop;
static char order[256]; /* who was called, a letter each */

struct source {
	struct loop_io io;
	char letter;
	struct source *removes;
};

static void note(char letter)
{
	size_t n = strlen(order);

	order[n] = letter;
	order[n + 1] = '\0';
}

static void on_source(void *cookie, uint32_t events)
{
	struct source *source = cookie;
	uint64_t value;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(source->io.fd, &value, sizeof(value)), sizeof(value));
	note(source->letter);
	if (source->removes)
		loop_remove(&loop, &source->removes->io);
}

static void source_open(struct source *source, char letter, int is_first)
{
	*source = (struct source){.letter = letter};
	source->io = (struct loop_io){.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
				      .is_first = is_first,
				      .on_ready = on_source,
				      .cookie = source};
	assert_int_equal(loop_add(&loop, &source->io, EPOLLIN), 0);
}

static int setup(void **state)
{
	(void)state;
	order[0] = '\0';
	return loop_init(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_fini(&loop);
	return 0;
}

static void test_order(void **state)
{
	struct source a, b, first;

	(void)state;
	source_open(&a, 'a', 0);
	source_open(&b, 'b', 0);
	source_open(&first, 'F', 1);
	assert_true(loop_round(&loop, 0) > 0);
	assert_int_equal(order[0], 'F');
	assert_int_equal(strlen(order), 3);
	assert_int_equal(loop_round(&loop, 0), 0);
	loop_remove(&loop, &a.io);
	loop_remove(&loop, &b.io);
	loop_remove(&loop, &first.io);
	(void)close(a.io.fd);
	(void)close(b.io.fd);
	(void)close(first.io.fd);
}

/* Each removes the other: one of them runs, and never the one that was removed. */
static void test_removed_in_round(void **state)
{
	struct source a, b;

	(void)state;
	source_open(&a, 'a', 0);
	source_open(&b, 'b', 0);
	a.removes = &b;
	b.removes = &a;
	assert_int_equal(loop_round(&loop, 0), 2);
	assert_int_equal(strlen(order), 1);
	assert_int_equal(loop_round(&loop, 0), 0);
	(void)close(a.io.fd);
	(void)close(b.io.fd);
}

static void on_time(void *cookie)
{
	note(*(const char *)cookie);
}

static void test_timers(void **state)
{
	char letter = 't';
	struct loop_timer timer = {.on_time = on_time, .cookie = &letter};

	(void)state;
	assert_int_equal(loop_timer_add(&loop, &timer), 0);
	assert_int_equal(loop_round(&loop, 20), 0);
	assert_int_equal(loop_timer_set(&timer, 0, 0), 0);
	assert_int_equal(loop_round(&loop, 10000), 1);
	assert_int_equal(loop_round(&loop, 20), 0);
	assert_int_equal(loop_timer_set(&timer, 1000000, 1000000), 0);
	assert_int_equal(loop_round(&loop, 10000), 1);
	assert_int_equal(loop_round(&loop, 10000), 1);
	assert_int_equal(loop_timer_stop(&timer), 0);
	(void)loop_round(&loop, 0);
	order[0] = '\0';
	assert_int_equal(loop_round(&loop, 20), 0);
	assert_string_equal(order, "");
	loop_timer_remove(&loop, &timer);
	loop_timer_remove(&loop, &timer);
}

static void test_processes(void **state)
{
	char letter = 'p';
	struct loop_process process = {.on_exit = on_time, .cookie = &letter};
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		for (;;)
			(void)pause();
	}
	assert_int_equal(loop_process_add(&loop, &process, pid), 0);
	assert_int_equal(loop_round(&loop, 20), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	while (!order[0])
		assert_true(loop_round(&loop, 10000) > 0);
	assert_string_equal(order, "p");
	loop_process_remove(&loop, &process);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(loop_process_add(&loop, &process, pid), -ESRCH);
}

static int nr_again;

static void run_again(void *cookie)
{
	note('x');
	if (nr_again++ < 2)
		loop_defer(&loop, cookie);
}

static void test_tasks(void **state)
{
	char letter = 'y', cancelled = 'c';
	struct loop_task again = {.run = run_again, .cookie = &again};
	struct loop_task once = {.run = on_time, .cookie = &letter};
	struct loop_task never = {.run = on_time, .cookie = &cancelled};

	(void)state;
	loop_defer(&loop, &again);
	loop_defer(&loop, &never);
	loop_defer(&loop, &once);
	loop_defer(&loop, &once);
	loop_task_cancel(&loop, &never);
	loop_task_cancel(&loop, &never);
	/* No waiting while something is put off. */
	assert_int_equal(loop_round(&loop, -1), 0);
	assert_string_equal(order, "xy");
	assert_int_equal(loop_round(&loop, -1), 0);
	assert_int_equal(loop_round(&loop, -1), 0);
	assert_string_equal(order, "xyxx");
	assert_int_equal(loop_round(&loop, 0), 0);
	assert_string_equal(order, "xyxx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_removed_in_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_processes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tasks, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
