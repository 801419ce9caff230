/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels' code: where it lies, and whether its blocks wait for one another.
 *
 * The table. 4096 places, open addressing, eight tries; read without a lock, as every long launch asks.
 * A key is a hash of handle and generation, and for one generation no two handles share one. A place's
 * word holds entry point, state, and seven bits of the generation; so a word that is read after its
 * place went to another generation is seen to be foreign, unless 128 flushes lie between the two
 * loads. Places of the current generation are never taken over: a wrong "free" would hang a kernel, and
 * a function without a place is merely launched whole. A handle with two entry points was used again
 * without a flush; which code a launch would run is not known then, so it is UNSURE.
 *
 * Reading. Only the GPU can read code, and a load from memory that is not mapped ends the process, with
 * MPS all processes. So only what control flow reaches is read, in pages of 4 KiB, the smallest that
 * a GPU maps: the page of the entry, up to its end; then, round by round, the pages that instructions
 * read so far go on to, jump to, or call. A function that may be called lies in a page of its own
 * and the pages between are left alone. Jumps through tables do not say where they go: then the code
 * is read on, page by page, to the mark that ends every kernel. What jumps to before the entry,
 * through a register, or too far is not read further: no better verdict than UNSURE is to be had.
 *
 * What it does badly: a kernel of straight-line code takes a round trip of the GPU for each page,
 * some 10 for a large matrix product, each waiting for room for one block; up to 512 for 2 MiB.
 *
 * Tested by tests/unit/code_reader.c: memory around the code that may not be touched.
 */
#include "shim/split/code.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "hw/code/graph.h"
#include "shim/tenant.h"

#define PLACES   4096u /* power of two */
#define TRIES    8u
#define NO_PLACE UINT32_MAX
#define KEY_BUSY 1u /* its word is being written */

/* A word: bits 0-3 enum code_state, 4-56 entry point, 57-63 generation. 0 = never used. */
#define STATE_MASK  0xfull
#define ENTRY_MASK  0x01fffffffffffff0ull
#define STAMP_SHIFT 57

#define PAGE_BYTES 4096u
#define NR_PAGES   (CODE_MAX_BYTES / PAGE_BYTES)
#define NR_INSNS   (CODE_MAX_BYTES / INSN_BYTES)
#define MAX_BATCH  16u  /* pages copied before the stream is waited for */
#define NR_THREADS 256u /* of the block that copies */

/* Of opcodes that no row of ops.def knows: those of control flow come before those of memory. */
#define FIRST_MEMORY_OPCODE 0x160u

static struct {
	_Atomic uint64_t generation;
	struct {
		_Atomic uint64_t key; /* 0 = free */
		_Atomic uint64_t word;
	} place[PLACES];
} table;

/* --- table -------------------------------------------------------------------------------------- */

static uint64_t generation_now(void)
{
	return atomic_load_explicit(&table.generation, memory_order_acquire);
}

/* Of one generation: different handles, different keys, but for the two that stand for 0 and 1. */
static uint64_t key_of(CUfunction func, uint64_t generation)
{
	uint64_t key = hash_u64((uint64_t)(uintptr_t)func ^ hash_u64(generation + 1));

	return key > KEY_BUSY ? key : key + 2;
}

static uint64_t stamp_of(uint64_t generation)
{
	return generation << STAMP_SHIFT;
}

static int is_of(uint64_t word, uint64_t generation)
{
	return word && word >> STAMP_SHIFT == stamp_of(generation) >> STAMP_SHIFT;
}

static enum code_state state_of(uint64_t word)
{
	return (enum code_state)(word & STATE_MASK);
}

static uint64_t with_state(uint64_t word, enum code_state state)
{
	return (word & ~STATE_MASK) | (uint64_t)state;
}

static uint32_t place_at(uint64_t key, uint32_t try)
{
	return ((uint32_t)(key >> 32) + try) % PLACES;
}

/* The place, and the word in it, of a function in this generation; or NO_PLACE. */
static uint32_t find(CUfunction func, uint64_t generation, uint64_t *ret_word)
{
	uint64_t key = key_of(func, generation);

	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t at = place_at(key, i);
		/* pairs with the release in take(): the word of this key, or a later one */
		uint64_t found = atomic_load_explicit(&table.place[at].key, memory_order_acquire);
		if (!found)
			break;
		if (found != key)
			continue;

		uint64_t word = atomic_load_explicit(&table.place[at].word, memory_order_acquire);

		if (!is_of(word, generation))
			break;
		*ret_word = word;
		return at;
	}
	return NO_PLACE;
}

