/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to and from the server, in buffers. The driver's lock protects it. */
#ifndef LITHOS_SIM_WIRE_H
#define LITHOS_SIM_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "sim/server/proto.h"

#define WIRE_BYTES 65536u

struct wire {
	int fd;
	uint32_t lost; /* a CUresult: the server is gone, or will not serve this process; 0: no */
	size_t nr_out;
	size_t in_begin;
	size_t in_end;
	_Alignas(8) uint8_t out[WIRE_BYTES];
	_Alignas(8) uint8_t in[WIRE_BYTES];
	_Alignas(8) uint8_t message[PROTO_MAX_BYTES];
};

void wire_init(struct wire *wire, int fd);
void wire_put(struct wire *wire, const void *message);
void wire_flush(struct wire *wire);
/* The next whole message, valid until the next call; NULL when none has come. */
const struct proto_head *wire_next(struct wire *wire);
/* Waits until something can be read or the connection is lost. */
void wire_wait(const struct wire *wire);

#endif
