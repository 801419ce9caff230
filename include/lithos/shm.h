/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lithosd and the processes of tenants share in memory.
 *
 * Glossary
 *   board     one a GPU: topology's TPCs, the owners and their TPCs, the timers. Written by the
 *             daemon, mapped read-only by every tenant of the GPU.
 *   grant     one a tenant: what it owns and what it may borrow. Written by the daemon, mapped
 *             read-only by the tenant.
 *   activity  one a tenant: a line per process. Written by the tenant's processes; mapped read-only
 *             by the other tenants of the GPU when the tenant is an owner; read by the daemon.
 *   owner     a tenant with a quota; its place on the board is its owner index
 *   borrower  a tenant that runs on TPCs of others while they are idle
 *
 * All three are memfds sealed against growing and shrinking. No lock crosses them. A grant or a
 * board is copied under its sequence number (odd while the daemon writes); single words of the
 * activity and of the timers are read on their own. Nothing read here may be trusted for memory
 * safety by the daemon or by another tenant: values are copied once and checked.
 *
 * Fixed width, offsets asserted. Any change of a field raises SHM_VERSION.
 */
#ifndef LITHOS_SHM_H
#define LITHOS_SHM_H

#include <stddef.h>
#include <stdint.h>

#include <lithos/tpcset.h>

#define SHM_VERSION        4u
#define SHM_BOARD_MAGIC    0x4452424cu /* "LBRD" */
#define SHM_GRANT_MAGIC    0x4e52474cu /* "LGRN" */
#define SHM_ACTIVITY_MAGIC 0x5443414cu /* "LACT" */
#define SHM_MAX_OWNERS     TPCSET_BITS /* an owner has at least one TPC */
#define SHM_MAX_PROCS      64u         /* processes of one tenant that are attached at once */
#define SHM_NO_OWNER       UINT32_MAX

/* All start with this; 32 bytes. */
struct shm_header {
	uint32_t magic;
	uint32_t version;
	uint32_t bytes;     /* of the whole region */
	uint32_t sequence;  /* odd while the daemon writes; atomic */
	uint64_t beat_ns;   /* CLOCK_MONOTONIC, daemon alive; atomic */
	uint64_t daemon_id; /* of this run of the daemon */
};

enum shm_owner_state {
	SHM_OWNER_NONE = 0,
	SHM_OWNER_LIVE = 1,
	SHM_OWNER_STALLED = 2, /* its processes do not answer (stopped): lends as if idle */
};

struct shm_owner {
	uint32_t state; /* enum shm_owner_state */
	/* Raised when the place gets another tenant: a peer of before is stale */
	uint32_t generation;
	uint32_t priority;
	uint32_t nr_lines; /* lines of its activity that may be in use: readers look at so many */
	struct tpcset tpcs;
	uint32_t tenant_id;
	uint32_t reserved[7];
};

struct shm_board {
	struct shm_header header;
	uint8_t uuid[16];
	uint32_t nr_tpcs;
	uint32_t sms_per_tpc;
	uint32_t nr_owners;      /* places to look at: highest in use + 1 */
	uint32_t is_partitioned; /* 1: owners lend nothing, idle or not */
	struct tpcset present;
	uint64_t pad[6];
	struct shm_owner owner[SHM_MAX_OWNERS];
	/*
	 * Per TPC, CLOCK_MONOTONIC: until when a borrower's present work there is predicted to
	 * last; 0 = free. Single words, written without the sequence; others than the borrower
	 * itself keep off.
	 */
	uint64_t timer_ns[TPCSET_BITS];
};

enum shm_grant_state {
	SHM_GRANT_NONE = 0,
	SHM_GRANT_LIVE = 1,
	SHM_GRANT_REVOKED =
		2, /* the tenant was removed: whole-GPU forwarding is not allowed either;
				  it keeps its own TPCs and borrows nothing */
};

