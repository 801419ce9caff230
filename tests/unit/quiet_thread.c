/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of a library: no signal reaches it, the creator's mask stays, its stack is as asked
 * for. */
#include "base_files.h"

#include <errno.h>
#include <signal.h>

#include "base/quiet_thread.h"

struct seen {
	sigset_t blocked;
	size_t stack_bytes;
};

static void *look(void *arg)
{
	struct seen *seen = arg;
	pthread_attr_t attr;

	(void)pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked);
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		(void)pthread_attr_getstacksize(&attr, &seen->stack_bytes);
		(void)pthread_attr_destroy(&attr);
	}
	return seen;
}

/* What the thread saw; the creator blocks SIGUSR1 and nothing else, before and after. */
static struct seen start_one(size_t stack_bytes)
{
	struct seen seen = {.stack_bytes = 0};
	sigset_t mine, after;
	pthread_t thread;
	void *result = NULL;

	(void)sigemptyset(&mine);
	(void)sigaddset(&mine, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
	assert_int_equal(quiet_thread_start(&thread, stack_bytes, look, &seen), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, &seen);
	assert_int_equal(sigismember(&after, SIGUSR1), 1);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
	return seen;
}

static void test_signals_are_blocked(void **state)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGALRM, SIGPROF};
	struct seen seen = start_one(0);

	(void)state;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		assert_int_equal(sigismember(&seen.blocked, signals[i]), 1);
}

static void test_stack(void **state)
{
	(void)state;
	assert_int_equal(start_one((size_t)1024 * 1024).stack_bytes, 1024 * 1024);
	assert_true(start_one(0).stack_bytes > (size_t)1024 * 1024);
}

static void test_impossible_stack(void **state)
{
	pthread_t thread = pthread_self();
	sigset_t after;

	(void)state;
	assert_int_equal(quiet_thread_start(&thread, 1, look, NULL), -EINVAL);
	assert_true(pthread_equal(thread, pthread_self()));
	/* Too much to map: the mask comes back all the same. */
	assert_true(quiet_thread_start(&thread, (size_t)1 << 60, look, NULL) < 0);
	assert_true(pthread_equal(thread, pthread_self()));
	assert_int_equal(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
	assert_int_equal(sigismember(&after, SIGTERM), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals_are_blocked),
		cmocka_unit_test(test_stack),
		cmocka_unit_test(test_impossible_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
