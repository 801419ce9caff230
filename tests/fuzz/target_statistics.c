/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statistics files, which programs write that may be anything: two that are the same are read,
 * merged and printed in every format. The header is made right, but for every fourth input. Rows
 * beyond the first few are zero: a file has six megabytes of them.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/stats_file.h"
#include "cli/run/summary.h"
#include "fuzz.h"

#define NR_ROWS 4

struct front {
	struct stats_header header;
	struct stats_kernel kernel[NR_ROWS];
};

static void print(const struct summary *summary)
{
	static const enum format formats[] = {FORMAT_TABLE, FORMAT_JSON};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		char *text = NULL;
		size_t size = 0;
		FILE *file = open_memstream(&text, &size);

		if (!file || summary_print(summary, formats[i], i ? 80 : 0, file) < 0)
			fuzz_fail("not printed");
		else
			(void)fclose(file);
		free(text);
	}
}

/* A sound file with these first rows; returns its path. */
static const char *write_front(const struct front *front)
{
	static char path[160];
	static int fd = -1;

	if (fd < 0) {
		(void)snprintf(path, sizeof(path), "%s/stats.1", fuzz_folder());
		fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (fd < 0 || pwrite(fd, front, sizeof(*front), 0) != (ssize_t)sizeof(*front))
		fuzz_fail("a file cannot be written");
	return path;
}

static struct stats_header sound_header(void)
{
	static struct stats_header header;
	struct stats_region *region;

	if (header.magic)
		return header;
	if (stats_region_create(fuzz_folder(), 1, &region) < 0)
		fuzz_fail("no region");
	header = region->header;
	stats_region_unmap(region);
	return header;
}

static void look(const char *path)
{
	struct stats_region *copy = NULL;
	struct summary summary = {0};

	if (stats_region_map(path, &copy) < 0)
		return;
	/* NOLINTNEXTLINE(misc-redundant-expression): twice, so that sums are made */
	if (summary_add(&summary, copy) < 0 || summary_add(&summary, copy) < 0)
		fuzz_fail("not added");
	summary_finish(&summary);
	print(&summary);
	stats_region_unmap(copy);
	summary_free(&summary);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .size = size};
	struct front front = {.header = sound_header()};

	if (fuzz_u8(&input) % 4 == 0) {
		(void)fuzz_take(&input, &front, sizeof(front));
	} else {
		front.header.nr_kernels = fuzz_u8(&input) % (NR_ROWS + 1);
		front.header.quota_tpcs = fuzz_u16(&input);
		front.header.device_tpcs = fuzz_u16(&input);
		(void)fuzz_take(&input, front.header.counter, 8 * sizeof(uint64_t));
		(void)fuzz_take(&input, front.kernel, sizeof(front.kernel));
	}
	look(write_front(&front));
	return 0;
}
