/* SPDX-License-Identifier: Apache-2.0 */
/* What a tenant's program finds in its environment. All say on stderr what went wrong. */
#ifndef LITHOS_CLI_RUN_ENVIRONMENT_H
#define LITHOS_CLI_RUN_ENVIRONMENT_H

struct reservation;

/* The option of options.def by its member's name; NULL leaves what is set. 0 or -errno. */
int environment_set(const char *member, const char *value);

/* The GPUs that the program sees. 0 or -errno. */
int environment_set_gpu(const char *value);

/* The simulated driver for this program. 0 or -errno. */
int environment_set_sim(void);

/* The shim's folder first on LD_LIBRARY_PATH. 0 or -errno. */
int environment_set_library_path(const char *shim_folder);

/*
 * Whether this process is itself part of a tenant, as when `lithos run` is used inside a program
 * that was started by another.
 */
int environment_is_tenant(void);

/* The program is to stay on its TPCs: it is a tenant, or has a quota. */
int environment_is_confined(void);

/* Forgets the tenant this process is part of, so that a new one can be made. */
void environment_leave_tenant(void);

/* How the program's processes find the daemon, and what they were given. 0 or -errno. */
int environment_set_reservation(const struct reservation *reservation);

#endif
