/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels' code is read and judged without a load from memory that is not the kernel's: the fake
 * GPU copies from memory whose other pages may not be touched, so one page too many ends the test.
 * And what is known of a function stays its own: other functions, functions of other generations,
 * and threads. Copies that do not come are not waited for: the next launch looks again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "code_corpus.h"
#include "shim/split/code_read.h"
#include "shim/tenant.h"

#define PAGE       4096u
#define MEMORY     ((size_t)4 << 20)
#define FUNC(i)    ((CUfunction)(uintptr_t)(0x7f0000000000 + (uint64_t)(i)*0x1a0))
#define READER     FUNC(0xabcdef)
#define NR_PENDING 64
#define WAIT_NS    1000000u

struct tenant tenant;

/* --- a GPU ------------------------------------------------------------------------------------ */

struct copy {
	const uint64_t *from;
	uint64_t *to;
	uint32_t nr_words;
};

static struct {
	uint8_t *memory; /* no page of it may be touched but those that a test opens */
	struct copy pending[NR_PENDING];
	uint32_t nr_pending;
	uint32_t nr_launches, nr_waits;
	size_t nr_bytes;
	uint32_t fail_launch, fail_record, fail_wait; /* the n-th; 0 = none */
	int is_stuck;                                 /* what is in front does not end */
	int is_lying;                                 /* copies other words */
	void (*on_wait)(void);
} gpu;

static CUstream const stream = (CUstream)(uintptr_t)0x5700;
static CUevent const event = (CUevent)(uintptr_t)0xe7e7;
static uint64_t *buffer;

/* As the real one: nothing is copied at once. */
/* NOLINTNEXTLINE(readability-function-size): the driver's signature */
static CUresult fake_launch(CUfunction func, unsigned int gx, unsigned int gy, unsigned int gz,
			    unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			    CUstream where, void **params, void **extra)
{
	struct copy copy;

	assert_ptr_equal(func, READER);
	assert_true(gx == 1 && gy == 1 && gz == 1 && bx > 0 && bx <= 1024 && by == 1 && bz == 1);
	assert_true(shared == 0 && where == stream && !extra);
	if (++gpu.nr_launches == gpu.fail_launch)
		return CUDA_ERROR_LAUNCH_FAILED;
	memcpy(&copy.from, params[0], sizeof(copy.from));
	memcpy(&copy.to, params[1], sizeof(copy.to));
	memcpy(&copy.nr_words, params[2], sizeof(copy.nr_words));
	assert_true(gpu.nr_pending < NR_PENDING);
	gpu.pending[gpu.nr_pending++] = copy;
	gpu.nr_bytes += copy.nr_words * sizeof(uint64_t);
	return CUDA_SUCCESS;
}

static CUresult fake_event_create(CUevent *ret_event, unsigned int flags)
{
	assert_int_equal(flags, CU_EVENT_DISABLE_TIMING);
	*ret_event = event;
	return CUDA_SUCCESS;
}

static CUresult fake_event_record(CUevent what, CUstream where)
{
	assert_true(what == event && where == stream);
	if (gpu.fail_record && !--gpu.fail_record)
		return CUDA_ERROR_LAUNCH_FAILED;
	gpu.nr_waits++;
	return CUDA_SUCCESS;
}

static CUresult fake_event_query(CUevent what)
{
	assert_ptr_equal(what, event);
	if (gpu.is_stuck)
		return CUDA_ERROR_NOT_READY;
	if (gpu.on_wait)
		gpu.on_wait();
	for (uint32_t i = 0; i < gpu.nr_pending; i++) {
		memcpy(gpu.pending[i].to, gpu.pending[i].from,
		       gpu.pending[i].nr_words * sizeof(uint64_t));
		*gpu.pending[i].to ^= (uint64_t)gpu.is_lying;
	}
	gpu.nr_pending = 0;
	return gpu.nr_waits == gpu.fail_wait ? CUDA_ERROR_LAUNCH_FAILED : CUDA_SUCCESS;
}

static void close_memory(void)
{
	assert_int_equal(mprotect(gpu.memory, MEMORY, PROT_NONE), 0);
}

