/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preemption latency: from the moment an owner's flag is stored to the last block of the launch
 * gone, by the length of its blocks and how many it has.
 *
 *   --drains [--drain-samples N] [--drain-blocks N,N...] [--drain-block-us N,N...]
 *            [--drain-resident N] [--drain-limit-s N] [--drain-out FILE.json] [--threads N]
 *
 * One sample: a claimed launch; when its first block has said through host memory that it began,
 * and up to a block's length later, so that all phases of a block occur, the epoch is raised by a
 * stream write on a stream of high priority: the way an owner does it. A launch that gave no block
 * up was over or nearly: it does not count, and another is made. After each, every block either ran
 * once, or was given up and did not run; the last of a cell is resumed, and then each has run once.
 *
 * Time. Three events, so all stamps are of the GPU's clock: on the urgent stream one before the
 * write and one after it, on the launch's stream one after the launch. The write took effect
 * between the first two: the latency given, first to third, is too long by at most `write` (p50 in
 * the table), and by the one or two microseconds in which the GPU finishes a launch after its last
 * block. An event's own stamp is good to half a microsecond. `call` is what the CPU saw: from
 * before its calls to the return of the wait for the launch.
 *
 * How many blocks are resident decides how fast the others leave: each that leaves takes a place
 * for a moment. It is 8 an SM, or --drain-resident, unless the launch would then be over too soon
 * to be told: 4, 2 or 1. On 132 SMs 1,000 blocks of 5 us run one an SM, for 38 us. Blocks compute
 * (preludes_fma.c). All cells together take at most --drain-limit-s: what is left of it is shared
 * by the cells to come, and one that runs out of its share has fewer samples, as its row says.
 */
#include "preludes_measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LIST      16
#define NR_WARM       3
#define NR_PHASES     16
#define MIN_WAVES     4
#define MIN_RUN_US    60.0
#define MAX_WAIT_US   20e6 /* for a launch's first block */
#define TARGET_US     50.0 /* beyond one block */
#define TARGET_BLOCKS 100000u

struct list {
	size_t n;
	unsigned int item[MAX_LIST];
};

struct options {
	size_t nr_samples;
	struct list blocks, block_us;
	unsigned int nr_resident, threads;
	double limit_us;
	const char *path;
};

/* What is known of each sample that counted, in microseconds but for `left`. */
enum column {
	LATENCY,
	WRITE,
	CALL,
	LEFT,
	NR_COLUMNS
};

struct cell {
	unsigned int blocks, block_us;
	struct fma_shape shape;
	struct fma_launch fma;
	size_t nr_tried, nr_counted;
	double *column[NR_COLUMNS];
};

struct drains {
	struct options options;
	CUevent before, after, ended;
	uint32_t *counts, *words; /* pinned copies */
	FILE *out;                /* NULL: no file */
	int is_first;
};

static const char *text_option(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], name))
			return argv[i + 1];
	return fallback;
}

static struct list list_option(int argc, char **argv, const char *name, const char *fallback)
{
	const char *text = text_option(argc, argv, name, fallback);
	struct list list = {0};
	char *end;

	while (list.n < MAX_LIST) {
		list.item[list.n] = (unsigned int)strtoul(text, &end, 10);
		if (end == text || !list.item[list.n])
			break;
		list.n++;
		if (*end != ',')
			break;
		text = end + 1;
	}
	CHECK(list.n > 0);
	return list;
}

static struct options options_of(int argc, char **argv)
{
	return (struct options){
		.nr_samples = (size_t)prog_option(argc, argv, "--drain-samples", 1000),
		.blocks = list_option(argc, argv, "--drain-blocks", "1000,10000,100000,1000000"),
		.block_us = list_option(argc, argv, "--drain-block-us", "5,20,100"),
		.nr_resident = (unsigned int)prog_option(argc, argv, "--drain-resident", 8),
		.threads = (unsigned int)prog_option(argc, argv, "--threads", 64),
		.limit_us = 1e6 * (double)prog_option(argc, argv, "--drain-limit-s", 75),
		.path = text_option(argc, argv, "--drain-out", NULL),
	};
}

size_t drains_max_blocks(int argc, char **argv)
{
	struct list list = options_of(argc, argv).blocks;
	size_t most = 0;

	for (size_t i = 0; i < list.n; i++)
		most = list.item[i] > most ? list.item[i] : most;
	return most;
}

/* As many blocks an SM, up to `most`, as leave a launch that lasts until it can be told. */
static unsigned int residents(const struct cell *cell, unsigned int most)
{
	for (unsigned int nr = most; nr > 1; nr /= 2) {
		double waves = (double)cell->blocks / ((double)nr * rig.prog.nr_sms);

		if (waves >= MIN_WAVES && waves * cell->block_us >= MIN_RUN_US)
			return nr;
	}
	return 1;
}

static void wait_until_began(uint32_t number)
{
	double end = rig_now_us() + MAX_WAIT_US;

	while (fma_began() != number) {
		/* Nothing that is measured later could be right. */
		if (!CHECK(rig_now_us() < end))
			exit(PROG_FAIL);
	}
}

