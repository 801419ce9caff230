/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading kernels' code.
 *
 * What is read. Only the GPU can read code, and a load from memory that is not mapped ends the
 * process, with MPS all processes. So only what control flow reaches is read, in pages of 4 KiB,
 * the smallest that a GPU maps: the page of the entry, up to its end; then, round by round, the
 * pages that instructions read so far go on to, jump to, or call. A function that may be called
 * lies in a page of its own and the pages between are left alone. Jumps through tables do not say
 * where they go: then the code is read on, page by page, to the mark that ends every kernel. What
 * jumps to before the entry, through a register, or too far is not read further: no better verdict
 * than UNSURE is to be had.
 *
 * In which stream. In the program's, in front of the launch that asked. A stream of ours would be
 * free of what is in front, but a kernel of a borrower in one more stream makes every kernel of the
 * owner's graphs 0.3 us slower under MPS, from then on: 8 % of a small model (docs/hardware.md,
 * section 9). What is in front may need something that the dispatcher has yet to launch, so copies
 * are waited for only so long. Then the launch goes whole, and the function's next one looks
 * whether they have come.
 *
 * One function is read at a time. Another one waits for its turn, which it gets when the first was
 * judged or was not launched again for 100 ms.
 *
 * The reader itself is tried first, on two words of its buffer.
 *
 * What it does badly: a kernel of straight-line code takes a round trip of the GPU for each page,
 * some 10 for a large matrix product; up to 512 for 2 MiB.
 *
 * Tested by tests/unit/code_reader.c: memory around the code that may not be touched.
 */
#include "shim/split/code_read.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "hw/code/gang.h"
#include "hw/code/graph.h"
#include "shim/tenant.h"

#define PAGE_BYTES 4096u
#define NR_PAGES   (CODE_MAX_BYTES / PAGE_BYTES)
#define NR_INSNS   (CODE_MAX_BYTES / INSN_BYTES)
#define MAX_BATCH  16u  /* pages copied before they are waited for */
#define NR_THREADS 256u /* of the block that copies */
#define POLL_NS    20000u
#define IDLE_NS    100000000u

/* Of opcodes that no row of ops.def knows: those of control flow come before those of memory. */
#define FIRST_MEMORY_OPCODE 0x160u

#define MARK_QUEUED  1u
#define MARK_VISITED 2u

/* Pages and instructions are counted from the page of the entry. */
struct reading {
	struct code_place place;
	uint64_t used_ns;    /* when last */
	uint64_t base;       /* address of the entry's page */
	uint32_t entry;      /* instruction */
	uint32_t nr_pages;   /* up to the last that was read */
	uint32_t nr_waiting; /* of the queue's first: in pages that are wanted */
	uint32_t nr_queued;  /* with those */
	int cc_major, cc_minor;
	uint8_t has_table; /* some jump goes through a table */
	uint8_t is_lost;   /* control flow cannot be followed */
	uint8_t has[NR_PAGES];
	uint8_t wants[NR_PAGES];
	uint8_t marks[NR_INSNS];
	uint32_t queue[NR_INSNS]; /* each instruction at most once */
	uint8_t code[CODE_MAX_BYTES];
};

enum trust {
	UNTRIED,
	IN_TRIAL, /* the batch under way is the trial's */
	TRUSTED,
	BROKEN /* nothing is read any more */
};

static struct {
	enum trust trust;
	CUevent event; /* behind the batch under way */
	uint32_t is_under_way;
	uint32_t nr; /* its pages, one a slot of the buffer */
	uint32_t pages[MAX_BATCH];
	struct reading *reading; /* NULL, or what was begun */
} job;

static const uint64_t trial_words[2] = {0x6c6974686f730001, 0x9e3779b97f4a7c15};

/* --- copies ----------------------------------------------------------------------------------- */

enum arrival {
	NOT_YET,
	HAS_COME,
	HAS_FAILED
};

static enum arrival batch_look(void)
{
	CUresult result = tenant.ops.event_query(job.event);

