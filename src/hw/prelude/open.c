/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading the preludes into a context, and learning where they lie.
 *
 * No driver call tells the address of a kernel's code. The descriptor of a launch does: each
 * prelude is launched once as a kernel of its own, of one block, with bank 6 bound to a slot that
 * makes it leave, and the hook reads PROGRAM_ADDRESS. A gate leaves because its range is empty; a
 * claim because its second epoch has moved. The word, the header and the report that a claim leaves
 * behind prove that it read all of its slot: an image that does not work on a device is found out
 * here, before any kernel of the program goes through it. The reader is not tried here: in which
 * stream it may run is its user's affair (shim/split/code_read.c).
 *
 * What is not tried here is the jump into a kernel.
 *
 * Tested by tests/programs/preludes.c on hardware, and tests/integration on the simulated GPU.
 */
#include "hw/prelude/prelude.h"

#include <errno.h>
#include <string.h>

#include "hw/driver.h"
#include "hw/qmd.h"
#include "hw/qmd_allow.h"
#include "hw/tools_hook.h"

/*
 * The words of the trials. A claim finds `calm` in its first epoch, and one more in the second. The
 * report goes into the slot, where only gates look.
 */
enum {
	AT_TOLD,
	AT_DISARM,
	AT_STATE,                /* [2] */
	AT_EPOCH = AT_STATE + 2, /* [2] */
	NR_WORDS = AT_EPOCH + 2
};

#define CALM 5u

/* The first compute capability with clusters. */
#define PRELUDE_CLUSTER_MAJOR 9
#define PRELUDE_READER_NAME   "lithos_reader"

/* What the calling thread's next launch is: NULL, or a trial of ours. */
struct trial {
	uint64_t slot_address; /* 0: the reader's launch, which is left as it is */
	uint64_t entry;        /* out: PROGRAM_ADDRESS */
	int cc_major;
	int error;
};

static _Thread_local struct trial *current_trial __attribute__((tls_model("initial-exec")));