static void wait_us(double us)
{
	double end = rig_now_us() + us;

	while (rig_now_us() < end)
		;
}

static void tell(const struct drains *d)
{
	MUST(cu.EventRecord(d->before, rig.urgent));
	MUST(rig.ops.stream_write32(rig.urgent, rig.epoch, ++rig.value, 0));
	MUST(cu.EventRecord(d->after, rig.urgent));
}

/* How many blocks the launch gave up. All others ran once, and these not, or that is a failure. */
static size_t count_left(const struct drains *d, const struct cell *cell, uint32_t number)
{
	size_t nr_left = 0, nr_wrong = 0;

	MUST(cu.MemcpyDtoH(d->counts, rig.counts, cell->blocks * sizeof(uint32_t)));
	MUST(cu.MemcpyDtoH(d->words, rig.words + PRELUDE_HEADER_BYTES,
			   cell->blocks * sizeof(uint32_t)));
	for (size_t i = 0; i < cell->blocks; i++) {
		uint32_t has_left = d->words[i] != number;

		nr_wrong += has_left && d->words[i] != (number | 3);
		nr_left += has_left;
		nr_wrong += d->counts[i] + has_left != 1;
	}
	CHECK(nr_wrong == 0);
	return nr_left;
}

static void keep(struct cell *cell, const double values[NR_COLUMNS])
{
	for (int i = 0; i < NR_COLUMNS; i++)
		cell->column[i][cell->nr_counted] = values[i];
	cell->nr_counted++;
}

/* Returns the number of the launch. */
static uint32_t sample(const struct drains *d, struct cell *cell, size_t which)
{
	uint32_t number = rig_next_number(), reported;
	double values[NR_COLUMNS], called;

	MUST(cu.MemsetD32Async(rig.counts, 0, cell->blocks, rig.stream));
	MUST(cu.StreamSynchronize(rig.stream));
	cell->fma.number = number;
	rig_launch_claim(&cell->fma.launch, number, number, 0);
	MUST(cu.EventRecord(d->ended, rig.stream));
	wait_until_began(number);
	wait_us((double)cell->block_us * (double)(which % NR_PHASES) / NR_PHASES);
	called = rig_now_us();
	tell(d);
	reported = rig_reported();
	values[CALL] = rig_now_us() - called;
	MUST(cu.StreamSynchronize(rig.urgent));
	values[LATENCY] = gpu_us(d->before, d->ended);
	values[WRITE] = gpu_us(d->before, d->after);
	values[LEFT] = (double)count_left(d, cell, number);
	CHECK(reported == (values[LEFT] > 0 ? number : 0));
	if (which >= NR_WARM && reported)
		keep(cell, values);
	return number;
}

static void resume(const struct cell *cell, uint32_t first)
{
	rig_launch_claim(&cell->fma.launch, first, rig_next_number(), 0);
	CHECK(rig_reported() == 0);
	CHECK(prog_count_other(rig.counts, cell->blocks, 1) == 0);
}

static void measure(const struct drains *d, struct cell *cell, double limit_us)
{
	size_t wanted = d->options.nr_samples, tries = NR_WARM + 3 * wanted + 20;
	double end = rig_now_us() + limit_us;
	uint32_t number = 0;

	fma_open(&cell->shape, d->options.threads, residents(cell, d->options.nr_resident));
	fma_launch(&cell->fma, &cell->shape, cell->blocks,
		   fma_rounds(&cell->shape, cell->block_us));
	while (cell->nr_counted < wanted && cell->nr_tried < tries && rig_now_us() < end)
		number = sample(d, cell, cell->nr_tried++);
	if (number)
		resume(cell, number);
	/* A cell without a sample has measured nothing. */
	CHECK(cell->nr_counted > 0 || wanted == 0);
}

/* The value that p percent of n sorted values do not exceed; 0 of none. */
static double percentile(const double *sorted, size_t n, unsigned int p)
{
	return n ? sorted[(n * p + 99) / 100 - 1] : 0;
}

static double column_percentile(const struct cell *cell, enum column column, unsigned int p)
{
	return percentile(cell->column[column], cell->nr_counted, p);
}

static int has_target(const struct cell *cell)
{
	return cell->blocks <= TARGET_BLOCKS && cell->nr_counted > 0;
}

static int is_on_target(const struct cell *cell)
{
	return column_percentile(cell, LATENCY, 99) <= cell->block_us + TARGET_US;
}

/* Before the columns are sorted: samples are written in the order in which they were taken. */
static void write_samples(FILE *out, const struct cell *cell)
{
	fprintf(out, "  \"samples_tenths_us\": [");
	for (size_t i = 0; i < cell->nr_counted; i++)
		fprintf(out, "%s%.0f", i ? "," : "", cell->column[LATENCY][i] * 10);
	fprintf(out, "],\n");
}

