/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which changes of the configuration a running daemon cannot make.
 *
 * Sockets, GPUs, MPS and the terms of sharing are taken once, at the start; SIGHUP takes the log
 * level. A person who changed something else and sent SIGHUP must not believe that it counts: so
 * what was read at the start is compared with what is read now, key by key.
 *
 * Tested by tests/integration/daemon_life.bats.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/config.h"

static const struct {
	const char *name; /* as in lithosd.yaml */
	size_t at, size;
} keys[] = {
#define KEY(name, member)                                                                          \
	{                                                                                          \
		name, offsetof(struct config, member), sizeof(((struct config *)0)->member)        \
	}
	/* clang-format off */
	KEY("socket",                      socket),
	KEY("socket_mode",                 socket_mode),
	KEY("state",                       state),
	KEY("gpus",                        gpus),
	KEY("mps.mode",                    mps_mode),
	KEY("mps.pipe_directory",          mps_pipe_directory),
	KEY("mps.log_directory",           mps_log_directory),
	KEY("mps.multiuser",               mps_is_multiuser),
	KEY("sharing.lend",                lends),
	KEY("sharing.bound_us",            bound_ns),
	KEY("sharing.grace_us",            grace_ns),
	KEY("limits.tenants_per_user",     max_tenants),
	KEY("limits.connections_per_user", max_connections),
/* clang-format on */
#undef KEY
};

int config_restart_keys(const struct config *before, const struct config *after, char *ret_text,
			size_t size)
{
	size_t used = 0;
	int nr = 0;

	ret_text[0] = '\0';
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *a = (const char *)before + keys[i].at;
		const char *b = (const char *)after + keys[i].at;
		int n;

		if (memcmp(a, b, keys[i].size) == 0)
			continue;
		n = snprintf(ret_text + used, size - used, "%s%s", nr ? ", " : "", keys[i].name);
		nr++;
		if (n > 0 && used + (size_t)n < size)
			used += (size_t)n;
	}
	return nr;
}
