/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a library in somebody else's program. */
#ifndef LITHOS_BASE_QUIET_THREAD_H
#define LITHOS_BASE_QUIET_THREAD_H

#include <pthread.h>
#include <stddef.h>

/*
 * A thread that takes none of the program's signals: all are blocked in it, from its first
 * instruction. stack_bytes 0 = the usual size. 0, or -errno; the caller's signal mask is as it was.
 */
int quiet_thread_start(pthread_t *ret_thread, size_t stack_bytes, void *(*fn)(void *), void *arg);

/* The calling thread's timed waits end within 1 us of their time, not within the usual 50 us. */
void quiet_thread_wake_on_time(void);

#endif