static void open_memory(size_t at, size_t nr_bytes)
{
	size_t first = at / PAGE * PAGE;

	assert_int_equal(
		mprotect(gpu.memory + first, at + nr_bytes - first, PROT_READ | PROT_WRITE), 0);
}

static int setup(void **state)
{
	(void)state;
	gpu.memory = mmap(NULL, MEMORY, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffer = aligned_alloc(PAGE, 64 * 1024);
	tenant.ops.launch = fake_launch;
	tenant.ops.event_create = fake_event_create;
	tenant.ops.event_record = fake_event_record;
	tenant.ops.event_query = fake_event_query;
	code_read_open();
	return gpu.memory == MAP_FAILED || !buffer;
}

static int teardown(void **state)
{
	(void)state;
	free(buffer);
	return munmap(gpu.memory, MEMORY);
}

static const struct prelude prelude = {.reader = READER};

static struct code_reader reader_of(int arch, size_t buffer_bytes)
{
	return (struct code_reader){
		.prelude = &prelude,
		.buffer = buffer,
		.buffer_at = (uint64_t)(uintptr_t)buffer,
		.buffer_bytes = buffer_bytes,
		.wait_ns = WAIT_NS,
		.cc_major = arch / 10,
		.cc_minor = arch % 10,
	};
}

/* Reads a function of a new generation whose code lies there. */
static enum code_state state_at(const struct code_reader *reader, size_t at)
{
	code_flush();
	gpu.nr_launches = 0;
	gpu.nr_waits = 0;
	gpu.nr_bytes = 0;
	code_note_entry(FUNC(1), (uint64_t)(uintptr_t)gpu.memory + at);
	assert_int_equal(code_state_of(FUNC(1)), CODE_STATE_SEEN);
	return code_read(reader, FUNC(1), stream);
}

/* --- code ------------------------------------------------------------------------------------- */

/* On Ampere. */
static const uint64_t nop[2] = {0x7918, 0x000fc00000000000};
static const uint64_t leave[2] = {0x794d, 0x000fea0003800000};

static void put(size_t at, const uint64_t insn[2])
{
	memcpy(gpu.memory + at, insn, 16);
}

/* A branch (0x7947) or call (0x7944). */
static void put_jump(size_t at, uint64_t opcode, size_t target)
{
	uint64_t distance = (uint64_t)((int64_t)target - (int64_t)at - 16) / 16 * 4;
	uint64_t insn[2] = {opcode | distance << 34,
			    0x000fea0003800000 | ((distance >> 30) & 0x3ffff)};

	put(at, insn);
}

static void put_nops(size_t at, size_t end)
{
	for (; at < end; at += 16)
		put(at, nop);
}

/* Words up to the last that control flow can reach: without padding, and without the mark that ends
 * a kernel, but where a jump through a table makes the reader look for it. */
static uint32_t words_reached(const struct corpus_kernel *kernel)
{
	uint32_t nr = kernel->nr_words;

	while (nr > 2 && (kernel->words[nr - 2] & 0xfff) == 0x918)
		nr -= 2;
	if (!strstr(kernel->name, "switch") && (kernel->words[nr - 2] & 0xfff) == 0x947)
		nr -= 2;
	return nr;
}

static struct corpus_kernel *kernel_named(int arch, const char *name)
{
	struct corpus_kernel *kernel = malloc(sizeof(*kernel));
	FILE *file = corpus_open(arch);
	int is_found = 0;

	assert_non_null(kernel);
	assert_non_null(file);
	while (!is_found && corpus_next(file, kernel))
		is_found = strcmp(kernel->name, name) == 0;
	(void)fclose(file);
	assert_true(is_found);
	return kernel;
}

/* Opens no page but those the kernel reaches when it lies there. */
static void put_kernel(size_t at, const struct corpus_kernel *kernel)
{
	close_memory();
	open_memory(at, words_reached(kernel) * sizeof(uint64_t));
	memcpy(gpu.memory + at, kernel->words, words_reached(kernel) * sizeof(uint64_t));
}

static enum code_state expected_of(const struct corpus_kernel *kernel)
{
	if (strcmp(kernel->verdict, "free") == 0)
		return CODE_STATE_FREE;
	return strcmp(kernel->verdict, "gang") == 0 ? CODE_STATE_GANG : CODE_STATE_UNSURE;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void check_kernel(const struct corpus_kernel *kernel, int arch, size_t at)
{
	struct code_reader reader = reader_of(arch, at % 3 ? 64 * 1024 : PAGE);
	size_t end = at + words_reached(kernel) * sizeof(uint64_t);
	enum code_state found;

	put_kernel(at, kernel);
	found = state_at(&reader, at);
	if (found != expected_of(kernel))
		print_error("sm_%d %s at 0x%zx: %d\n", arch, kernel->name, at, (int)found);
	assert_int_equal(found, expected_of(kernel));
	assert_true(gpu.nr_bytes <= (end + PAGE - 1) / PAGE * PAGE - at);
	assert_true(gpu.nr_launches <= (end + PAGE - 1) / PAGE - at / PAGE);
}

/* Near the start of a page, in its middle, near its end, and so that the code ends with a page. */
static void test_corpus(void **state)
{
	struct corpus_kernel *kernel = malloc(sizeof(*kernel));
	int count = 0;

	(void)state;
	assert_non_null(kernel);
	for (size_t i = 0; i < CORPUS_NR_ARCHS; i++) {
		FILE *file = corpus_open(corpus_archs[i]);

		assert_non_null(file);
		while (corpus_next(file, kernel)) {
			size_t bytes = words_reached(kernel) * sizeof(uint64_t);

			for (size_t at = 0; at < PAGE; at += 1360)
				check_kernel(kernel, corpus_archs[i], PAGE + at);
			check_kernel(kernel, corpus_archs[i], 2 * PAGE - 16);
			check_kernel(kernel, corpus_archs[i], 16 * PAGE - bytes);
			count++;
		}
		(void)fclose(file);
	}
	free(kernel);
	assert_true(count > 350);
}

/* The loop that waits, cut by a page's end at each of its instructions. */
static void test_loop_over_page_end(void **state)
{
	struct corpus_kernel *kernel = kernel_named(90, "gang_spin_volatile");
	size_t bytes = words_reached(kernel) * sizeof(uint64_t);

	(void)state;
	for (size_t at = 2 * PAGE - bytes; at < 2 * PAGE; at += 16)
		check_kernel(kernel, 90, at);
	free(kernel);
}

/* Code longer than the buffer, ending with a page. */
static void test_long(void **state)
{
	static const size_t buffers[] = {PAGE, 3 * PAGE, 64 * 1024};
	size_t at = PAGE + 256, end = 20 * PAGE;

	(void)state;
	close_memory();
	open_memory(at, end - at);
	put_nops(at, end);
	put(end - 16, leave);
	for (size_t i = 0; i < 3; i++) {
		struct code_reader reader = reader_of(80, buffers[i]);

		assert_int_equal(state_at(&reader, at), CODE_STATE_FREE);
		assert_int_equal(gpu.nr_bytes, end - at);
	}
}

/* A wait that comes after 70 KiB. */
static void test_gang_far_behind(void **state)
{
	struct corpus_kernel *kernel = kernel_named(80, "gang_spin_volatile");
	size_t bytes = words_reached(kernel) * sizeof(uint64_t);
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	put_kernel(18 * PAGE + 64, kernel);
	open_memory(0, 18 * PAGE + 64 + bytes);
	put_nops(0, 18 * PAGE + 64);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_GANG);
	free(kernel);
}

/* Between a branch or call and its target lie pages that are not there. */
static void test_gaps(void **state)
{
	struct corpus_kernel *kernel = kernel_named(80, "gang_spin_volatile");
	struct code_reader reader = reader_of(80, 64 * 1024);
	uint64_t guarded;

	(void)state;
	put_kernel(9 * PAGE + 512, kernel);
	open_memory(0, PAGE);
	put_nops(0, 64);
	put_jump(64, 0x7947, 9 * PAGE + 512);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_GANG);
	free(kernel);

	open_memory(30 * PAGE, PAGE);
	put_jump(64, 0x7944, 30 * PAGE + 32);
	put(80, leave);
	put(30 * PAGE + 32, leave);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_launches, 2);
	assert_int_equal(gpu.nr_waits, 2);

	/* Two targets at once: @P0 BRA, then BRA. One wait for both. */
	open_memory(20 * PAGE, PAGE);
	put(20 * PAGE, leave);
	put_jump(64, 0x7947, 20 * PAGE);
	memcpy(&guarded, gpu.memory + 64, sizeof(guarded));
	guarded &= ~(uint64_t)0xf000;
	memcpy(gpu.memory + 64, &guarded, sizeof(guarded));
	put_jump(80, 0x7947, 30 * PAGE + 32);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_launches, 3);
	assert_int_equal(gpu.nr_waits, 2);
	reader.buffer_bytes = PAGE;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_waits, 3);
}