	if (result == CUDA_ERROR_NOT_READY)
		return NOT_YET;
	job.is_under_way = 0;
	return result == CUDA_SUCCESS ? HAS_COME : HAS_FAILED;
}

static enum arrival batch_wait(uint64_t end_ns)
{
	static const struct timespec pause = {.tv_nsec = POLL_NS};
	enum arrival arrival;

	while ((arrival = batch_look()) == NOT_YET && time_before(clock_now_ns(), end_ns))
		(void)nanosleep(&pause, NULL);
	return arrival;
}

/* Behind the copies. When that fails nobody can tell when the buffer will be left alone: never
 * again. */
static int batch_close(CUstream stream)
{
	if (!job.event || tenant.ops.event_record(job.event, stream)) {
		job.trust = BROKEN;
		return 0;
	}
	job.is_under_way = 1;
	return 1;
}

static int copy(const struct code_reader *reader, uint64_t from, uint64_t to, uint32_t nr_bytes,
		CUstream stream)
{
	const struct prelude_copy what = {.from = from,
					  .to = to,
					  .nr_words = nr_bytes / sizeof(uint64_t),
					  .nr_threads = NR_THREADS};

	return !prelude_read(&tenant.ops, reader->prelude, &what, stream);
}

/* The last two words of the buffer to the first. */
static int trial_begin(const struct code_reader *reader, CUstream stream)
{
	uint64_t *last = reader->buffer + reader->buffer_bytes / sizeof(uint64_t) - 2;
	uint64_t last_at = reader->buffer_at + reader->buffer_bytes - sizeof(trial_words);

	memset(reader->buffer, 0, sizeof(trial_words));
	memcpy(last, trial_words, sizeof(trial_words));
	job.nr = 0;
	job.trust = IN_TRIAL;
	if (!copy(reader, last_at, reader->buffer_at, sizeof(trial_words), stream)) {
		job.trust = BROKEN;
		return 0;
	}
	return batch_close(stream);
}

/* The entry's page is read from the entry on. */
static uint32_t skip_of(const struct reading *r, uint32_t page)
{
	return page ? 0 : r->entry * INSN_BYTES;
}

static int page_copy(const struct reading *r, const struct code_reader *reader, uint32_t page,
		     uint32_t slot, CUstream stream)
{
	uint32_t skip = skip_of(r, page);

	return copy(reader, r->base + (uint64_t)page * PAGE_BYTES + skip,
		    reader->buffer_at + (uint64_t)slot * PAGE_BYTES + skip, PAGE_BYTES - skip,
		    stream);
}

/* Of the pages that are wanted, as many as there is room for. */
static int batch_begin(const struct reading *r, const struct code_reader *reader, CUstream stream)
{
	size_t room = reader->buffer_bytes / PAGE_BYTES;
	uint32_t most = room < MAX_BATCH ? (uint32_t)room : MAX_BATCH;
	int is_good = 1;

	job.nr = 0;
	for (uint32_t page = 0; page < NR_PAGES && job.nr < most && is_good; page++) {
		if (!r->wants[page])
			continue;
		is_good = page_copy(r, reader, page, job.nr, stream);
		job.pages[job.nr++] = page;
	}
	/* Also after an error: those before it write to the buffer. */
	return batch_close(stream) && is_good;
}

static void batch_take(struct reading *r, const struct code_reader *reader)
{
	for (uint32_t i = 0; i < job.nr; i++) {
		uint32_t page = job.pages[i], skip = skip_of(r, page);

		memcpy(r->code + (size_t)page * PAGE_BYTES + skip,
		       (const uint8_t *)reader->buffer + (size_t)i * PAGE_BYTES + skip,
		       PAGE_BYTES - skip);
		r->has[page] = 1;
		r->wants[page] = 0;
		if (page >= r->nr_pages)
			r->nr_pages = page + 1;
	}
	job.nr = 0;
}

/* --- where control flow goes ------------------------------------------------------------------ */

static uint32_t page_of(uint32_t index)
{
	return index / (PAGE_BYTES / INSN_BYTES);
}