/* Nobody else writes to a busy place. Fails when another thread was faster. */
static void take(uint32_t at, uint64_t old_key, uint64_t key, uint64_t word)
{
	if (!atomic_compare_exchange_strong_explicit(&table.place[at].key, &old_key, KEY_BUSY,
						     memory_order_acq_rel, memory_order_relaxed))
		return;
	atomic_store_explicit(&table.place[at].word, word, memory_order_release);
	/* pairs with the acquire in find(): the word must be there first */
	atomic_store_explicit(&table.place[at].key, key, memory_order_release);
}

/*
 * First sight of a function. All threads try the same places in the same order, and leave the function
 * to its next launch when they meet one that is busy: so it never gets two. Who comes here late, a
 * flush in between, may take the place of one function of the new generation; its next launch notes it
 * again.
 */
static __attribute__((noinline)) void add_slow(uint64_t key, uint64_t generation, uint64_t word)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		uint32_t at = place_at(key, i);
		uint64_t found = atomic_load_explicit(&table.place[at].key, memory_order_acquire);
		if (found == key || found == KEY_BUSY)
			return;

		uint64_t old = atomic_load_explicit(&table.place[at].word, memory_order_acquire);

		if (generation != generation_now())
			return;
		if (!found || !is_of(old, generation)) {
			take(at, found, key, word);
			return;
		}
	}
}

/* Only from what is still known: a flush or another finding that came first stands. */
static void change(uint32_t at, uint64_t word, enum code_state state)
{
	(void)atomic_compare_exchange_strong_explicit(&table.place[at].word, &word,
						      with_state(word, state), memory_order_acq_rel,
						      memory_order_relaxed);
}

enum code_state code_state_of(CUfunction func)
{
	uint64_t word;

	return find(func, generation_now(), &word) == NO_PLACE ? CODE_STATE_UNSEEN : state_of(word);
}

void code_note_entry(CUfunction func, uint64_t entry)
{
	uint64_t generation = generation_now(), word;
	uint32_t at = find(func, generation, &word);
	enum code_state state = (entry & ~ENTRY_MASK) ? CODE_STATE_UNSURE : CODE_STATE_SEEN;

	if (!entry)
		return;
	if (at == NO_PLACE)
		add_slow(key_of(func, generation), generation,
			 stamp_of(generation) | (entry & ENTRY_MASK) | (uint64_t)state);
	else if ((word & ENTRY_MASK) != (entry & ENTRY_MASK) && state_of(word) != CODE_STATE_GANG)
		change(at, word, CODE_STATE_UNSURE);
}

void code_is_gang(CUfunction func)
{
	uint64_t generation = generation_now(), word;
	uint32_t at = find(func, generation, &word);

	while (at != NO_PLACE && state_of(word) != CODE_STATE_GANG) {
		change(at, word, CODE_STATE_GANG);
		at = find(func, generation, &word);
	}
}

void code_flush(void)
{
	(void)atomic_fetch_add_explicit(&table.generation, 1, memory_order_acq_rel);
}

/* --- reading ------------------------------------------------------------------------------------ */

#define MARK_QUEUED  1u
#define MARK_VISITED 2u

/* Pages and instructions are counted from the page of the entry. */
struct reading {
	const struct code_reader *reader;
	uint64_t base;       /* address of the entry's page */
	uint32_t entry;      /* instruction */
	uint32_t nr_pages;   /* up to the last that was read */
	uint32_t nr_waiting; /* of the queue's first: in pages that are wanted */
	uint32_t nr_queued;  /* with those */
	uint8_t has_table;   /* some jump goes through a table */
	uint8_t is_lost;     /* control flow cannot be followed */
	uint8_t has[NR_PAGES];
	uint8_t wants[NR_PAGES];
	uint8_t marks[NR_INSNS];
	uint32_t queue[NR_INSNS]; /* each instruction at most once */
	uint8_t code[CODE_MAX_BYTES];
};

static uint32_t page_of(uint32_t index)
{
	return index / (PAGE_BYTES / INSN_BYTES);
}

/* Waits for the copies, then takes them out of the buffer. */
static int batch_end(struct reading *r, const uint32_t *pages, uint32_t nr)
{
	if (tenant.ops.stream_synchronize(r->reader->stream))
		return 0;
	for (uint32_t i = 0; i < nr; i++) {
		uint32_t skip = pages[i] ? 0 : r->entry * INSN_BYTES;

		memcpy(r->code + (size_t)pages[i] * PAGE_BYTES + skip,
		       (const uint8_t *)r->reader->buffer + (size_t)i * PAGE_BYTES + skip,
		       PAGE_BYTES - skip);
		r->has[pages[i]] = 1;
		r->wants[pages[i]] = 0;
		if (pages[i] >= r->nr_pages)
			r->nr_pages = pages[i] + 1;
	}
	return 1;
}