/*
 * A jump through a table: the code is read on to the mark that ends the kernel, over pages that
 * nothing is seen to reach; a page that is called and lies behind a gap is not taken for the
 * kernel's own.
 */
static void test_table(void **state)
{
	struct corpus_kernel *kernel = kernel_named(80, "gang_spin_volatile");
	struct code_reader reader = reader_of(80, 64 * 1024);
	size_t end_mark = 3 * PAGE + 256;

	(void)state;
	close_memory();
	open_memory(0, 4 * PAGE);
	open_memory(20 * PAGE, PAGE);
	put_nops(0, 4 * PAGE);
	put_jump(32, 0x7944, 20 * PAGE + 64);
	put_jump(64, 0x7949, 0);
	put(20 * PAGE + 64, leave);
	put_jump(20 * PAGE + 80, 0x7947, 20 * PAGE + 80);
	put_jump(end_mark, 0x7947, end_mark);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_bytes, 5 * PAGE);

	/* Where it goes is not known, so a wait in it may be reached. */
	memcpy(gpu.memory + 2 * PAGE, kernel->words, words_reached(kernel) * sizeof(uint64_t));
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_bytes, 4 * PAGE);
	free(kernel);
}

static void test_not_followed(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	close_memory();
	open_memory(5 * PAGE, PAGE);
	put_nops(5 * PAGE, 6 * PAGE);
	/* To before the entry. */
	put_jump(5 * PAGE + 128, 0x7947, 5 * PAGE + 32);
	assert_int_equal(state_at(&reader, 5 * PAGE + 64), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 1);
	/* The same from the target on: an endless loop, which is nobody's wait. */
	assert_int_equal(state_at(&reader, 5 * PAGE + 32), CODE_STATE_FREE);
	/* Farther than is read. */
	put_jump(5 * PAGE + 128, 0x7947, 5 * PAGE + CODE_MAX_BYTES);
	assert_int_equal(state_at(&reader, 5 * PAGE), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 1);
}

