/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tenant's reservation.
 *
 * Before the program starts: ADMIT, and a wait for the answer, because a tenant that starts and is
 * then refused has already touched the GPU. A private daemon may end, being idle, between the
 * moment it was found and the moment it is asked; then all is done once more.
 *
 * While the program runs nothing here may block or end it. What the daemon has to say is printed.
 * When the connection breaks, the program keeps what it was given (the shim's grant stays mapped),
 * and the reservation is offered again with RETURN_RUN: at once, then after 100 ms doubling to 2 s,
 * until a daemon takes it or refuses it for good. A connection that lasted for less than 5 s does
 * not shorten the pause, so a daemon that accepts and dies is not asked in a loop.
 *
 * Tested by tests/integration/cli_tenant.bats, with a daemon that misbehaves.
 */
#include "cli/run/reservation.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/options.h"
#include "cli/cli.h"
#include "cli/daemon/client.h"
#include "sched/quota.h"

#define ANSWER_MS      20000
#define SEND_MS        5000
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 2000
#define STABLE_MS      5000
#define NR_TRIES       3

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Messages that came while the command waits for nothing else: people read them. */
static void say_notice(const union client_message *message)
{
	cli_error("%s", message->text.text);
}

/* The answer to ADMIT. NOTICEs may come before it. */
static int receive_answer(const struct daemon_link *link, union client_message *ret_message)
{
	int64_t deadline_ms = now_ms() + ANSWER_MS;

	for (;;) {
		int64_t left = deadline_ms - now_ms();
		int passed = -1;
		int r = client_receive(link->fd, left > 0 ? (int)left : 0, ret_message, &passed);

		if (r < 0)
			return r;
		if (passed >= 0)
			(void)close(passed);
		if (ret_message->header.type != PROTO_NOTICE)
			return 0;
		say_notice(ret_message);
	}
}

static int is_sane(const struct proto_admitted *admitted, const struct proto_admit *asked)
{
	int wants_own = asked->quota_tpcs != 0 || asked->quota_percent != 0;

	return admitted->nr_own <= admitted->nr_tpcs && admitted->nr_gpus > 0 &&
	       (admitted->nr_own > 0) == wants_own;
}

/* What came back for what was asked; says why not. */
static int take_answer(struct reservation *reservation, const union client_message *asked,
		       const union client_message *answer)
{
	if (answer->header.type == PROTO_REFUSED) {
		cli_error("%s", answer->text.text);
		return -EDQUOT;
	}
	if (answer->header.type != PROTO_ADMITTED || !is_sane(&answer->admitted, &asked->admit)) {
		cli_error("lithosd at %s %s", reservation->link.socket, client_strerror(-EPROTO));
		return -EPROTO;
	}
	reservation->admitted = answer->admitted;
	return 0;
}

/* -ECONNRESET, said by nobody: the daemon has gone and another may be there. */
static int ask(struct reservation *reservation, const union client_message *asked)
{
	const struct daemon_link *link = &reservation->link;
	union client_message answer;
	int r = client_send(link->fd, asked, SEND_MS);

	if (r == 0)
		r = receive_answer(link, &answer);
	if (r == 0)
		return take_answer(reservation, asked, &answer);
	if (r != -ECONNRESET || link->kind != FIND_PRIVATE)
		cli_error("lithosd at %s %s", link->socket, client_strerror(r));
	return r;
}

static int find_and_ask(struct reservation *reservation, const struct options *options,
			const union client_message *asked)
{
	int r = find_daemon(options, 1, &reservation->link);

	if (r < 0)
		return r;
	r = ask(reservation, asked);
	if (r < 0) {
		(void)close(reservation->link.fd);
		reservation->link.fd = -1;
	}
	return r;
}

static int make_request(struct reservation *reservation, const struct options *options,
			union client_message *ret_asked)
{
	struct proto_admit *admit = &ret_asked->admit;
	struct quota quota = {0};
	int r;

	client_message_init(ret_asked, PROTO_ADMIT, sizeof(*admit));
	r = choice_allow(&reservation->choice, options, admit->gpus, sizeof(admit->gpus));
	if (r < 0)
		return r;
	if (options->tpc_quota[0] != '\0')
		(void)quota_parse(options->tpc_quota, &quota); /* verb_run.c refuses what is none */
	(void)snprintf(admit->tenant, sizeof(admit->tenant), "%.*s", (int)sizeof(admit->tenant) - 1,
		       options->tenant);
	admit->quota_tpcs = quota.tpcs;
	admit->quota_percent = quota.percent;
	admit->priority = options->priority;
	return 0;
}

static void connection_lost(struct reservation *reservation)
{
	int64_t now = now_ms();

	if (reservation->link.fd >= 0)
		(void)close(reservation->link.fd);
	reservation->link.fd = -1;
	if (now - reservation->since_ms >= STABLE_MS)
		reservation->backoff_ms = 0;
	/* The time without a connection is none in which it lasted. */
	reservation->since_ms = now;
	reservation->watch.fd = -1;
	reservation->watch.deadline_ms = now + reservation->backoff_ms;
	reservation->backoff_ms =
		reservation->backoff_ms == 0 ? BACKOFF_MIN_MS : reservation->backoff_ms * 2;
	if (reservation->backoff_ms > BACKOFF_MAX_MS)
		reservation->backoff_ms = BACKOFF_MAX_MS;
}

static void say_lost(struct reservation *reservation)
{
	if (!reservation->has_said_lost)
		cli_error("lithosd at %s is gone; the program keeps running on what it has",
			  reservation->link.socket);
	reservation->has_said_lost = 1;
}

static void say_back(struct reservation *reservation)
{
	if (reservation->has_said_lost)
		cli_error("lithosd at %s is back, and with it the reservation",
			  reservation->link.socket);
	reservation->has_said_lost = 0;
}

/* Offers the reservation to whoever listens now; the answer is taken when it comes. */
static void try_return(struct reservation *reservation)
{
	union client_message message;
	int fd = -1;
	int r = client_connect(reservation->link.socket, &fd);

	client_message_init(&message, PROTO_RETURN_RUN, sizeof(message.attach));
	memcpy(message.attach.token, reservation->admitted.token, PROTO_TOKEN_BYTES);
	memcpy(message.attach.gpu_uuid, reservation->admitted.gpu_uuid, 16);
	message.attach.flags = PROTO_ATTACH_RETURN;
	if (r == 0)
		r = client_send(fd, &message, 0);
	reservation->link.fd = fd;
	if (r < 0) {
		connection_lost(reservation);
		return;
	}
	reservation->since_ms = now_ms();
	reservation->watch.fd = fd;
	reservation->watch.deadline_ms = -1;
}

static void give_up(struct reservation *reservation)
{
	(void)close(reservation->link.fd);
	reservation->link.fd = -1;
	reservation->watch.fd = -1;
	reservation->watch.deadline_ms = -1;
}

static void take_message(struct reservation *reservation)
{
	union client_message message;
	int passed = -1;
	int r = client_receive(reservation->link.fd, 0, &message, &passed);

	if (passed >= 0)
		(void)close(passed);
	if (r == -ETIMEDOUT)
		return;
	if (r < 0) {
		say_lost(reservation);
		connection_lost(reservation);
		return;
	}
	if (message.header.type == PROTO_NOTICE)
		say_notice(&message);
	if (message.header.type == PROTO_ADMITTED)
		say_back(reservation);
	if (message.header.type == PROTO_REFUSED) {
		say_notice(&message);
		give_up(reservation);
	}
}

static void service(struct child_watch *watch)
{
	struct reservation *reservation = (struct reservation *)watch;

	if (watch->fd >= 0)
		take_message(reservation);
	else
		try_return(reservation);
}

void reservation_init(struct reservation *reservation)
{
	memset(reservation, 0, sizeof(*reservation));
	reservation->link.fd = -1;
	reservation->watch = (struct child_watch){.fd = -1, .deadline_ms = -1, .service = service};
}

int reservation_take(struct reservation *reservation, const struct options *options)
{
	union client_message asked;
	int r;

	r = make_request(reservation, options, &asked);
	if (r < 0)
		return r;
	for (int i = 0; i < NR_TRIES; i++) {
		r = find_and_ask(reservation, options, &asked);
		if (r != -ECONNRESET || reservation->link.kind != FIND_PRIVATE)
			break;
	}
	if (r == -ECONNRESET && reservation->link.kind == FIND_PRIVATE)
		cli_error("lithosd at %s %s", reservation->link.socket, client_strerror(r));
	if (r == 0)
		r = choice_made(&reservation->choice, options, reservation->admitted.gpu_uuid,
				reservation->admitted.nr_gpus);
	if (r < 0) {
		reservation_end(reservation);
		return r;
	}
	reservation->is_held = 1;
	reservation->since_ms = now_ms();
	reservation->watch.fd = reservation->link.fd;
	return 0;
}

int reservation_tell_unconfined(const struct reservation *reservation, uint32_t pid,
				const char *what)
{
	union client_message message;
	struct proto_unattached *said = &message.unattached;

	/* While the connection is being made anew, the first message must be another. */
	if (!reservation->is_held || reservation->link.fd < 0 || reservation->has_said_lost)
		return -ENOTCONN;
	client_message_init(&message, PROTO_UNATTACHED, sizeof(*said));
	memcpy(said->token, reservation->admitted.token, sizeof(said->token));
	said->confinement = PROTO_UNCONFINED;
	said->pid = pid;
	(void)snprintf(said->reason, sizeof(said->reason), "it has the driver itself: %.*s",
		       (int)sizeof(said->reason) - 32, what);
	return client_send(reservation->link.fd, &message, 0);
}

void reservation_token_text(const struct reservation *reservation,
			    char ret_text[2 * PROTO_TOKEN_BYTES + 1])
{
	for (size_t i = 0; i < PROTO_TOKEN_BYTES; i++)
		(void)snprintf(ret_text + 2 * i, 3, "%02x", reservation->admitted.token[i]);
}

void reservation_end(struct reservation *reservation)
{
	if (reservation->link.fd >= 0)
		(void)close(reservation->link.fd);
	reservation->link.fd = -1;
	reservation->is_held = 0;
}
