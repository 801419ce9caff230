/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Foreground or background of a scenario in C: everything but the work itself.
 *
 * One thread.
 */
#ifndef LITHOS_BENCH_TENANT_H
#define LITHOS_BENCH_TENANT_H

#include <argp.h>

#include "bench/tenant/cuda.h"
#include "bench/tenant/session.h"

struct tenant {
	const char *role; /* "foreground" or "background" */
	struct session session;
	struct session_rows rows;
	struct gpu gpu;           /* gpu_open() is the caller's */
	unsigned int nr_services; /* requests timed before the foreground is ready */
	char version[128];        /* what else the report shall name; "" = nothing */
	/* Gives the kernels of one request or one step to the stream; does not wait for them. */
	void (*work)(void *arg);
	void *arg;
};

/* --role, --dir and --name; a child parser whose input is the struct tenant. */
extern const struct argp tenant_argp;

static inline int tenant_is_complete(const struct tenant *tenant)
{
	return tenant->role != NULL && tenant->session.folder != NULL &&
	       tenant->session.name != NULL;
}

int tenant_is_foreground(const struct tenant *tenant);

/* From the warm-up to the results. The program's exit code; what failed is said on stderr. */
int tenant_run(struct tenant *tenant);

#endif