/* Code without an end in sight is read up to the limit and no further. */
static void test_too_long(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	close_memory();
	open_memory(PAGE, CODE_MAX_BYTES);
	put_nops(PAGE, PAGE + CODE_MAX_BYTES);
	assert_int_equal(state_at(&reader, PAGE + 1024), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_bytes, CODE_MAX_BYTES - 1024);
	/* All of it is fine when it ends there. */
	put(PAGE + CODE_MAX_BYTES - 16, leave);
	assert_int_equal(state_at(&reader, PAGE + 1024), CODE_STATE_FREE);
}

static void put_two_pages(void)
{
	close_memory();
	open_memory(0, 2 * PAGE);
	put_nops(0, 2 * PAGE);
	put(2 * PAGE - 16, leave);
}

/* In a process of its own, as what is found out there is for good. */
static void in_child(void (*check)(void))
{
	int status = -1;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid) {
		check();
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
}

static void expect_unread(const struct code_reader *reader)
{
	assert_int_equal(state_at(reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 0);
}

static void check_lying(void)
{
	struct code_reader reader = reader_of(80, PAGE);

	gpu.is_lying = 1;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 1);
	gpu.is_lying = 0;
	expect_unread(&reader);
}

/* Nobody can tell when the copies before it come. */
static void check_no_event(void)
{
	struct code_reader reader = reader_of(80, PAGE);

	gpu.fail_record = 2;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 2);
	expect_unread(&reader);
}

/* The first thing that is read are two words that are known. */
static void test_trial(void **state)
{
	struct code_reader reader = reader_of(80, PAGE);

	(void)state;
	put_two_pages();
	in_child(check_lying);
	in_child(check_no_event);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_launches, 3);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_launches, 2);
}

