/* SPDX-License-Identifier: Apache-2.0 */
/* Between CUDA_VISIBLE_DEVICES and the daemon: where a tenant may be placed, and where it is. */
#ifndef LITHOS_CLI_RUN_CHOICE_H
#define LITHOS_CLI_RUN_CHOICE_H

#include <stddef.h>
#include <stdint.h>

#include "cli/run/devices.h"
#include "cli/run/gpus.h"

struct options;

#define CHOICE_BYTES 64

struct choice {
	enum gpus_named named;  /* what CUDA_VISIBLE_DEVICES says */
	uint32_t is_option;     /* it comes from --gpu */
	uint32_t nr_of_machine; /* GPUs, 0: unknown */
	uint32_t has_devices;   /* CUDA was asked */
	struct devices devices; /* what it shows */
	char value
		[CHOICE_BYTES]; /* for CUDA_VISIBLE_DEVICES in the end; empty: leave it as it is */
};

/*
 * The UUIDs that the user's list allows, as struct proto_admit wants them; empty: any. 0, or -errno
 * after having said why the program cannot start.
 */
int choice_allow(struct choice *choice, const struct options *options, char *ret_list, size_t size);

/*
 * The daemon has chosen; `nr_gpus` are managed by it. Fills in what the program is to see: the same
 * form as the user's. 0, or -errno after having said why not.
 */
int choice_made(struct choice *choice, const struct options *options, const uint8_t uuid[16],
		uint32_t nr_gpus);

#endif
