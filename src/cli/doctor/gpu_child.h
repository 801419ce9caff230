/* SPDX-License-Identifier: Apache-2.0 */
/* The GPU checks themselves, and what they say to the process that watches them. */
#ifndef LITHOS_CLI_DOCTOR_GPU_CHILD_H
#define LITHOS_CLI_DOCTOR_GPU_CHILD_H

#include "cli/doctor/finding.h"

enum gpu_message_kind {
	GPU_STAGE, /* a stage begins; finding.check says for which check */
	GPU_FINDING,
	GPU_DONE, /* all that can be said was said */
};

struct gpu_message {
	uint32_t kind;    /* enum gpu_message_kind */
	uint32_t limit_s; /* of a stage */
	struct finding finding;
};

/* Runs the checks with this driver and writes messages to fd; for a forked child, which then exits.
 */
void gpu_child(const char *driver_path, int fd);

#endif
