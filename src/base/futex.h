/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping on a 32-bit word until somebody wakes it. Calls return for no reason at times (a signal,
 * a wake meant for an earlier sleeper), so the caller looks again; errors are the same to it.
 *
 * Private words are this process' own. Shared ones lie in memory that other processes map, and are
 * told apart by where that memory is, which costs some 100 ns more; waiting needs no right to
 * write.
 */
#ifndef LITHOS_BASE_FUTEX_H
#define LITHOS_BASE_FUTEX_H

#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum futex_scope {
	FUTEX_WORD_PRIVATE = FUTEX_PRIVATE_FLAG,
	FUTEX_WORD_SHARED = 0
};

/* Sleeps while *word is `seen`, for timeout_ns at most. */
static inline void futex_wait(const volatile void *word, uint32_t seen, uint64_t timeout_ns,
			      enum futex_scope scope)
{
	struct timespec timeout = {
		.tv_sec = (time_t)(timeout_ns / 1000000000u),
		.tv_nsec = (long)(timeout_ns % 1000000000u),
	};

	(void)syscall(SYS_futex, word, FUTEX_WAIT | (int)scope, seen, &timeout, NULL, 0);
}

/* Wakes nr of those who sleep on the word; INT32_MAX = all. */
static inline void futex_wake(const volatile void *word, int32_t nr, enum futex_scope scope)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE | (int)scope, nr, NULL, NULL, 0);
}

#endif