/* A loop that waits in the first page, and FUNC(2) that ends at once in the second. */
static void put_gang_and_free(void)
{
	struct corpus_kernel *kernel = kernel_named(80, "gang_spin_volatile");

	put_kernel(0, kernel);
	open_memory(PAGE, PAGE);
	put(PAGE, leave);
	free(kernel);
}

static void note_two(void)
{
	code_note_entry(FUNC(1), (uint64_t)(uintptr_t)gpu.memory);
	code_note_entry(FUNC(2), (uint64_t)(uintptr_t)gpu.memory + PAGE);
}

/* What is in front of the copies does not end: nobody waits for it, and nothing is asked for
 * twice. */
static void test_stuck(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	put_gang_and_free();
	gpu.is_stuck = 1;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_SEEN);
	note_two();
	assert_int_equal(code_read(&reader, FUNC(1), stream), CODE_STATE_SEEN);
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_SEEN);
	assert_int_equal(gpu.nr_launches, 1);
	gpu.is_stuck = 0;
	/* It is not its turn: the other one's code has come, and is looked at when that is
	 * launched. */
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_SEEN);
	assert_int_equal(code_read(&reader, FUNC(1), stream), CODE_STATE_GANG);
	assert_int_equal(gpu.nr_launches, 1);
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_FREE);
	assert_int_equal(gpu.nr_launches, 2);
}

/* What was begun and not ended makes way: after a flush at once, else when it was not launched for
 * long. */
static void test_abandoned(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	put_gang_and_free();
	for (int is_flushed = 0; is_flushed < 2; is_flushed++) {
		gpu.is_stuck = 1;
		assert_int_equal(state_at(&reader, 0), CODE_STATE_SEEN);
		if (is_flushed)
			code_flush();
		else
			(void)usleep(110000);
		note_two();
		/* Its copies are still to come, into the same buffer. */
		assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_SEEN);
		assert_int_equal(gpu.nr_launches, 1);
		gpu.is_stuck = 0;
		assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_FREE);
		assert_int_equal(gpu.nr_launches, 2);
		assert_int_equal(code_read(&reader, FUNC(1), stream), CODE_STATE_GANG);
	}
}

static void test_failures(void **state)
{
	static const struct prelude without = {.reader = NULL};
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	put_two_pages();
	for (uint32_t nth = 1; nth <= 2; nth++) {
		gpu.fail_launch = nth;
		assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
		gpu.fail_launch = 0;
		gpu.fail_wait = nth;
		assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
		assert_int_equal(gpu.nr_waits, nth);
		gpu.fail_wait = 0;
		/* Not tried again. */
		assert_int_equal(code_read(&reader, FUNC(1), stream), CODE_STATE_UNSURE);
		assert_int_equal(gpu.nr_waits, nth);
	}
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
	reader.prelude = &without;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 0);
	reader = reader_of(60, 64 * 1024);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 0);
	reader = reader_of(80, 0);
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	assert_int_equal(gpu.nr_launches, 0);
}

/* --- the table -------------------------------------------------------------------------------- */

static void test_states(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);
	uint64_t entry = (uint64_t)(uintptr_t)gpu.memory;

	(void)state;
	put_two_pages();
	code_flush();
	assert_int_equal(code_state_of(FUNC(2)), CODE_STATE_UNSEEN);
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_UNSEEN);
	code_is_gang(FUNC(2));
	code_note_entry(FUNC(2), 0);
	assert_int_equal(code_state_of(FUNC(2)), CODE_STATE_UNSEEN);
	code_note_entry(FUNC(2), entry);
	code_note_entry(FUNC(3), entry + PAGE);
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_FREE);
	code_note_entry(FUNC(2), entry);
	assert_int_equal(code_state_of(FUNC(2)), CODE_STATE_FREE);
	assert_int_equal(code_state_of(FUNC(3)), CODE_STATE_SEEN);
	/* Found out by other means: for good. */
	code_is_gang(FUNC(2));
	code_note_entry(FUNC(2), entry + 16);
	assert_int_equal(code_read(&reader, FUNC(2), stream), CODE_STATE_GANG);
	code_is_gang(FUNC(3));
	assert_int_equal(code_state_of(FUNC(3)), CODE_STATE_GANG);
	/* A handle with two entry points, and addresses that no code can have. */
	code_note_entry(FUNC(4), entry);
	code_note_entry(FUNC(4), entry + 16);
	assert_int_equal(code_state_of(FUNC(4)), CODE_STATE_UNSURE);
	code_note_entry(FUNC(5), entry + 8);
	assert_int_equal(code_state_of(FUNC(5)), CODE_STATE_UNSURE);
	code_note_entry(FUNC(6), (uint64_t)1 << 60);
	assert_int_equal(code_state_of(FUNC(6)), CODE_STATE_UNSURE);
	code_flush();
	for (int i = 2; i <= 6; i++)
		assert_int_equal(code_state_of(FUNC(i)), CODE_STATE_UNSEEN);
}