/* The entry's page is read from the entry on. */
static int batch_copy(const struct reading *r, uint32_t page, uint32_t slot)
{
	uint32_t skip = page ? 0 : r->entry * INSN_BYTES;
	uint64_t from = r->base + (uint64_t)page * PAGE_BYTES + skip;
	uint64_t to = r->reader->buffer_at + (uint64_t)slot * PAGE_BYTES + skip;
	uint32_t nr_words = (PAGE_BYTES - skip) / sizeof(uint64_t);
	void *params[] = {&from, &to, &nr_words};

	return !tenant.ops.launch(r->reader->prelude->reader, 1, 1, 1, NR_THREADS, 1, 1, 0,
				  r->reader->stream, params, NULL);
}

static int read_wanted(struct reading *r)
{
	size_t room = r->reader->buffer_bytes / PAGE_BYTES;
	uint32_t pages[MAX_BATCH], nr = 0;
	uint32_t most = room < MAX_BATCH ? (uint32_t)room : MAX_BATCH;
	int is_good = most > 0;

	for (uint32_t page = 0; page < NR_PAGES && is_good; page++) {
		if (!r->wants[page])
			continue;
		is_good = batch_copy(r, page, nr);
		pages[nr++] = page;
		if (is_good && nr == most) {
			is_good = batch_end(r, pages, nr);
			nr = 0;
		}
	}
	/* Also after an error: the buffer must be left alone by then. */
	if (nr && !batch_end(r, pages, nr))
		is_good = 0;
	r->nr_waiting = 0;
	return is_good;
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
		struct insn insn = insn_read(r->code, index, r->reader->cc_major);

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

static struct code_input input_of(const struct reading *r, uint32_t nr_pages)
{
	return (struct code_input){
		.bytes = r->code + (size_t)r->entry * INSN_BYTES,
		.nr_bytes = (size_t)nr_pages * PAGE_BYTES - (size_t)r->entry * INSN_BYTES,
		.cc_major = r->reader->cc_major,
		.cc_minor = r->reader->cc_minor,
	};
}

/* Is the mark that ends the kernel in the pages before the first gap? Else that one is part of it. */
static void want_end(struct reading *r)
{
	struct code_input input = input_of(r, r->nr_pages);
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
	struct code_input input = input_of(r, r->nr_pages);
	struct code_answer answer;

	if (code_find_gang(&input, &answer) < 0)
		return CODE_STATE_UNSURE;
	if (answer.verdict == CODE_GANG)
		return CODE_STATE_GANG;
	return answer.verdict == CODE_FREE && !r->is_lost ? CODE_STATE_FREE : CODE_STATE_UNSURE;
}

static enum code_state read_and_judge(struct reading *r)
{
	queue_insn(r, r->entry);
	follow_all(r);
	/* Every round reads a page that was not there: at most NR_PAGES. */
	while (is_wanting(r) && !r->is_lost) {
		if (!read_wanted(r))
			return CODE_STATE_UNSURE;
		follow_all(r);
		if (r->has_table && !is_wanting(r) && !r->is_lost)
			want_end(r);
	}
	return judge(r);
}

/* Architectures that the judge does not know are not followed either. */
static int can_read(const struct code_reader *reader)
{
	struct code_input nothing = {.cc_major = reader->cc_major, .cc_minor = reader->cc_minor};
	struct code_answer answer;

	return reader->prelude->reader && reader->buffer_bytes >= PAGE_BYTES &&
	       code_find_gang(&nothing, &answer) == 0;
}

enum code_state code_read(const struct code_reader *reader, CUfunction func)
{
	enum code_state state = CODE_STATE_UNSURE;
	struct reading *r = NULL;
	uint64_t word;
	uint32_t at = find(func, generation_now(), &word);

	if (at == NO_PLACE || state_of(word) != CODE_STATE_SEEN)
		return code_state_of(func);
	/* 3 MiB, of which only what is read gets memory. */
	if (can_read(reader))
		r = calloc(1, sizeof(*r));
	if (r) {
		r->reader = reader;
		r->base = (word & ENTRY_MASK) & ~(uint64_t)(PAGE_BYTES - 1);
		r->entry = (uint32_t)((word & ENTRY_MASK) - r->base) / INSN_BYTES;
		state = read_and_judge(r);
	}
	free(r);
	change(at, word, state);
	return code_state_of(func);
}
