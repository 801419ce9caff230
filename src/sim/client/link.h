/* SPDX-License-Identifier: Apache-2.0 */
/* The connection to the server of a shared simulated GPU (sim/server/proto.h). */
#ifndef LITHOS_SIM_LINK_H
#define LITHOS_SIM_LINK_H

#include <stdint.h>

#include "sim/server/proto.h"

struct link_config {
	const char *path; /* of the socket */
	const char *chip; /* what a server that has to be started simulates */
	unsigned int nr_gpus;
};

/*
 * Connects, starting a server where there is none, and is welcomed. A connected descriptor, or
 * -errno.
 */
int link_open(const struct link_config *config, struct proto_welcome *ret_welcome);

/* mps.c: the part of the hello that says whether this process is a client of MPS. */
void mps_read(struct proto_mps *ret_mps);

#endif
