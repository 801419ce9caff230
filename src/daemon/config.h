/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration: lithosd.yaml, then the command line. */
#ifndef LITHOS_DAEMON_CONFIG_H
#define LITHOS_DAEMON_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "daemon/mps/mps.h"

#define CONFIG_PATH_BYTES 256
#define CONFIG_MAX_GPUS   16

struct config {
	enum log_level log_level;
	char socket[CONFIG_PATH_BYTES];
	uint32_t socket_mode;
	char state[CONFIG_PATH_BYTES]; /* empty: none is kept */
	enum mps_mode mps_mode;
	char mps_pipe_directory[CONFIG_PATH_BYTES];
	char mps_log_directory[CONFIG_PATH_BYTES];
	int mps_is_multiuser;
	int lends;                /* 0: owners' idle TPCs stay theirs: fixed partitions */
	uint64_t bound_ns;        /* predicted borrowed work that may be outstanding */
	uint64_t grace_ns;        /* an owner counts as idle after so long without work */
	uint32_t max_tenants;     /* of one user */
	uint32_t max_connections; /* of one user */
	uint32_t nr_gpus;         /* managed; 0 = all */
	uint8_t gpus[CONFIG_MAX_GPUS][16];

	/* From the command line alone. */
	char path[CONFIG_PATH_BYTES]; /* of the file, to read it again; empty: none */
	int is_private;
	int is_simulated;
	uint32_t idle_exit_s; /* 0: never */
};

void config_defaults(struct config *config);

/*
 * Reads the file over what is there. 0, or -EINVAL and a sentence, "FILE:LINE:COLUMN: what", in
 * error; config is untouched then.
 */
int config_read(struct config *config, const char *path, char *error, size_t error_size);

/*
 * How many keys of the file differ that count only at the start, and their names in ret_text. Both
 * begin as config_defaults() and config_read() leave them.
 */
int config_restart_keys(const struct config *before, const struct config *after, char *ret_text,
			size_t size);

/* GPU-xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx, or the 32 digits alone. 0 or -EINVAL. */
int config_parse_uuid(const char *text, size_t length, uint8_t ret_uuid[16]);

#endif