static void write_summary(FILE *out, const struct cell *cell)
{
	static const char *const names[NR_COLUMNS] = {"latency_us", "write_us", "call_us", "left"};

	fprintf(out,
		"  \"block_us\": %u, \"blocks\": %u, \"threads\": %u, \"resident\": %u,\n"
		"  \"rounds\": %u, \"round_ns\": %.3f, \"tried\": %zu, \"counted\": %zu,\n",
		cell->block_us, cell->blocks, cell->shape.threads, cell->shape.nr_resident,
		cell->fma.rounds, cell->shape.round_us * 1e3, cell->nr_tried, cell->nr_counted);
	for (int i = 0; i < NR_COLUMNS; i++)
		fprintf(out, "  \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f},\n", names[i],
			column_percentile(cell, (enum column)i, 50),
			column_percentile(cell, (enum column)i, 99),
			column_percentile(cell, (enum column)i, 100));
	fprintf(out, "  \"target_p99_us\": %.1f, \"has_target\": %s, \"is_on_target\": %s\n",
		cell->block_us + TARGET_US, has_target(cell) ? "true" : "false",
		is_on_target(cell) ? "true" : "false");
}

static void print_row(const struct cell *cell)
{
	const char *verdict = !has_target(cell) ? "-" : is_on_target(cell) ? "met" : "missed";

	printf("%8u %9u %8u %6zu %7zu %9.0f %8.1f %8.1f %8.1f %-6s %5.1f %9.1f %9.1f\n",
	       cell->block_us, cell->blocks, cell->shape.nr_resident, cell->nr_tried,
	       cell->nr_counted, column_percentile(cell, LEFT, 50),
	       column_percentile(cell, LATENCY, 50), column_percentile(cell, LATENCY, 99),
	       column_percentile(cell, LATENCY, 100), verdict, column_percentile(cell, WRITE, 50),
	       column_percentile(cell, CALL, 50), column_percentile(cell, CALL, 99));
	(void)fflush(stdout);
}

static void report(struct drains *d, struct cell *cell)
{
	if (d->out) {
		fprintf(d->out, "%s\n {\n", d->is_first ? "" : ",");
		write_samples(d->out, cell);
	}
	for (int i = 0; i < NR_COLUMNS; i++)
		rig_sort(cell->column[i], cell->nr_counted);
	if (d->out) {
		write_summary(d->out, cell);
		fprintf(d->out, " }");
	}
	d->is_first = 0;
	print_row(cell);
}

static void run_cells(struct drains *d)
{
	const struct options *o = &d->options;
	double end = rig_now_us() + o->limit_us;
	size_t nr_cells = o->blocks.n * o->block_us.n;
	double *values = calloc(NR_COLUMNS * (o->nr_samples + 1), sizeof(*values));

	if (!values)
		exit(PROG_FAIL);
	for (size_t i = 0; i < nr_cells; i++) {
		struct cell cell = {.blocks = o->blocks.item[i % o->blocks.n],
				    .block_us = o->block_us.item[i / o->blocks.n]};

		for (size_t k = 0; k < NR_COLUMNS; k++)
			cell.column[k] = values + k * (o->nr_samples + 1);
		measure(d, &cell, (end - rig_now_us()) / (double)(nr_cells - i));
		report(d, &cell);
	}
	free(values);
}

static void open_file(struct drains *d)
{
	char name[128] = "";

	if (!d->options.path)
		return;
	d->out = fopen(d->options.path, "we");
	if (!CHECK(d->out != NULL))
		return;
	MUST(cu.DeviceGetName(name, sizeof(name), rig.prog.device));
	fprintf(d->out, "{\"program\": \"preludes\", \"what\": \"drains\", \"device\": \"%s\", ",
		name);
	fprintf(d->out, "\"sms\": %d, \"samples\": %zu, \"cells\": [", rig.prog.nr_sms,
		d->options.nr_samples);
}

static void close_file(const struct drains *d)
{
	if (!d->out)
		return;
	fprintf(d->out, "\n]}\n");
	int failed = ferror(d->out);
	CHECK(fclose(d->out) == 0 && !failed);
}

void drains(int argc, char **argv)
{
	struct drains d = {.options = options_of(argc, argv), .is_first = 1};
	size_t bytes = drains_max_blocks(argc, argv) * sizeof(uint32_t);
	double begin = rig_now_us();
	CUdeviceptr unused;

	d.before = gpu_stamp();
	d.after = gpu_stamp();
	d.ended = gpu_stamp();
	d.counts = rig_pinned(bytes, &unused);
	d.words = rig_pinned(bytes, &unused);
	open_file(&d);
	printf("%8s %9s %8s %6s %7s %9s %8s %8s %8s %-6s %5s %9s %9s\n", "block us", "blocks",
	       "resident", "tried", "counted", "left p50", "p50 us", "p99 us", "max us", "target",
	       "write", "call p50", "call p99");
	run_cells(&d);
	close_file(&d);
	printf("drains=%zu threads=%u seconds=%.1f\n", d.options.blocks.n * d.options.block_us.n,
	       d.options.threads, (rig_now_us() - begin) * 1e-6);
	MUST(cu.MemFreeHost(d.counts));
	MUST(cu.MemFreeHost(d.words));
}