static void flush_and_note(void)
{
	code_flush();
	code_note_entry(FUNC(1), (uint64_t)(uintptr_t)gpu.memory);
}

static void find_gang(void)
{
	code_is_gang(FUNC(1));
}

static void note_elsewhere(void)
{
	code_note_entry(FUNC(1), (uint64_t)(uintptr_t)gpu.memory + 32);
}

/* What happens while the GPU copies comes first. */
static void test_news_while_reading(void **state)
{
	struct code_reader reader = reader_of(80, 64 * 1024);

	(void)state;
	put_two_pages();
	gpu.on_wait = flush_and_note;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_SEEN);
	gpu.on_wait = code_flush;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSEEN);
	gpu.on_wait = find_gang;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_GANG);
	gpu.on_wait = note_elsewhere;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_UNSURE);
	gpu.on_wait = NULL;
	assert_int_equal(state_at(&reader, 0), CODE_STATE_FREE);
}

#define NR_SHARED 64u

static atomic_int is_over, nr_wrong;
static atomic_uint nr_read;

static uint64_t shared_entry(uint32_t i)
{
	/* Gangs are odd; their code begins with the second page. */
	return (uint64_t)(uintptr_t)gpu.memory + (i % 2 ? PAGE : 0);
}

/* Launches: notes and asks. */
static void *launcher(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; !atomic_load(&is_over); i = (i + 1) % NR_SHARED) {
		enum code_state found;

		code_note_entry(FUNC(i), shared_entry(i));
		found = code_state_of(FUNC(i));
		if (found == CODE_STATE_UNSURE ||
		    found == (i % 2 ? CODE_STATE_FREE : CODE_STATE_GANG))
			(void)atomic_fetch_add(&nr_wrong, 1);
	}
	return NULL;
}

/* Some reads apart, whenever that is in the next one. */
static void *unloader(void *arg)
{
	uint32_t seen = 0;

	(void)arg;
	while (!atomic_load(&is_over)) {
		if (atomic_load(&nr_read) - seen < 10) {
			(void)sched_yield();
			continue;
		}
		seen = atomic_load(&nr_read);
		code_flush();
	}
	return NULL;
}

/* One thread reads while others launch and unload: verdicts never go to another function. */
static void test_threads(void **state)
{
	struct corpus_kernel *kernel = kernel_named(90, "gang_spin_volatile");
	struct code_reader reader = reader_of(90, 64 * 1024);
	void *(*const bodies[])(void *) = {launcher, launcher, unloader};
	uint32_t nr_of[2] = {0};
	pthread_t threads[3];

	(void)state;
	code_flush();
	put_kernel(PAGE, kernel);
	open_memory(0, 16);
	put(0, leave);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, bodies[i], NULL), 0);
	for (uint32_t i = 0; nr_of[0] < 150 || nr_of[1] < 150; i = (i + 1) % NR_SHARED) {
		enum code_state found = code_read(&reader, FUNC(i), stream);

		nr_of[0] += found == CODE_STATE_FREE;
		nr_of[1] += found == CODE_STATE_GANG;
		atomic_store(&nr_read, nr_of[0] + nr_of[1]);
		if (found == CODE_STATE_UNSEEN)
			(void)sched_yield();
	}
	atomic_store(&is_over, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(atomic_load(&nr_wrong), 0);
	free(kernel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trial), /* first */
		cmocka_unit_test(test_corpus),
		cmocka_unit_test(test_loop_over_page_end),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_gang_far_behind),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_not_followed),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_stuck),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_news_while_reading),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
