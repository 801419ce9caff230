/* SPDX-License-Identifier: Apache-2.0 */
/* A second process that owns an epoch, and how an epoch is raised. */
#ifndef LITHOS_TESTS_PRELUDES_PEER_H
#define LITHOS_TESTS_PRELUDES_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <cuda.h>

/* A stream of the highest priority. */
CUstream urgent_stream(void);
/* The epoch has this value when this returns. */
void epoch_write(CUstream stream, CUdeviceptr epoch, uint32_t value);

/* The second process' main. */
int peer_main(void);

struct peer {
	pid_t pid;
	int to, from;
	CUdeviceptr epoch; /* its word, as mapped here */
	uint32_t value;    /* of the epoch */
};

/* Starts it and opens the memory that it owns. */
bool peer_start(struct peer *peer);
/* The epoch has moved by one when this returns true. */
bool peer_raise(struct peer *peer);
/* Whether it ended well. */
bool peer_stop(struct peer *peer);
/* Ends it as a crash does; its memory stays open here. */
void peer_kill(struct peer *peer);
CUresult peer_close(const struct peer *peer);

#endif
