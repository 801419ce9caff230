/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measured topologies kept in files, one a GPU: <folder>/topology-<uuid in hex>.bin.
 *
 * The caller chooses the folder and creates it. Files are written whole and renamed, so a reader
 * sees an old one, a new one or none. Any number of processes may load and store at once.
 */
#ifndef LITHOS_HW_TOPO_CACHE_H
#define LITHOS_HW_TOPO_CACHE_H

#include <stdint.h>

struct topology;

/* What the caller knows of the GPU; a file that says otherwise is not used. */
struct topo_cache_key {
	uint8_t uuid[16];
	uint32_t driver_version;
	uint32_t nr_sms;
};

/*
 * 0; -ENOENT no file; -ESTALE it was written for another GPU, driver or format; -EBADMSG it is
 * damaged; -EPERM it belongs to a user who is neither this one nor root; or another -errno of the
 * file system.
 */
int topo_cache_load(const char *folder, const struct topo_cache_key *key,
		    struct topology *ret_topo);

/* 0, -EINVAL when the topology does not pass topology_check, or -errno of the file system. */
int topo_cache_store(const char *folder, const struct topology *topo);

#endif
