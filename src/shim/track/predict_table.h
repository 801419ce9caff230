/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a launch will take, from how long launches like it took (sched/predict.h).
 *
 * One table a process, by shape: kernel, blocks of the grid and threads of a block; and, for shapes
 * whose times differ, by path: the sixteen launches that the thread made before. Launching threads
 * read it and add to it without a lock; the tracker writes the times.
 */
#ifndef LITHOS_SHIM_TRACK_PREDICT_TABLE_H
#define LITHOS_SHIM_TRACK_PREDICT_TABLE_H

#include <stdint.h>

#include "shim/cuda_api.h"

struct thread_state;

#define PREDICT_NO_SLOT UINT32_MAX

/*
 * The program launches such a grid: once for each launch, in its order. t->launch_path is the path
 * to it then, for predict_of() here and in the dispatcher. The calling thread's state.
 */
void predict_step(struct thread_state *t, CUfunction func, uint64_t nr_blocks, uint32_t nr_threads);

/*
 * Predicted time of a grid on the TPCs that the process may use at this moment; 0 = not seen often
 * enough. `path` as above, 0 = not known. Noted in t->asked for the launch's descriptor. The
 * calling thread's state, no lock, about 10 ns.
 */
uint64_t predict_of(struct thread_state *t, CUfunction func, uint64_t nr_blocks,
		    uint32_t nr_threads, uint64_t path);

/* The place of a shape, made at its first launch; PREDICT_NO_SLOT when the table is too full. */
uint32_t predict_slot(CUfunction func, uint64_t nr_blocks, uint32_t nr_threads);

/* Predicted time of what has this place, on so many TPCs; of its shape where its path is new; 0 =
 * unknown. */
uint64_t predict_in_slot(uint32_t slot, uint32_t nr_tpcs);

/* One like it took so long on so many TPCs; longer than by itself when it was disturbed. Tracker
 * only. */
void predict_seen(uint32_t slot, uint64_t duration_ns, uint32_t nr_tpcs, int was_disturbed);

/* How many TPCs the process may use now: what predict_of() answers for. Any thread. */
void predict_set_width(uint32_t nr_tpcs);

/*
 * What splitting knows of the shape (split/plan.c), kept with its place: another shape that takes
 * the place over finds 0. A note that is set in that moment may be the old one's. 0 without a
 * place.
 */
uint32_t predict_note(uint32_t slot);
void predict_set_note(uint32_t slot, uint32_t note);

/* Kernel handles mean other kernels from here on. */
void predict_flush(void);

#endif
