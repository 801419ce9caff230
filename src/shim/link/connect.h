/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process' connection to lithosd.
 *
 * link_attach is called under the contexts' lock, at the first context on a device. A thread of its
 * own keeps the connection from then on; launches never wait for it.
 */
#ifndef LITHOS_SHIM_CONNECT_H
#define LITHOS_SHIM_CONNECT_H

#include <stdint.h>

/* 1 when the options name a daemon and a tenant. Called at load. */
int link_is_wanted(void);

/* The TPCs that the options name: read at load; NULL: none, or no good text. */
struct tpcset;
void link_read_told(const char *text);
const struct tpcset *link_told(void);

/* The tenant's token; 0 when there is none. */
int link_token(uint8_t ret_token[16]);

/* What the device must be for the daemon's topology to hold. */
struct link_device {
	uint8_t uuid[16];
	uint32_t driver_version;
	uint32_t nr_sms;
};

/*
 * Attaches, at most once a process: within half a second, or 3 s for best effort. 0: the process
 * shares this GPU, attached or detached; -EALREADY another one; -errno not at all, nothing was
 * said.
 */
int link_attach(const struct link_device *device);

/*
 * Before any launch, when the GPU is known: a detached process is confined to what it was told at
 * its start; nr_own is its quota, 0 for best effort. Nothing for others. -errno: it cannot be.
 */
struct topology;
int link_confine(const struct topology *topo, uint32_t nr_own);

/* The daemon's topology when it may be used without a probe and a self-test, else NULL. */
const struct topology *link_verified_topology(const struct link_device *device);

/* The TPCs that exist, once they are known from elsewhere. Before any launch. */
void link_set_present(const struct topology *topo);

/* At exit: the line is given up, the thread ended. */
void link_stop(void);

void link_after_fork(void);

#endif
