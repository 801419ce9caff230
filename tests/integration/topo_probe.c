/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology probe and the self-test themselves, on the bare simulated GPU: what they find on
 * each chip, and that every driver call of theirs may fail without more than an error. The first
 * argument is the simulated driver; LITHOS_SIM_GPU names the chip.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/driver.h"
#include "hw/qmd_allow.h"
#include "hw/selftest.h"
#include "hw/tools_hook.h"
#include "hw/topo_probe.h"
#include "hw/topology.h"

static int nr_failures;
static int hook_is_deaf; /* events are left to nobody */

static int check(int condition, const char *what, int line)
{
	if (!condition && nr_failures++ < 20)
		fprintf(stderr, "topo_probe:%d: failed: %s\n", line, what);
	return condition;
}

#define CHECK(condition) check((condition), #condition, __LINE__)

static void *lookup(void *library, const char *symbol)
{
	return dlsym(library, symbol);
}

static void on_event(const struct qmd_event *event)
{
	if (!hook_is_deaf)
		(void)probe_hook_edit(event);
}

struct expected {
	const char *chip;
	uint32_t nr_sms, nr_tpcs, nr_gpcs, nr_left_over;
	struct tpcset present;
};

static const struct expected chips[] = {
	{"h100", 132, 66, 8, 4, {{0xfbfdfe0f, 0xffdfeff7, 0x000a48ff, 0}}},
	{"h200", 132, 66, 8, 4, {{0xfbfdfe0f, 0xffdfeff7, 0x000a48ff, 0}}},
	{"small", 16, 8, 2, 1, {{0x00001e07, 0, 0x800, 0}}},
};

static const struct expected *expected_chip(void)
{
	const char *name = getenv("LITHOS_SIM_GPU");

	for (size_t i = 0; i < sizeof(chips) / sizeof(chips[0]); i++) {
		if (name && !strcmp(chips[i].chip, name))
			return &chips[i];
	}
	return &chips[0];
}

static void check_topology(const struct topology *topo)
{
	const struct expected *chip = expected_chip();
	uint32_t nr_left_over = 0;

	CHECK(topology_check(topo) == 0);
	CHECK(topo->nr_sms == chip->nr_sms);
	CHECK(topo->nr_tpcs == chip->nr_tpcs);
	CHECK(topo->nr_gpcs == chip->nr_gpcs);
	CHECK(topo->sms_per_tpc == 2);
	CHECK(tpcset_equal(&topo->present, &chip->present));
	for (uint32_t bit = 0; bit < TPCSET_BITS; bit++) {
		if (!tpcset_has(&topo->present, bit))
			continue;
		nr_left_over += topo->gpc_of_bit[bit] == TOPOLOGY_NO_GPC;
		/* A GPC is a run of nine bits; from 72 up each TPC is on its own. */
		CHECK((bit >= 72) == (topo->gpc_of_bit[bit] == TOPOLOGY_NO_GPC));
		for (uint32_t other = 0; other < bit && bit < 72; other++) {
			if (tpcset_has(&topo->present, other))
				CHECK((topo->gpc_of_bit[bit] == topo->gpc_of_bit[other]) ==
				      (bit / 9 == other / 9));
		}
	}
	CHECK(nr_left_over == chip->nr_left_over);
}

static void check_selftest(const struct driver_ops *ops, const struct topology *topo)
{
	struct hw_selftest_report report;

	CHECK(hw_selftest(ops, 0, topo, &report) == 0);
	CHECK(report.hook_calls == 2);
	CHECK(report.qmd_version == 0x40);
	CHECK(report.allowed_sms == tpcset_count(&topo->gpc[0]) * 2);
	CHECK(report.sms_seen == report.allowed_sms);
	CHECK(report.mask_obeyed && report.record_written && report.record_timestamp_sane);
}

