/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of ours for driver calls that no other thread may make when they are due. */
#ifndef LITHOS_SHIM_SPLIT_ASIDE_H
#define LITHOS_SHIM_SPLIT_ASIDE_H

/* When the arena's context is made. Without the thread what it would do is not done. */
void aside_start(void);

/* There is something for it to do. Any thread; a system call. */
void aside_wake(void);

/* The thread itself: the arena's context is current from here to aside_leave(); 0 there is none. */
int aside_enter(void);
void aside_leave(void);

/* The arena is off, its context about to go. Waits a moment for a call that is under way. */
void aside_stop(void);

void aside_after_fork(void);

#endif