static void queue_insn(struct reading *r, int64_t index)
{
	if (index < r->entry || index >= (int64_t)NR_INSNS) {
		r->is_lost = 1;
		return;
	}
	if (!r->marks[index])
		r->queue[r->nr_queued++] = (uint32_t)index;
	r->marks[index] |= MARK_QUEUED;
}

/*
 * Notes where an instruction goes; returns whether also to the next. The same rules as the judge's
 * (hw/code/graph.c), but where that looks on behind what it cannot follow, this one stops.
 */
static int follow(struct reading *r, const struct insn *insn, uint32_t index)
{
	switch (insn->op->class) {
	case OP_BRANCH:
		queue_insn(r, insn_target(insn, index));
		return !insn_is_unconditional(insn);
	case OP_CALL:
		if (insn_form(insn) == 4)
			queue_insn(r, insn_target(insn, index));
		else
			r->is_lost = 1;
		return !r->is_lost;
	case OP_SWITCH:
		r->has_table = 1;
		return !insn_is_unconditional(insn);
	case OP_EXIT:
	case OP_RETURN:
		return !insn_is_unconditional(insn);
	case OP_INDIRECT:
		r->is_lost = 1;
		return 0;
	case OP_UNKNOWN:
		r->is_lost |= insn_opcode(insn) < FIRST_MEMORY_OPCODE;
		return !r->is_lost;
	default:
		return 1;
	}
}

static void follow_from(struct reading *r, uint32_t index)
{
	while (!(r->marks[index] & MARK_VISITED)) {
		struct insn insn = insn_read(r->code, index, r->cc_major);

		r->marks[index] |= MARK_VISITED;
		if (!follow(r, &insn, index))
			return;
		index++;
		if (index >= NR_INSNS || !r->has[page_of(index)]) {
			queue_insn(r, index);
			return;
		}
	}
}

/* All that can be followed in the pages that are there; what is left waits for others. */
static void follow_all(struct reading *r)
{
	while (r->nr_queued > r->nr_waiting && !r->is_lost) {
		uint32_t index = r->queue[--r->nr_queued];

		if (r->has[page_of(index)]) {
			follow_from(r, index);
			continue;
		}
		r->wants[page_of(index)] = 1;
		r->queue[r->nr_queued++] = r->queue[r->nr_waiting];
		r->queue[r->nr_waiting++] = index;
	}
}

static struct code_input input_of(const struct reading *r)
{
	return (struct code_input){
		.bytes = r->code + (size_t)r->entry * INSN_BYTES,
		.nr_bytes = (size_t)r->nr_pages * PAGE_BYTES - (size_t)r->entry * INSN_BYTES,
		.cc_major = r->cc_major,
		.cc_minor = r->cc_minor,
	};
}

/* Is the mark that ends the kernel in the pages before the first gap? Else that one is part of
 * it. */
static void want_end(struct reading *r)
{
	struct code_input input = input_of(r);
	struct graph graph;
	uint32_t gap = 0, source;

	while (gap < NR_PAGES && r->has[gap])
		gap++;
	if (gap == NR_PAGES || graph_build(&graph, &input) < 0) {
		r->is_lost = 1;
	} else {
		graph.nr_insns = (size_t)gap * (PAGE_BYTES / INSN_BYTES) - r->entry;
		r->wants[gap] = graph_scan(&graph, &source) < 0;
	}
	if (gap < NR_PAGES)
		graph_free(&graph);
}

static int is_wanting(const struct reading *r)
{
	return memchr(r->wants, 1, sizeof(r->wants)) != NULL;
}

static enum code_state judge(const struct reading *r)
{
	struct code_input input = input_of(r);
	struct code_answer answer;

	if (code_find_gang(&input, &answer) < 0)
		return CODE_STATE_UNSURE;
	if (answer.verdict == CODE_GANG)
		return CODE_STATE_GANG;
	return answer.verdict == CODE_FREE && !r->is_lost ? CODE_STATE_FREE : CODE_STATE_UNSURE;
}

/* --- one function at a time ------------------------------------------------------------------- */