static int trial_edit(struct trial *trial, void *qmd)
{
	const struct qmd_layout *layout = qmd_layout_of(qmd, trial->cc_major);
	struct qmd_grid grid;
	int r;

	if (!trial->slot_address)
		return 0;
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

struct opening {
	const struct driver_ops *ops;
	CUmodule module;
	CUstream stream;
	CUdeviceptr words;
	struct prelude_slot *slot;
	uint64_t slot_address;
	int cc_major;
};

/* Launches one block of a warp and waits for it. */
static int trial_launch(const struct opening *o, CUfunction func, struct trial *trial)
{
	CUresult err;

	trial->cc_major = o->cc_major;
	trial->error = -ENOTSUP; /* unless the hook is called */
	current_trial = trial;
	err = o->ops->launch(func, 1, 1, 1, 32, 1, 1, 0, o->stream, NULL, NULL);
	current_trial = NULL;
	if (err || o->ops->stream_synchronize(o->stream))
		return -EIO;
	return trial->error;
}

static int words_write(const struct opening *o)
{
	CUdeviceptr epoch = o->words + (uint64_t)AT_EPOCH * 4;

	return o->ops->memset_d32_async(o->words, 0, NR_WORDS, o->stream) ||
			       o->ops->memset_d32_async(epoch, CALM, 1, o->stream) ||
			       o->ops->memset_d32_async(epoch + 4, CALM + 1, 1, o->stream)
		       ? -EIO
		       : 0;
}

static int words_read(const struct opening *o, uint32_t ret_seen[NR_WORDS])
{
	return o->ops->memcpy_dtoh_async(ret_seen, o->words, NR_WORDS * sizeof(uint32_t),
					 o->stream) ||
			       o->ops->stream_synchronize(o->stream)
		       ? -EIO
		       : 0;
}

static int is_claim(enum prelude_kind kind)
{
	return kind == PRELUDE_CLAIM || kind == PRELUDE_CLAIM_CLUSTER;
}

/* Each claim has a number of its own, so that it must have written what is found. */
static struct prelude_slot trial_slot(const struct opening *o, enum prelude_kind kind)
{
	uint64_t epoch = o->words + (uint64_t)AT_EPOCH * 4;
	uint32_t number = PRELUDE_NUMBER_STEP * (1 + (uint32_t)kind);
	/* In its place a gate finds how many blocks may run: none. */
	uint32_t lead = is_claim(kind) ? number : 0;

	return (struct prelude_slot){.state = o->words + (uint64_t)AT_STATE * 4,
				     .flag = {epoch, epoch + 4},
				     .calm = {CALM, CALM},
				     .first = number,
				     .run = number,
				     .lead = lead,
				     .report = o->slot_address + offsetof(struct prelude_slot, lo)};
}

static int claim_check(const struct opening *o, uint32_t run)
{
	uint32_t reported = __atomic_load_n(&o->slot->lo, __ATOMIC_ACQUIRE);
	uint32_t seen[NR_WORDS] = {0};
	int r = words_read(o, seen);

	if (r < 0)
		return r;
	return seen[AT_STATE] == (run | 3) && !seen[AT_STATE + 1] && seen[AT_TOLD] == run &&
			       !seen[AT_DISARM] && reported == run && seen[AT_EPOCH] == CALM
		       ? 0
		       : -EIO;
}

static int opening_try(const struct opening *o, enum prelude_kind kind, struct prelude *prelude)
{
	struct trial trial = {.slot_address = o->slot_address};
	CUfunction func = NULL;
	int r;

	if (o->ops->module_function(&func, o->module, prelude_name(kind)))
		return -EIO;
	*o->slot = trial_slot(o, kind);
	r = trial_launch(o, func, &trial);
	if (r < 0)
		return r;
	prelude->entry[kind] = trial.entry;
	return is_claim(kind) ? claim_check(o, o->slot->run) : 0;
}

static int opening_run(const struct opening *o, struct prelude *prelude)
{
	int nr_kinds = o->cc_major < PRELUDE_CLUSTER_MAJOR ? PRELUDE_GATE_CLUSTER : PRELUDE_NR;
	int r = words_write(o);

	for (int kind = 0; r == 0 && kind < nr_kinds; kind++)
		r = opening_try(o, (enum prelude_kind)kind, prelude);
	if (r == 0 && o->ops->module_function(&prelude->reader, o->module, PRELUDE_READER_NAME))
		r = -EIO;
	return r;
}

int prelude_open(const struct driver_ops *ops, int cc_major, int cc_minor,
		 struct prelude_slot *slot, uint64_t slot_address, struct prelude *ret_prelude)
{
	struct opening o = {
		.ops = ops, .slot = slot, .slot_address = slot_address, .cc_major = cc_major};
	struct prelude prelude = {{0}, NULL};
	size_t bytes = 0;
	const void *image = prelude_image(cc_major, cc_minor, &bytes);
	int r = -EIO;

	if (!image)
		return -ENOENT;
	if (ops->module_load(&o.module, image))
		return -EIO;
	if (!ops->stream_create(&o.stream, CU_STREAM_NON_BLOCKING) &&
	    !ops->mem_alloc(&o.words, NR_WORDS * sizeof(uint32_t)))
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

CUresult prelude_read(const struct driver_ops *ops, const struct prelude *prelude,
		      const struct prelude_copy *copy, CUstream stream)
{
	struct prelude_copy kept = *copy;
	void *params[] = {&kept.from, &kept.to, &kept.nr_words};
	struct trial ours = {.slot_address = 0};
	CUresult result;

	current_trial = &ours;
	result = ops->launch(prelude->reader, 1, 1, 1, kept.nr_threads, 1, 1, 0, stream, params,
			     NULL);
	current_trial = NULL;
	return result;
}
