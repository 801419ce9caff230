/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the preludes into a context, and learning where they lie.
 *
 * No driver call tells the address of a kernel's code. The descriptor of a launch does: each
 * prelude is launched once as a kernel of its own, with bank 6 bound to a slot that makes it leave,
 * and the hook reads PROGRAM_ADDRESS. The gate leaves because its range is empty; the claim because
 * the flag is up, and the word it then leaves behind proves that it read slot, flag and word: an
 * image that does not work on a device is found out here, before any kernel of the program goes
 * through it.
 *
 * Tested by tests/programs/prelude.c on hardware, and tests/integration on the simulated GPU.
 */
#include "hw/prelude/prelude.h"

#include <errno.h>
#include <string.h>

#include "hw/driver.h"
#include "hw/qmd.h"
#include "hw/qmd_allow.h"
#include "hw/tools_hook.h"

#define TRY_NUMBER 2u /* of the claim's trial launch */

/* What the calling thread's next launch is: NULL, or a trial of ours. */
struct trial {
	uint64_t slot_address;
	uint64_t entry; /* out: PROGRAM_ADDRESS */
	int cc_major;
	int error;
};

static _Thread_local struct trial *current_trial __attribute__((tls_model("initial-exec")));

static int trial_edit(struct trial *trial, void *qmd)
{
	const struct qmd_layout *layout = qmd_layout_of(qmd, trial->cc_major);
	struct qmd_grid grid;
	int r;

	if (!layout || !qmd_may_use(layout))
		return -ENOTSUP;
	r = qmd_decode_grid(layout, qmd, &grid);
	if (r < 0)
		return r;
	trial->entry = grid.entry;
	/* To itself: only the bank changes. */
	return prelude_redirect(layout, qmd, grid.entry, trial->slot_address);
}

int prelude_hook(const struct qmd_event *event)
{
	if (!current_trial)
		return 0;
	current_trial->error = trial_edit(current_trial, event->qmd);
	return 1;
}

/* Launches one prelude as a kernel; the address of its code, or 0. */
static int trial_launch(const struct driver_ops *ops, CUfunction func, CUstream stream,
			struct trial *trial)
{
	CUresult err;

	trial->error = -ENOTSUP; /* unless the hook is called */
	current_trial = trial;
	err = ops->launch(func, 1, 1, 1, 32, 1, 1, 0, stream, NULL, NULL);
	current_trial = NULL;
	if (err || ops->stream_synchronize(stream))
		return -EIO;
	return trial->error;
}

/* The words of the claim's trial: word 0 is the state, word 1 the flag, which is up. */
static int words_prepare(const struct driver_ops *ops, CUdeviceptr words, CUstream stream)
{
	return ops->memset_d32_async(words, 0, 1, stream) ||
			       ops->memset_d32_async(words + 4, 1, 1, stream)
		       ? -EIO
		       : 0;
}

static int words_check(const struct driver_ops *ops, CUdeviceptr words, CUstream stream)
{
	uint32_t seen[2] = {0, 0};

	if (ops->memcpy_dtoh_async(seen, words, sizeof(seen), stream) ||
	    ops->stream_synchronize(stream))
		return -EIO;
	return seen[0] == TRY_NUMBER + 1 && seen[1] == 1 ? 0 : -EIO;
}

struct opening {
	const struct driver_ops *ops;
	CUmodule module;
	CUstream stream;
	CUdeviceptr words;
	struct prelude_slot *slot;
	struct trial trial;
};

static int opening_try(struct opening *o, enum prelude_kind kind, struct prelude *prelude)
{
	CUfunction func = NULL;
	int r;

	if (o->ops->module_function(&func, o->module, prelude_name(kind)))
		return -EIO;
	*o->slot = (struct prelude_slot){
		.state = o->words, .flag = o->words + 4, .first = TRY_NUMBER, .run = TRY_NUMBER};
	r = trial_launch(o->ops, func, o->stream, &o->trial);
	prelude->entry[kind] = o->trial.entry;
	return r;
}

static int opening_run(struct opening *o, struct prelude *prelude)
{
	int r = words_prepare(o->ops, o->words, o->stream);

	if (r == 0)
		r = opening_try(o, PRELUDE_GATE, prelude);
	if (r == 0)
		r = opening_try(o, PRELUDE_CLAIM, prelude);
	return r == 0 ? words_check(o->ops, o->words, o->stream) : r;
}

int prelude_open(const struct driver_ops *ops, int cc_major, int cc_minor,
		 struct prelude_slot *slot, uint64_t slot_address, struct prelude *ret_prelude)
{
	struct opening o = {.ops = ops,
			    .slot = slot,
			    .trial = {.slot_address = slot_address, .cc_major = cc_major}};
	struct prelude prelude = {{0}};
	size_t bytes = 0;
	const void *image = prelude_image(cc_major, cc_minor, &bytes);
	int r = -EIO;

	if (!image)
		return -ENOENT;
	if (ops->module_load(&o.module, image))
		return -EIO;
	if (!ops->stream_create(&o.stream, CU_STREAM_NON_BLOCKING) &&
	    !ops->mem_alloc(&o.words, 2 * sizeof(uint32_t)))
		r = opening_run(&o, &prelude);
	if (o.words)
		(void)ops->mem_free(o.words);
	if (o.stream)
		(void)ops->stream_destroy(o.stream);
	if (r < 0) {
		(void)ops->module_unload(o.module);
		return r;
	}
	*ret_prelude = prelude;
	return 0;
}
