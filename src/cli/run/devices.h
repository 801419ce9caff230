/* SPDX-License-Identifier: Apache-2.0 */
/* Which GPUs CUDA shows to a program that has this process' environment. */
#ifndef LITHOS_CLI_RUN_DEVICES_H
#define LITHOS_CLI_RUN_DEVICES_H

#include <stdint.h>

#define DEVICES_MAX 64

struct options;

struct devices {
	uint32_t nr;
	uint8_t uuid[DEVICES_MAX][16]; /* in CUDA's order */
};

/* How many the machine (or this container) has, as far as can be seen without a driver; 0: unknown.
 */
uint32_t devices_of_machine(const struct options *options);

/*
 * Asks the driver, in a child process. 0, with none for a list that hides all of them; -errno when
 * the driver cannot be asked: -ENOENT there is none, -ETIMEDOUT it does not answer, -EIO it failed.
 */
int devices_ask(const struct options *options, struct devices *ret_devices);

/* The place of a UUID among them, or -1. */
int devices_index(const struct devices *devices, const uint8_t uuid[16]);

#endif
