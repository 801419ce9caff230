/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small client of lithosd, and the daemon itself as a child, for tests.
 *
 * Every function here ends the test with a message when something does not work that must; those
 * with `try` in the name, and those that return an int, let the test judge.
 */
#ifndef LITHOS_TESTS_DAEMON_CLIENT_H
#define LITHOS_TESTS_DAEMON_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include <lithos/proto.h>
#include <lithos/shm.h>

#include "hw/topology.h"

#define CLIENT_PATH_BYTES 128
#define CLIENT_WAIT_MS    20000 /* for what should take milliseconds: machines are shared */

#define CHECK(condition) client_check((condition) != 0, #condition, __FILE__, __LINE__)
void client_check(int is_true, const char *what, const char *file, int line);

/* --- the daemon ------------------------------------------------------------------------------- */

struct test_daemon {
	pid_t pid;
	char folder[CLIENT_PATH_BYTES / 2];
	char socket[CLIENT_PATH_BYTES];
	char config[CLIENT_PATH_BYTES]; /* written when config_text is given */
	char state[CLIENT_PATH_BYTES];
	char log[CLIENT_PATH_BYTES];
	int closes_descriptors; /* it is started without 0, 1 and 2 */
};

/* Makes a folder and the paths; config_text NULL: --private. */
void daemon_prepare(struct test_daemon *d, const char *config_text);
/* Starts `lithosd --sim` and waits until it listens. */
void daemon_start(struct test_daemon *d);
/* The same for one that must not get there: waits for its end. Its wait status. */
int daemon_start_in_vain(struct test_daemon *d);
/* Ends it with a signal and waits; its wait status. */
int daemon_stop(struct test_daemon *d, int signal);
/* Stops, shows the log when the test failed, removes the folder. */
void daemon_remove(struct test_daemon *d);

/* --- messages --------------------------------------------------------------------------------- */

union any_message {
	struct proto_header header;
	struct proto_admit admit;
	struct proto_admitted admitted;
	struct proto_attach attach;
	struct proto_attached attached;
	struct proto_peer peer;
	struct proto_report report;
	struct proto_text text;
	struct proto_unattached unattached;
	uint8_t bytes[PROTO_MAX_BYTES];
};

struct received {
	union any_message m;
	size_t bytes;
	int nr_fds;
	int fds[8];
};

int client_connect(const struct test_daemon *d);
int client_try_connect(const char *socket_path); /* -errno */
void client_header(void *message, uint16_t type, size_t bytes);
int client_send(int fd, const void *message, size_t bytes,
		int passed_fd); /* -errno; passed_fd or -1 */
/* 1 a message, 0 the connection has ended, -ETIMEDOUT. Descriptors are the caller's to close. */
int client_receive(int fd, struct received *ret_received, int timeout_ms);
void received_close(struct received *r);
/* The next message, which must be of this type. */
void client_expect(int fd, uint16_t type, struct received *ret_received);
/* The daemon closes the connection; messages before that are passed over. */
void client_expect_end(int fd, int timeout_ms);

/* --- tenants ---------------------------------------------------------------------------------- */

struct wish {
	const char *name;
	uint32_t tpcs;
	uint32_t percent;
	uint32_t priority;
	const char *gpus;
};

/* PROTO_ADMITTED or PROTO_REFUSED. */
int client_admit(int fd, const struct wish *wish, struct received *ret_answer);
/* A tenant; the descriptor of its reservation. */
int tenant_admitted(const struct test_daemon *d, const struct wish *wish,
		    struct proto_admitted *ret_admitted);

/* A process of a tenant, attached: this one, whoever calls. */
struct attached {
	int fd;
	uint32_t line;
	uint32_t tenant_id;
	int fds[PROTO_NR_ATTACH_FDS];
	const volatile struct shm_grant *grant;
	volatile struct shm_activity *activity;
	const volatile struct shm_board *board;
	struct topology topology;
};

/* PROTO_ATTACHED (filled), PROTO_REFUSED, 0 the daemon closed, -errno. `text` may be NULL. */
int client_attach(const struct test_daemon *d, const struct proto_admitted *tenant,
		  struct attached *ret_attached, char *text);
/* The same coming back, with the line and activity of `a`, which is then replaced. */
int client_return(const struct test_daemon *d, const struct proto_admitted *tenant,
		  struct attached *a);
void attached_close(struct attached *a);
volatile struct shm_proc *attached_line(const struct attached *a);
/* A copy taken under the sequence number. */
struct shm_grant grant_now(const struct attached *a);

/* --- status ----------------------------------------------------------------------------------- */

/* The report; json_decref it. NULL when the daemon does not answer. */
json_t *client_status(const struct test_daemon *d);
/* A tenant of the report by name, or NULL. */
json_t *status_tenant(const json_t *status, const char *name);
/* Numbers on a path of keys, "ledger.free"; -1 when not there. */
int64_t status_number(const json_t *status, const char *path);
int64_t daemon_number(const struct test_daemon *d, const char *path);
int64_t tenant_number(const struct test_daemon *d, const char *name, const char *key);

/* --- time ------------------------------------------------------------------------------------- */

uint64_t client_now_ns(void);
void client_sleep_ms(int ms);
/* Waits until the condition holds, at most CLIENT_WAIT_MS. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		uint64_t until_ns_ = client_now_ns() + CLIENT_WAIT_MS * 1000000ull;                \
		while (!(condition) && client_now_ns() < until_ns_)                                \
			client_sleep_ms(1);                                                        \
		CHECK(condition);                                                                  \
	} while (0)

/* A child that runs the function and exits with 0. */
pid_t client_fork(void (*body)(void *cookie), void *cookie);

#endif