/* Architectures that the judge does not know are not followed either. */
static int can_read(const struct code_reader *reader)
{
	struct code_input nothing = {.cc_major = reader->cc_major, .cc_minor = reader->cc_minor};
	struct code_answer answer;

	return reader->prelude->reader && reader->buffer_bytes >= PAGE_BYTES &&
	       code_find_gang(&nothing, &answer) == 0;
}

static struct reading *reading_new(const struct code_reader *reader, const struct code_place *place)
{
	/* 3 MiB, of which only what is read gets memory. */
	struct reading *r = can_read(reader) ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return NULL;
	r->place = *place;
	r->cc_major = reader->cc_major;
	r->cc_minor = reader->cc_minor;
	r->base = place->entry & ~(uint64_t)(PAGE_BYTES - 1);
	r->entry = (uint32_t)(place->entry - r->base) / INSN_BYTES;
	queue_insn(r, r->entry);
	follow_all(r);
	return r;
}

static void reading_drop(void)
{
	free(job.reading);
	job.reading = NULL;
	job.nr = 0;
}

/* Of one generation no two functions have the same place. */
static int is_of(const struct reading *r, const struct code_place *place)
{
	return r->place.at == place->at && r->place.generation == place->generation &&
	       r->place.word == place->word;
}

/* 1 when another function's reading must not be disturbed. */
static int is_busy_with_other(const struct code_place *place)
{
	const struct reading *r = job.reading;

	if (!r || is_of(r, place))
		return 0;
	/* Its copies write to the buffer until they have ended. */
	if (job.is_under_way && batch_look() == NOT_YET)
		return 1;
	return code_is_current(&r->place) && clock_now_ns() - r->used_ns < IDLE_NS;
}

/* Takes what has come; 0 when it is of no use. */
static int arrival_take(const struct code_reader *reader, struct reading *r)
{
	if (job.trust == IN_TRIAL) {
		int is_right = !memcmp(reader->buffer, trial_words, sizeof(trial_words));
		job.trust = is_right ? TRUSTED : BROKEN;
		return is_right;
	}
	batch_take(r, reader);
	/* All that was wanted has come: what follows from it. */
	if (is_wanting(r))
		return 1;
	r->nr_waiting = 0;
	follow_all(r);
	if (r->has_table && !is_wanting(r) && !r->is_lost)
		want_end(r);
	return 1;
}

/* Every round reads a page that was not there: at most NR_PAGES. */
static enum code_state read_on(const struct code_reader *reader, struct reading *r, CUstream stream)
{
	uint64_t end_ns = clock_now_ns() + reader->wait_ns;

	for (;;) {
		enum arrival arrival = job.is_under_way ? batch_wait(end_ns) : HAS_COME;
		if (arrival == NOT_YET)
			return CODE_STATE_SEEN;
		if (job.trust == BROKEN || arrival == HAS_FAILED || !arrival_take(reader, r))
			return CODE_STATE_UNSURE;
		if (r->is_lost || !is_wanting(r))
			return judge(r);
		if (!(job.trust == UNTRIED ? trial_begin(reader, stream)
					   : batch_begin(r, reader, stream)))
			return CODE_STATE_UNSURE;
	}
}

void code_read_open(void)
{
	if (tenant.ops.event_create(&job.event, CU_EVENT_DISABLE_TIMING))
		job.event = NULL;
}

enum code_state code_read(const struct code_reader *reader, CUfunction func, CUstream stream)
{
	struct code_place place;
	enum code_state state = CODE_STATE_UNSURE;

	if (!code_is_seen(func, &place) || is_busy_with_other(&place))
		return code_state_of(func);
	if (!job.reading || !is_of(job.reading, &place)) {
		reading_drop();
		job.reading = reading_new(reader, &place);
	}
	if (job.reading) {
		state = read_on(reader, job.reading, stream);
		job.reading->used_ns = clock_now_ns();
	}
	if (state != CODE_STATE_SEEN) {
		reading_drop();
		code_judged(&place, state);
	}
	return code_state_of(func);
}
