/* SPDX-License-Identifier: Apache-2.0 */
/* What `lithos doctor` found out: one finding a check, with what to do about it. */
#ifndef LITHOS_CLI_DOCTOR_FINDING_H
#define LITHOS_CLI_DOCTOR_FINDING_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/paths.h"
#include "cli/table.h"

/* Also the exit code of doctor, except that a skipped check does not count. */
enum status {
	STATUS_OK,
	STATUS_WARNING,
	STATUS_CRITICAL,
	STATUS_SKIPPED
};

/* Every check there is, in the order they are printed; names in finding.c. */
enum check {
	CHECK_DRIVER,
	CHECK_SHIM,
	CHECK_DEVICE, /* from here to CHECK_RECORD: launches on the GPU */
	CHECK_HOOK,
	CHECK_QMD,
	CHECK_TOPOLOGY,
	CHECK_MASK,
	CHECK_RECORD,
	CHECK_MPS,
	CHECK_DEVICES,
	CHECK_CACHE,
	CHECK_RUN_DIR,
	NR_CHECKS
};

/* Fixed size and without pointers: findings of the GPU checks come through a pipe. */
struct finding {
	uint32_t check;   /* enum check */
	uint32_t status;  /* enum status */
	char text[512];   /* what was seen */
	char advice[512]; /* what to do; empty when nothing */
};

#define MAX_FINDINGS (2 * (size_t)NR_CHECKS)

struct doctor {
	struct finding item[MAX_FINDINGS];
	size_t nr_items;
	int is_sim;
	uint32_t limit_s; /* how long a stage of the GPU checks may take; 0: its own limit */
	int has_driver;
	char driver_path[PATHS_MAX]; /* valid when has_driver */
};

/* Fills a finding; text and advice are cut to fit. */
void finding_set(struct finding *finding, enum check check, enum status status, const char *advice,
		 const char *format, ...) __attribute__((format(printf, 5, 6)));
void finding_vset(struct finding *finding, enum check check, enum status status, const char *advice,
		  const char *format, va_list args) __attribute__((format(printf, 5, 0)));

/* Where the next finding goes. Never NULL: what does not fit overwrites the last one. */
struct finding *doctor_next(struct doctor *doctor);

/* NULL when the check has no finding yet. */
const struct finding *doctor_find(const struct doctor *doctor, enum check check);

/* The worst status that is not SKIPPED. */
enum status doctor_worst(const struct doctor *doctor);

int doctor_print(const struct doctor *doctor, enum format format, FILE *file);

/* check_files.c: what can be told from files alone. */
void check_driver(struct doctor *doctor);
void check_shim(struct doctor *doctor);
void check_permissions(struct doctor *doctor);

/* check_mps.c: whether the daemon can have MPS. */
void check_mps(struct doctor *doctor);

/* check_gpu.c: launches on the GPU, in a child process. */
void check_gpu(struct doctor *doctor);

#endif
