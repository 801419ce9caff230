/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that do not take the program's signals.
 *
 * Problem: a signal for the process goes to any thread that does not block it, and programs expect
 * it in a thread of their own (a handler with thread-local data, sigwait() in one thread). Idea: a
 * new thread has the mask of its creator, so the creator blocks everything for the moment of
 * creation.
 *
 * What it does badly: signals for the creating thread wait for some 20 us.
 *
 * Tested by tests/unit/quiet_thread.c.
 */
#include "base/quiet_thread.h"

#include <signal.h>
#include <sys/prctl.h>

#define SLACK_NS 1000ul

static int start_with(pthread_t *ret_thread, const pthread_attr_t *attr, void *(*fn)(void *),
		      void *arg)
{
	sigset_t all, before;
	pthread_t thread;
	int err;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&thread, attr, fn, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!err)
		*ret_thread = thread;
	return -err;
}

int quiet_thread_start(pthread_t *ret_thread, size_t stack_bytes, void *(*fn)(void *), void *arg)
{
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err)
		return err;
	if (stack_bytes)
		err = -pthread_attr_setstacksize(&attr, stack_bytes);
	if (!err)
		err = start_with(ret_thread, &attr, fn, arg);
	(void)pthread_attr_destroy(&attr);
	return err;
}

void quiet_thread_wake_on_time(void)
{
	(void)prctl(PR_SET_TIMERSLACK, SLACK_NS, 0ul, 0ul, 0ul);
}
