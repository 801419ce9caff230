/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenant's place at lithosd: asked for before the program starts, kept while it runs.
 *
 * The connection is the reservation. It is close-on-exec, so only `lithos run` holds it, and the
 * daemon sees at once when that has ended.
 */
#ifndef LITHOS_CLI_RUN_RESERVATION_H
#define LITHOS_CLI_RUN_RESERVATION_H

#include <stdint.h>

#include <lithos/proto.h>

#include "cli/daemon/find.h"
#include "cli/run/child.h"
#include "cli/run/choice.h"

struct options;

struct reservation {
	struct child_watch watch; /* notices and the daemon's death, while the child runs */
	struct daemon_link link;
	struct proto_admitted admitted;
	struct choice choice; /* of a GPU; choice.is_option is the caller's to set */
	int avoids_mps;       /* the caller's to set: the program is to be no client of it */
	int is_held;          /* 0: there is none (no daemon), nothing below has a meaning */
	int has_said_lost;
	int backoff_ms;
	int64_t since_ms; /* the connection's begin */
};

/* None yet; its watch has nothing to do. */
void reservation_init(struct reservation *reservation);

/*
 * Asks for what the options say (tenant, quota, priority), on GPUs that CUDA_VISIBLE_DEVICES
 * allows. 0, or -errno after having said on stderr why the program cannot start.
 */
int reservation_take(struct reservation *reservation, const struct options *options);

/* Tells the daemon of a process of the program; 0, or -errno when it cannot be told now. */
int reservation_tell_unconfined(const struct reservation *reservation, uint32_t pid,
				const char *what);

/* The same bytes as hexadecimal text, for LITHOS_TOKEN. */
void reservation_token_text(const struct reservation *reservation,
			    char ret_text[2 * PROTO_TOKEN_BYTES + 1]);

/* For one that is not held, too. */
void reservation_end(struct reservation *reservation);

#endif