/* A topology without GPCs: one TPC is what the test is confined to. */
static void check_selftest_without_gpcs(const struct driver_ops *ops, const struct topology *topo)
{
	struct topology flat = *topo;
	struct hw_selftest_report report;

	flat.nr_gpcs = 0;
	CHECK(hw_selftest(ops, 0, &flat, &report) == 0);
	CHECK(report.allowed_sms == 2 && report.sms_seen == 2);
	/* With SMs written down wrong the mask seems not to be obeyed. */
	for (uint32_t bit = 0; bit < TPCSET_BITS; bit++)
		flat.sm_of_bit[bit] = 500;
	CHECK(hw_selftest(ops, 0, &flat, &report) == -EUCLEAN);
	CHECK(!report.mask_obeyed && report.record_written);
}

static int failing_call(void)
{
	return CUDA_ERROR_UNKNOWN;
}

#define NR_OPS (sizeof(struct driver_ops) / sizeof(void *))

/* Each call of the table fails in turn: an error, or nothing that matters, and the next try works.
 */
static void check_failures(const struct driver_ops *ops, const struct topology *topo)
{
	uint32_t nr_probe = 0, nr_selftest = 0;

	for (size_t i = 0; i < NR_OPS; i++) {
		int (*fail)(void) = failing_call;
		struct driver_ops broken = *ops;
		struct topology found;
		struct hw_selftest_report report;

		memcpy((char *)&broken + i * sizeof(fail), &fail, sizeof(fail));
		int err = topo_probe(&broken, 0, &found);
		CHECK(err == 0 || err == -EIO || err == -ENOMEM || err == -EUCLEAN);
		nr_probe += err != 0;
		err = hw_selftest(&broken, 0, topo, &report);
		CHECK(err == 0 || err == -EIO);
		nr_selftest += err != 0;
	}
	/* Module, function, attribute, stream, launch, copy, synchronise, memory, set, UUID,
	 * version. */
	CHECK(nr_probe >= 10);
	CHECK(nr_selftest >= 9);
}

static void check_deaf_hook(const struct driver_ops *ops, const struct topology *topo)
{
	struct topology found;
	struct hw_selftest_report report;

	hook_is_deaf = 1;
	CHECK(topo_probe(ops, 0, &found) == -ENOSYS);
	CHECK(hw_selftest(ops, 0, topo, &report) == -EUCLEAN);
	CHECK(report.hook_calls == 0 && !report.mask_obeyed && !report.record_written);
	hook_is_deaf = 0;
}

/* Other launches are not the probe's to edit. */
static void check_foreign_event(void)
{
	uint32_t qmd[96] = {0}, before[96] = {0};
	struct qmd_event event = {.qmd = qmd};

	CHECK(probe_hook_edit(&event) == 0);
	CHECK(!memcmp(qmd, before, sizeof(qmd)));
}

static int open_gpu(const char *path, struct driver_ops *ops, CUcontext *ret_ctx)
{
	const char *missing = NULL;
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!library || driver_ops_load(ops, lookup, library, &missing)) {
		fprintf(stderr, "topo_probe: %s %s\n", missing ? "no" : dlerror(),
			missing ? missing : "");
		return -ENOENT;
	}
	return ops->init(0) || ops->primary_retain(ret_ctx, 0) || ops->ctx_push(*ret_ctx) ||
			       tools_hook_subscribe(ops->export_table, on_event)
		       ? -EIO
		       : 0;
}

int main(int argc, char **argv)
{
	struct driver_ops ops;
	struct topology topo;
	CUcontext ctx;

	if (argc < 2 || open_gpu(argv[1], &ops, &ctx))
		return 1;
	check_foreign_event();
	if (!CHECK(topo_probe(&ops, 0, &topo) == 0))
		return 1;
	check_topology(&topo);
	check_selftest(&ops, &topo);
	check_selftest_without_gpcs(&ops, &topo);
	check_deaf_hook(&ops, &topo);
	check_failures(&ops, &topo);
	/* After all that, once more. */
	CHECK(topo_probe(&ops, 0, &topo) == 0);
	check_topology(&topo);
	tools_hook_unsubscribe();
	CHECK(ops.ctx_pop(&ctx) == 0 && ops.primary_release(0) == 0);
	return nr_failures != 0;
}
