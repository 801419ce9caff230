/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon for tests, in the tenant's own process: it answers the handshake and otherwise does what
 * the test says. The test writes grant, board and activities of owners itself.
 */
#ifndef LITHOS_TESTS_LINK_DAEMON_H
#define LITHOS_TESTS_LINK_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <lithos/proto.h>
#include <lithos/shm.h>

#include "hw/topology.h"

#define LINK_TOKEN "00112233445566778899aabbccddeeff"
#define LINK_LINE  3u
#define LINK_PEERS 4u /* owners that the test plays, places 0 to 3 */

enum link_answer {
	LINK_ATTACHES,
	LINK_REFUSES,
	LINK_IS_SILENT,
	LINK_HANGS_UP,
	LINK_WRONG_VERSION,
	LINK_NO_SEALS,
	LINK_WRONG_MAGIC,
	LINK_WRONG_LINE,
};

struct link_daemon {
	char path[108];
	enum link_answer answer;
	const struct topology *topology; /* NULL: none is sent */
	int listener;
	int stop[2];
	pthread_t thread;
	_Atomic int connection; /* -1: nobody */
	_Atomic uint32_t nr_attached, nr_returned, nr_wrong;
	int fd[3]; /* grant, activity, board */
	int peer_fd[LINK_PEERS];
	struct shm_grant *grant;
	struct shm_board *board;
	struct shm_activity *activity; /* as the process gave it back, after a return */
	struct shm_activity *peer[LINK_PEERS];
	struct shm_proc *line;
};

/* The regions alone, for who wants them filled before anybody can attach. */
void link_daemon_prepare(struct link_daemon *daemon);

/* Regions unless prepared, socket and thread. Fields set before: answer, topology. */
void link_daemon_start(struct link_daemon *daemon, const char *path);

/* Gone without a word, as after kill -9; regions and socket's name stay. */
void link_daemon_kill(struct link_daemon *daemon);

/* A grant as a new turn; sets as ranges of bits: {from, to} inclusive, from > to = none. */
void link_daemon_grant(struct link_daemon *daemon, struct tpcset own, struct tpcset borrow);

/* Puts an owner on the board, and tells the process, unless it is not to know. */
void link_daemon_owner(struct link_daemon *daemon, uint32_t place, struct tpcset tpcs,
		       enum shm_owner_state state, int is_told);

struct tpcset link_bits(unsigned int from, unsigned int to);

/* Whether owners on the board lend nothing. */
void link_daemon_partitioned(struct link_daemon *daemon, int is_partitioned);

#endif