struct shm_grant {
	struct shm_header header;
	uint32_t state; /* enum shm_grant_state */
	uint32_t tenant_id;
	uint32_t owner_index; /* on the board, or SHM_NO_OWNER for best effort */
	uint32_t priority;
	struct tpcset own;
	/*
	 * TPCs, not its own, that are this tenant's turn to borrow: unowned ones, and ones of
	 * owners, to be used only while those are idle. Disjoint among the tenants that want to
	 * borrow at the moment (sched/share.h).
	 */
	struct tpcset borrow;
	uint64_t bound_ns; /* predicted borrowed work that may be outstanding */
	uint64_t grace_ns; /* an owner counts as idle after so long without work */
	uint64_t pad[2];
};

enum shm_epoch_state {
	SHM_EPOCH_NONE = 0,  /* the process tells nobody to go: it has no word on the GPU */
	SHM_EPOCH_READY = 1, /* the handle may be opened */
};

/* What one process of a tenant says. Four cache lines; the first is read by borrowers. */
struct shm_proc {
	/* Line 0: written when a state changes, not at every launch. */
	uint32_t active; /* owner: 1 from a launch until idle for the grace period; atomic */
	uint32_t wants;  /* borrower: 1 while it has work that borrowed TPCs would run; atomic */
	uint32_t pid;    /* as the process sees itself; for people */
	/*
	 * Owner: raised each time it becomes active, after `active` and before the same number is
	 * written to its word on the GPU; atomic. See docs/splitting.md.
	 */
	uint32_t epoch;
	uint64_t active_since_ns;
	uint32_t epoch_state; /* enum shm_epoch_state; release, after the handle */
	uint32_t reserved0;
	uint64_t pad0[4];
	/* Line 1: written by the tracker thread and by borrowed launches. */
	uint64_t beat_ns;        /* the tracker's last pass */
	uint64_t hold_until_ns;  /* predicted end of what is outstanding on `hold`; 0 = nothing */
	struct tpcset hold;      /* TPCs, not own, that outstanding work may be on */
	uint64_t outstanding_ns; /* predicted */
	uint64_t nr_queued;      /* launches held back in virtual streams */
	uint64_t pad1[2];
	/* Lines 2 and 3: for status. */
	uint64_t nr_launches;
	uint64_t nr_deferred;
	uint64_t nr_reclaims;     /* owner: became active while somebody held its TPCs */
	uint64_t own_tpc_ns;      /* GPU time used, times the TPCs it ran on */
	uint64_t borrowed_tpc_ns; /* the same on TPCs not its own */
	uint64_t memory_bytes;    /* device memory allocated */
	uint32_t last_error;      /* CUresult of the last failed launch; 0 = none */
	uint32_t reserved2;
	uint8_t epoch_handle[64]; /* CUipcMemHandle of the epoch's memory; its first word */
	uint64_t pad2;
};

struct shm_activity {
	struct shm_header header;
	uint64_t pad[4];
	struct shm_proc proc[SHM_MAX_PROCS];
};

_Static_assert(sizeof(struct shm_header) == 32, "layout");
_Static_assert(sizeof(struct shm_owner) == 64, "layout");
_Static_assert(offsetof(struct shm_board, present) == 64, "layout");
_Static_assert(offsetof(struct shm_board, owner) == 128, "layout");
_Static_assert(offsetof(struct shm_board, timer_ns) == 128 + 64 * SHM_MAX_OWNERS, "layout");
_Static_assert(sizeof(struct shm_board) == 128 + 64 * SHM_MAX_OWNERS + 8 * TPCSET_BITS, "layout");
_Static_assert(offsetof(struct shm_grant, own) == 48, "layout");
_Static_assert(offsetof(struct shm_grant, bound_ns) == 80, "layout");
_Static_assert(sizeof(struct shm_grant) == 112, "layout");
_Static_assert(offsetof(struct shm_proc, beat_ns) == 64, "layout");
_Static_assert(offsetof(struct shm_proc, nr_launches) == 128, "layout");
_Static_assert(sizeof(struct shm_proc) == 256, "layout");
_Static_assert(offsetof(struct shm_activity, proc) == 64, "layout");

#endif
