/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Epochs: how an owner that comes back tells borrowers' claimed launches to go.
 *
 * Glossary
 *   epoch    number in the owner's activity line, raised each time it becomes active
 *   word     the same number in device memory, written by the owner's stream, read by preludes
 *   cover    an owner's process whose word a launch reads, and the epoch it was given
 */
#ifndef LITHOS_SHIM_SPLIT_EPOCH_H
#define LITHOS_SHIM_SPLIT_EPOCH_H

#include <stdint.h>

#include <lithos/tpcset.h>

#include "shim/cuda_api.h"
#include "shim/thread.h"

struct share_view;
struct thread_state;

#define EPOCH_COVERS 2u /* words that a slot has room for */

/* --- owner --- */

/* Exports the arena's epoch word and publishes it in the process' line, if there is one. */
void epoch_open(void);
void epoch_close(void);

/* The line may be other memory than before: publishes handle and number again. Link thread. */
void epoch_publish(void);

/*
 * The process became active, and says so already: raises the number. The word follows at the
 * thread's next epoch_write(), which whoever launches calls after the driver's launch call, or when
 * he holds the launch back: the owner's launch must not wait for what it tells others. Any thread.
 */
void epoch_raise(struct thread_state *t);
void epoch_write_slow(struct thread_state *t);

/* Instead of that, in the descriptor hook, where no launch call is under way. */
void epoch_write_aside(struct thread_state *t);

/* The thread aside (aside.h): writes the word if it is late. */
void epoch_serve(void);

static inline void epoch_write(struct thread_state *t)
{
	if (__builtin_expect(t->epoch_is_late != 0, 0))
		epoch_write_slow(t);
}

/* --- borrower: the dispatcher --- */

struct epoch_cover {
	uint32_t place, generation, line; /* of the owner's process */
	uint32_t calm;                    /* its epoch when the launch was prepared */
	CUdeviceptr word;
};

struct epoch_coverage {
	uint32_t nr;
	struct epoch_cover cover[EPOCH_COVERS];
	struct tpcset
		tpcs; /* where the launch may run: own, nobody's, and those of the covers' owners */
};

/*
 * Covers for all TPCs that may be lent now, and lie in `within` if that is not NULL. 0; -EAGAIN
 * there is no TPC to run on now, or an owner's word is being opened (milliseconds, at first sight);
 * -E2BIG more processes than a slot has words, or one without a word.
 */
int epoch_cover_lendable(struct thread_state *t, const struct tpcset *within,
			 struct epoch_coverage *ret_coverage);

/* 1 when no owner has raised its epoch since. */
int epoch_is_calm(const struct epoch_coverage *coverage);

void epoch_after_fork(void);

#endif
