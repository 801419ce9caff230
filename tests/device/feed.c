/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the GPU fed with one kernel, over and over, and says when each of them was done.
 *
 * Several streams with two kernels each in flight, so that the end of one overlaps the next and the
 * GPU never waits for the program. The kernel is lk_spin: --blocks blocks of --ns, so the work of a
 * kernel is known and completed kernels measure TPC time.
 *
 * It takes part in a session (src/cli/bench/bench.h): warm, `ready`; works from `go` to `stop`;
 * result rows are the number of a kernel and when it was seen complete. While pause.NAME is there
 * it finishes what it has launched and launches nothing. With --pulse-on and --pulse-off it works
 * and rests in turns, and a word in --state is odd while it works; launch_cost --state looks at
 * that.
 */
#include "bench/tenant/session.h"
#include "prog.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_SLOTS  64
#define PER_STREAM 2
#define NS_PER_MS  1000000ll
#define LOOK_NS    (2 * NS_PER_MS)

struct feed {
	struct prog prog;
	struct session session;
	struct session_rows rows;
	CUfunction spin;
	CUstream stream[MAX_SLOTS / PER_STREAM];
	CUevent done[MAX_SLOTS];
	bool is_in_flight[MAX_SLOTS];
	unsigned int nr_slots;
	unsigned int nr_blocks;
	unsigned int nr_threads;
	uint64_t ns;
	int64_t on_ns, off_ns; /* 0: works all the time */
	int64_t nr_launched;
	_Atomic uint64_t *state; /* NULL: nobody is told */
};

static const char *text_option(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return fallback;
}

static void launch(struct feed *feed, unsigned int slot)
{
	void *params[] = {&feed->ns};
	struct prog_launch launch = {.function = feed->spin,
				     .grid = {feed->nr_blocks, 1, 1},
				     .block = {feed->nr_threads, 1, 1},
				     .stream = feed->stream[slot / PER_STREAM],
				     .params = params};
	MUST(prog_run(&launch));
	MUST(cu.EventRecord(feed->done[slot], launch.stream));
	feed->is_in_flight[slot] = true;
}

static void finish(struct feed *feed, unsigned int slot)
{
	if (!feed->is_in_flight[slot])
		return;
	MUST(cu.EventSynchronize(feed->done[slot]));
	feed->is_in_flight[slot] = false;
	CHECK(session_add(&feed->rows, feed->nr_launched, session_now(&feed->session)) == 0);
}

static void finish_all(struct feed *feed)
{
	for (unsigned int i = 0; i < feed->nr_slots; i++)
		finish(feed, i);
}

static bool is_paused(const struct feed *feed)
{
	return session_has(&feed->session, "pause");
}

static void change_state(const struct feed *feed)
{
	if (feed->state)
		atomic_fetch_add_explicit(feed->state, 1, memory_order_release);
}

static void rest(const struct feed *feed, int64_t ns)
{
	session_sleep_until(&feed->session, session_now(&feed->session) + ns);
}

/* Launches until `until_ns`, `pause` or `stop`; nothing is in flight afterwards. */
static void work(struct feed *feed, int64_t until_ns)
{
	change_state(feed);
	for (unsigned int slot = 0; session_now(&feed->session) < until_ns; slot++) {
		slot %= feed->nr_slots;
		if (session_is_stopped(&feed->session) || is_paused(feed))
			break;
		finish(feed, slot);
		feed->nr_launched++;
		launch(feed, slot);
	}
	change_state(feed);
	finish_all(feed);
}

static void feed_until_stopped(struct feed *feed)
{
	while (!session_is_stopped(&feed->session)) {
		if (is_paused(feed)) {
			rest(feed, LOOK_NS);
			continue;
		}
		work(feed, feed->on_ns ? session_now(&feed->session) + feed->on_ns : INT64_MAX);
		if (feed->off_ns)
			rest(feed, feed->off_ns);
	}
}

static void open_state(struct feed *feed, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (!CHECK(fd >= 0 && ftruncate(fd, sizeof(*feed->state)) == 0))
		return;
	void *at = mmap(NULL, sizeof(*feed->state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (CHECK(at != MAP_FAILED))
		feed->state = at;
	(void)close(fd);
}

static void open_streams(struct feed *feed)
{
	for (unsigned int i = 0; i < feed->nr_slots; i++) {
		if (i % PER_STREAM == 0)
			MUST(cu.StreamCreate(&feed->stream[i / PER_STREAM],
					     CU_STREAM_NON_BLOCKING));
		MUST(cu.EventCreate(&feed->done[i], CU_EVENT_DISABLE_TIMING));
	}
}

static bool say_ready(const struct feed *feed)
{
	FILE *file = session_create(&feed->session, "ready");
	if (!CHECK(file != NULL))
		return false;
	fprintf(file, "version sms %d\n", feed->prog.nr_sms);
	return CHECK(session_publish(&feed->session, "ready", file) == 0);
}

int main(int argc, char **argv)
{
	long nr_streams = prog_option(argc, argv, "--streams", 4);
	struct feed feed = {
		.session = {.folder = text_option(argc, argv, "--dir", NULL),
			    .name = text_option(argc, argv, "--name", "feed")},
		.nr_blocks = (unsigned int)prog_option(argc, argv, "--blocks", 2000),
		.nr_threads = (unsigned int)prog_option(argc, argv, "--threads", 1024),
		.ns = (uint64_t)prog_option(argc, argv, "--ns", 20000),
		.on_ns = prog_option(argc, argv, "--pulse-on", 0) * NS_PER_MS,
		.off_ns = prog_option(argc, argv, "--pulse-off", 0) * NS_PER_MS,
		.nr_slots = (unsigned int)nr_streams * PER_STREAM,
	};
	const char *state = text_option(argc, argv, "--state", NULL);
	if (!feed.session.folder || nr_streams < 1 || feed.nr_slots > MAX_SLOTS) {
		fprintf(stderr, "usage: feed --dir FOLDER [--name N] [--blocks N] [--ns N] "
				"[--streams 1-32] [--pulse-on MS --pulse-off MS --state FILE]\n");
		return 2;
	}
	prog_open(&feed.prog);
	MUST(cu.ModuleGetFunction(&feed.spin, feed.prog.module, "lk_spin"));
	open_streams(&feed);
	if (state)
		open_state(&feed, state);
	for (unsigned int i = 0; i < feed.nr_slots; i++)
		launch(&feed, i);
	MUST(cu.CtxSynchronize());
	memset(feed.is_in_flight, 0, sizeof(feed.is_in_flight));
	if (say_ready(&feed) && session_wait_go(&feed.session) == 0)
		feed_until_stopped(&feed);
	CHECK(session_result(&feed.session, &feed.rows) == 0);
	prog_close(&feed.prog);
	return prog_result();
}
