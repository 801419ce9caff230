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

/* What the device must be for the daemon's topology to hold. */
struct link_device {
	uint8_t uuid[16];
	uint32_t driver_version;
	uint32_t nr_sms;
};

/*
 * Attaches, at most once a process and within a second. 0 attached; -EALREADY to another device;
 * -errno: forwarding as without a daemon, said once.
 */
int link_attach(const struct link_device *device);

/* The daemon's topology when it may be used without a probe and a self-test, else NULL. */
struct topology;
const struct topology *link_verified_topology(const struct link_device *device);

/* The TPCs that exist, once they are known from elsewhere. Before any launch. */
void link_set_present(const struct topology *topo);

/* At exit: the line is given up, the thread ended. */
void link_stop(void);

void link_after_fork(void);

#endif
