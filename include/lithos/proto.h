/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between lithosd, the shim in a tenant's processes, and the command line.
 *
 * A unix socket of type SOCK_SEQPACKET: one message a packet, file descriptors beside it
 * (SCM_RIGHTS). Fixed width, host byte order. The daemon knows the peer's pid and uid from
 * SO_PEERCRED, and by nothing in a message. A connection that sends nothing valid within the
 * handshake time, or anything malformed, is closed. The header and REFUSED are alike in all
 * versions: who speaks another version is answered with that, in the version that it speaks.
 *
 *   lithos run   ADMIT -> ADMITTED or REFUSED; the connection is the reservation, NOTICEs may
 *                follow
 *   shim         ATTACH -> ATTACHED (grant, activity, board), then PEER and PEER_GONE at any time
 *   status       STATUS -> REPORT (a memfd with JSON)
 *   shim, run    UNATTACHED on a connection of its own, or the attached one; no answer
 *
 * A tenant lives as long as its reservation or any attached process. After the daemon died, shims
 * and `lithos run` come back with RETURN: the token, their line, and the activity they have.
 */
#ifndef LITHOS_PROTO_H
#define LITHOS_PROTO_H

#include <stdint.h>

#include <lithos/tpcset.h>

#define PROTO_MAGIC         0x4f54494cu /* "LITO" */
#define PROTO_VERSION       2u
#define PROTO_MAX_BYTES     8192u
#define PROTO_TOKEN_BYTES   16u
#define PROTO_NAME_BYTES    64u
#define PROTO_TEXT_BYTES    1024u
#define PROTO_PATH_BYTES    256u
#define PROTO_REASON_BYTES  192u
#define PROTO_TOPOLOGY_MAX  2048u
#define PROTO_NR_ATTACH_FDS 3u /* grant, activity, board, in this order */

enum proto_type {
	PROTO_ADMIT = 1,       /* struct proto_admit */
	PROTO_ADMITTED = 2,    /* struct proto_admitted */
	PROTO_REFUSED = 3,     /* struct proto_text: why, for people */
	PROTO_ATTACH = 4,      /* struct proto_attach; RETURN: fd of the activity */
	PROTO_ATTACHED = 5,    /* struct proto_attached; PROTO_NR_ATTACH_FDS fds */
	PROTO_PEER = 6,        /* struct proto_peer; fd of the owner's activity, read-only */
	PROTO_PEER_GONE = 7,   /* struct proto_peer */
	PROTO_STATUS = 8,      /* struct proto_header alone */
	PROTO_REPORT = 9,      /* struct proto_report; fd of the JSON text */
	PROTO_NOTICE = 10,     /* struct proto_text: something the tenant's owner should read */
	PROTO_RETURN_RUN = 11, /* struct proto_attach from `lithos run`: the reservation is back */
	PROTO_UNATTACHED =
		12, /* struct proto_unattached: how a process runs that is not attached */
};

struct proto_header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;  /* enum proto_type */
	uint32_t bytes; /* of the whole message */
	uint32_t reserved;
};

struct proto_admit {
	struct proto_header header;
	char tenant[PROTO_NAME_BYTES]; /* NUL-terminated; empty: the daemon makes a name */
	uint32_t quota_tpcs;           /* both 0: best effort */
	uint32_t quota_percent;
	uint32_t priority; /* 0-1000 */
	uint32_t reserved;
	char gpus[PROTO_TEXT_BYTES]; /* UUIDs it may be placed on, comma separated; empty: any */
};

struct proto_admitted {
	struct proto_header header;
	uint8_t token[PROTO_TOKEN_BYTES]; /* names the tenant to its processes; secret */
	uint8_t gpu_uuid[16];
	char tenant[PROTO_NAME_BYTES];
	uint32_t nr_own;  /* TPCs guaranteed; 0 = best effort */
	uint32_t nr_tpcs; /* of the GPU */
	uint32_t nr_gpus; /* managed by the daemon */
	uint32_t mps_is_on;
	uint32_t mps_client_priority; /* CUDA_MPS_CLIENT_PRIORITY: 0 normal, 1 below */
	uint32_t reserved;
	struct tpcset tpcs; /* those guaranteed; best effort: those that nobody owns now */
	char mps_pipe_directory[PROTO_PATH_BYTES];
};

#define PROTO_ATTACH_RETURN 1u /* the process was attached before: line and activity are its own */

struct proto_attach {
	struct proto_header header;
	uint8_t token[PROTO_TOKEN_BYTES];
	uint8_t gpu_uuid[16]; /* of the device the process has made a context on */
	uint32_t flags;
	uint32_t line; /* with RETURN */
};

#define PROTO_ATTACHED_VERIFIED 1u /* the daemon's self-test passed on this GPU and driver */

struct proto_attached {
	struct proto_header header;
	uint32_t line; /* of the activity, for this process alone */
	uint32_t flags;
	uint32_t tenant_id;
	uint32_t topology_bytes;
	uint8_t topology[PROTO_TOPOLOGY_MAX]; /* struct topology of this build (hw/topology.h) */
};

enum proto_confinement {
	PROTO_UNCONFINED = 1, /* on whatever TPCs the driver gives it */
	PROTO_CONFINED = 2,   /* on TPCs that its environment and the last known sets allow */
};

/*
 * A process says how it runs without being attached (or beside it: on another device). The daemon
 * keeps the last word of each process and shows it in the status, until the process attaches or
 * ends. The token may be one that the daemon does not know. `lithos run` says it, on its
 * reservation, of a process of its tenant that cannot know.
 */
struct proto_unattached {
	struct proto_header header;
	uint8_t token[PROTO_TOKEN_BYTES];
	uint32_t confinement;            /* enum proto_confinement */
	uint32_t pid;                    /* 0: the sender's own */
	char reason[PROTO_REASON_BYTES]; /* why, for people; NUL-terminated */
};

struct proto_peer {
	struct proto_header header;
	uint32_t owner_index; /* place on the board */
	uint32_t generation;  /* as on the board */
};

struct proto_report {
	struct proto_header header;
	uint64_t text_bytes;
};

struct proto_text {
	struct proto_header header;
	char text[PROTO_TEXT_BYTES]; /* NUL-terminated */
};

#endif
