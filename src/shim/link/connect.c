/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching to the daemon, and staying attached.
 *
 * The first context waits for one handshake, half a second at most: after that the process knows
 * what it owns. From then on a thread of ours keeps the socket. It maps the activities of owners as
 * they come, and when the daemon goes it comes back: 100 ms later, then ever longer up to 2 s, with
 * the token, its line and the activity region it has, so that a new daemon finds everything where
 * it was. Nothing of this is waited for by a launch: grant and board stay mapped, and when new ones
 * come they take the old ones' addresses.
 *
 * A process that no daemon answers at its first context is detached (detached.c): confined at once,
 * to what `lithos run` told it, by a grant and a board of its own at the same addresses. The thread
 * goes on asking at the same pace, and when it is answered the daemon's take their places. Best
 * effort waits first, up to 3 s, for a daemon that may come back: an owner has TPCs that are surely
 * its own, best effort has none.
 *
 * On a return the peers are dropped before the new board is there: a generation of the old daemon
 * may name another tenant at the new one. Until the new peers arrive their owners count as active.
 *
 * fork: the child has copies of the descriptors, which it closes, and no thread. It says nothing on
 * the parent's line and attaches anew at its own first context. exec: all descriptors are
 * close-on-exec. exit: the line is given up; when the process is killed the daemon sees it die.
 *
 * What it does badly: a process uses one shared GPU; further devices are forwarded as they are.
 *
 * Tested by tests/integration/link_shim.c with a daemon of its own that dies, lies and refuses.
 */
#include "shim/link/connect.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/quiet_thread.h"
#include "base/uuid.h"
#include "shim/link/link.h"
#include "shim/link/wire.h"
#include "shim/split/epoch.h"
#include "shim/tenant.h"

#define HANDSHAKE_NS    1000000000u
#define FIRST_NS        500000000u  /* the handshake that a context waits for */
#define BEST_EFFORT_NS  3000000000u /* all of them, where nothing is surely the tenant's */
#define AGAIN_MS        50
#define RETURN_FIRST_MS 100
#define RETURN_LAST_MS  2000
#define STACK_BYTES     ((size_t)256 * 1024)

struct link link_state;

static struct {
	uint8_t token[PROTO_TOKEN_BYTES];
	int has_token;
	struct link_device device;
	int is_tried;
	int activity_fd;
	_Atomic uint32_t
		is_over; /* the thread ends; futex word. No descriptor: there may be none */
	int is_attached; /* once: the line is ours, and the thread comes back to it */
	pthread_t thread;
	int has_thread;
	pthread_mutex_t lock; /* guards socket, which link_stop() shuts down */
	int socket;
	struct wire_message message; /* of the handshake, then the thread's */
} keeper = {.lock = PTHREAD_MUTEX_INITIALIZER, .activity_fd = -1, .socket = -1};

static int token_read(const char *text, uint8_t ret_token[PROTO_TOKEN_BYTES])
{
	if (strlen(text) != (size_t)2 * PROTO_TOKEN_BYTES)
		return -EINVAL;
	for (size_t i = 0; i < PROTO_TOKEN_BYTES; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return -EINVAL;
		ret_token[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

int link_is_wanted(void)
{
	const struct options *options = &tenant.options;

	if (!options->token[0] || !options->socket[0] || !strcmp(options->socket, "none"))
		return 0;
	keeper.has_token = !token_read(options->token, keeper.token);
	if (keeper.has_token)
		return 1;
	log_line(NULL, LOG_WARN, "msg=\"LITHOS_TOKEN is not 32 hex digits: no daemon\"");
	return 0;
}

int link_token(uint8_t ret_token[PROTO_TOKEN_BYTES])
{
	if (keeper.has_token)
		memcpy(ret_token, keeper.token, sizeof(keeper.token));
	return keeper.has_token;
}

static void socket_set(int fd)
{
	(void)pthread_mutex_lock(&keeper.lock);
	if (keeper.socket >= 0)
		(void)close(keeper.socket);
	keeper.socket = fd;
	(void)pthread_mutex_unlock(&keeper.lock);
}

/* --- handshake --- */

static int attach_send(int socket, int is_return)
{
	struct proto_attach attach = {
		.header = {.magic = PROTO_MAGIC,
			   .version = PROTO_VERSION,
			   .type = PROTO_ATTACH,
			   .bytes = sizeof(attach)},
		.flags = is_return ? PROTO_ATTACH_RETURN : 0,
		.line = is_return ? link_state.line_index : 0,
	};

	memcpy(attach.token, keeper.token, sizeof(attach.token));
	memcpy(attach.gpu_uuid, keeper.device.uuid, sizeof(attach.gpu_uuid));
	return wire_send(socket, &attach, sizeof(attach), is_return ? keeper.activity_fd : -1);
}

/* Text of somebody else's, for a log line: one line, no quotes, an end. */
static void text_clean(char text[PROTO_TEXT_BYTES])
{
	text[PROTO_TEXT_BYTES - 1] = '\0';
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == '"')
			*c = ' ';
	}
}

static void text_log(struct wire_message *message, const char *what)
{
	static struct log_site site;

	text_clean(message->text.text);
	log_line(&site, LOG_WARN, "msg=\"%s\" text=\"%s\"", what, message->text.text);
}

/* Waits for the answer to ATTACH, which comes before anything else. */
static int answer_wait(int socket, uint64_t deadline_ns, struct wire_message *message)
{
	int err;

	do {
		err = wire_wait(socket, deadline_ns);
		if (!err)
			err = wire_receive(socket, message);
	} while (err == -EAGAIN);
	if (err)
		return err;
	if (message->header.type == PROTO_ATTACHED && message->nr_fds == PROTO_NR_ATTACH_FDS)
		return 0;
	wire_close_fds(message);
	if (message->header.type != PROTO_REFUSED)
		return -EPROTO;
	text_log(message, "the daemon refused");
	return -EACCES;
}

/* A connected socket on which the daemon has answered; its regions are in `message`. */
static int handshake(int is_return, uint64_t deadline, struct wire_message *message)
{
	int fd = wire_connect(tenant.options.socket, deadline);
	int err;

	if (fd < 0)
		return fd;
	socket_set(fd);
	err = attach_send(fd, is_return);
	if (!err)
		err = answer_wait(fd, deadline, message);
	if (err)
		socket_set(-1);
	return err;
}

static void line_begin(struct shm_proc *line)
{
	__atomic_store_n(&line->pid, (uint32_t)getpid(), __ATOMIC_RELAXED);
	__atomic_store_n(&line->beat_ns, clock_now_ns(), __ATOMIC_RELAXED);
	epoch_publish();
}

static void fd_replace(int *at, int fd)
{
	if (*at >= 0)
		(void)close(*at);
	*at = fd;
}

static int regions_take(struct wire_message *message)
{
	int err = region_map_activity(message->fd[1]);

	if (!err)
		err = region_map_board(message->fd[2], keeper.device.uuid);
	if (!err)
		err = region_map_grant(message->fd[0]);
	if (err)
		return err;
	fd_replace(&keeper.activity_fd, message->fd[1]);
	message->fd[1] = message->fd[2];
	message->nr_fds = 2;
	return 0;
}

/* The daemon's topology, if it was proved, whole, and of this device. */
static int topology_take(const struct proto_attached *attached)
{
	struct topology *topo = &link_state.topo;
	const struct link_device *device = &keeper.device;

	if (!(attached->flags & PROTO_ATTACHED_VERIFIED) ||
	    attached->topology_bytes != sizeof(*topo))
		return 0;
	memcpy(topo, attached->topology, sizeof(*topo));
	return !topology_check(topo) && !memcmp(topo->uuid, device->uuid, sizeof(topo->uuid)) &&
	       topo->nr_sms == device->nr_sms && topo->driver_version == device->driver_version;
}

_Static_assert(sizeof(struct topology) <= PROTO_TOPOLOGY_MAX, "fits into the message");

/* A line of the tenant's activity becomes the process' own. */
static int attach_once(uint64_t deadline_ns)
{
	struct wire_message *message = &keeper.message;
	int err = handshake(0, deadline_ns, message);

	if (err)
		return err;
	err = message->attached.line < SHM_MAX_PROCS ? regions_take(message) : -EPROTO;
	wire_close_fds(message);
	if (err) {
		socket_set(-1);
		return err;
	}
	link_state.line_index = message->attached.line;
	line_begin(&link_state.activity->proc[link_state.line_index]);
	link_line_set(&link_state.activity->proc[link_state.line_index]);
	keeper.is_attached = 1;
	return 0;
}

static int attach_begin(uint64_t deadline_ns)
{
	int err = attach_once(deadline_ns);

	if (err)
		return err;
	link_state.is_verified = (uint32_t)topology_take(&keeper.message.attached);
	link_state.present = link_state.is_verified ? link_state.topo.present : tpcset_full();
	err = view_first();
	if (err)
		socket_set(-1);
	return err;
}

/*
 * 1 for what a daemon that is stopped, gone or starting looks like, and not for an answer of
 * its.
 */
static int may_pass(int err)
{
	return err == -ETIMEDOUT || err == -ECONNREFUSED || err == -ECONNRESET || err == -ENOENT;
}

/*
 * An owner runs on its own TPCs when nobody answers; best effort would run on somebody's, so it
 * waits.
 */
static int first_attach(void)
{
	uint64_t now = clock_now_ns();
	uint64_t end = now + (link_is_best_effort() ? BEST_EFFORT_NS : 0);
	int err = attach_begin(now + FIRST_NS);

	if (err && may_pass(err) && link_is_best_effort())
		log_line(NULL, LOG_WARN,
			 "msg=\"waiting for the daemon, 3 s at most\" socket=\"%s\"",
			 tenant.options.socket);
	while (err && may_pass(err) && time_before(clock_now_ns(), end)) {
		(void)poll(NULL, 0, AGAIN_MS);
		err = attach_begin(end);
	}
	return err;
}

/* --- the thread --- */

static void peers_drop(void)
{
	for (uint32_t i = 0; i < SHM_MAX_OWNERS; i++) {
		if (__atomic_load_n(&link_state.peer[i].tag, __ATOMIC_RELAXED))
			region_drop_peer(i);
	}
}

/* A detached process is answered: what it ran on by itself gives way to what it was granted. */
static int attach_late(void)
{
	int err = attach_once(clock_now_ns() + HANDSHAKE_NS);

	if (err)
		return err;
	(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
	/* As after a return: the tracker knows better soon. */
	__atomic_store_n(&link_line()->active, 1, __ATOMIC_SEQ_CST);
	thread_count(STATS_share_late);
	log_line(NULL, LOG_INFO, "msg=\"attached to the daemon\" socket=\"%s\"",
		 tenant.options.socket);
	return 0;
}

static int return_to_daemon(void)
{
	struct wire_message *message = &keeper.message;
	int err = handshake(1, clock_now_ns() + HANDSHAKE_NS, message);

	if (err)
		return err;
	peers_drop();
	err = message->attached.line == link_state.line_index ? regions_take(message) : -EPROTO;
	wire_close_fds(message);
	/* Also after an error: one of the regions may be new. */
	(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
	line_begin(link_line());
	/* The activity may be another memory than before: say "active", the tracker knows better
	 * soon. */
	__atomic_store_n(&link_line()->active, 1, __ATOMIC_SEQ_CST);
	if (err)
		socket_set(-1);
	else
		thread_count(STATS_share_returns);
	return err;
}

static int peer_take(struct wire_message *message)
{
	if (message->nr_fds != 1)
		return -EPROTO;
	return region_map_peer(message->fd[0], message->peer.owner_index, message->peer.generation);
}

/* One message; a region that makes no sense costs the peer, not the connection. */
static int message_handle(void)
{
	struct wire_message *message = &keeper.message;
	int err = wire_receive(keeper.socket, message);

	if (err)
		return err == -EAGAIN ? 0 : err;
	switch (message->header.type) {
	case PROTO_PEER:
		if (peer_take(message))
			thread_count(STATS_share_rejected);
		break;
	case PROTO_PEER_GONE:
		region_drop_peer(message->peer.owner_index);
		break;
	case PROTO_NOTICE:
		text_log(message, "notice of the daemon");
		break;
	default:
		err = -EPROTO;
	}
	wire_close_fds(message);
	return err;
}

/* Views depend on whether the daemon is there. */
static void lost_set(uint32_t is_lost)
{
	if (atomic_exchange_explicit(&link_state.is_lost, is_lost, memory_order_relaxed) != is_lost)
		(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
}

/* 1 when the thread must end. link_stop() ends either wait. */
static int wait_for(int timeout_ms)
{
	struct pollfd watched = {.fd = keeper.socket, .events = POLLIN};

	/* pairs with the order in link_stop(): the word before the socket is shut down */
	if (atomic_load(&keeper.is_over))
		return 1;
	if (keeper.socket >= 0)
		(void)poll(&watched, 1, -1);
	else
		futex_wait(&keeper.is_over, 0, (uint64_t)timeout_ms * 1000000u, FUTEX_WORD_PRIVATE);
	return atomic_load(&keeper.is_over) != 0;
}

/* A message, or the end of the connection. */
static void connection_serve(void)
{
	int err = message_handle();

	if (err == -EPROTO)
		thread_count(STATS_share_rejected);
	if (err)
		socket_set(-1);
}

/*
 * What is known without a daemon that is gone changes views; what a detached process knows does
 * not.
 */
static int ask_again(void)
{
	int err;

	if (!keeper.is_attached)
		return attach_late();
	err = return_to_daemon();
	lost_set(err != 0);
	return err;
}

static void *keeper_main(void *arg)
{
	int delay_ms = RETURN_FIRST_MS;

	(void)arg;
	while (!wait_for(delay_ms)) {
		if (keeper.socket >= 0) {
			connection_serve();
			delay_ms = RETURN_FIRST_MS;
		} else if (ask_again()) {
			delay_ms = delay_ms * 2 < RETURN_LAST_MS ? delay_ms * 2 : RETURN_LAST_MS;
		}
	}
	return NULL;
}

static int thread_start(void)
{
	int err = quiet_thread_start(&keeper.thread, STACK_BYTES, keeper_main, NULL);

	keeper.has_thread = !err;
	return err;
}

static void keeper_close(void)
{
	socket_set(-1);
	fd_replace(&keeper.activity_fd, -1);
}

/* The process shares its GPU from here on, whoever says what it may use. */
static void link_on(void)
{
	activity_start();
	/* pairs with the acquire in link_is_on() */
	atomic_store_explicit(&link_state.is_on, 1, memory_order_release);
}

int link_attach(const struct link_device *device)
{
	int err;

	if (keeper.is_tried)
		return link_is_on() && !memcmp(keeper.device.uuid, device->uuid, 16) ? 0
										     : -EALREADY;
	err = regions_reserve();
	if (err)
		return err;
	keeper.is_tried = 1;
	keeper.device = *device;
	err = first_attach();
	if (!err)
		err = thread_start();
	if (!err) {
		link_on();
		return 0;
	}
	keeper_close();
	keeper.is_attached = 0;
	detached_begin(err);
	link_on();
	return 0;
}

int link_confine(const struct topology *topo, uint32_t nr_own)
{
	int err;

	if (!detached_is_on() || keeper.has_thread)
		return 0;
	link_set_present(topo);
	err = detached_fill(topo, nr_own);
	/* Only now: what the daemon says must not be overwritten. */
	if (!err && thread_start())
		log_line(NULL, LOG_WARN, "msg=\"no thread: the daemon is not asked again\"");
	return err;
}

const struct topology *link_verified_topology(const struct link_device *device)
{
	if (!link_is_on() || !link_state.is_verified ||
	    memcmp(keeper.device.uuid, device->uuid, sizeof(device->uuid)) != 0)
		return NULL;
	return &link_state.topo;
}

void link_set_present(const struct topology *topo)
{
	link_state.present = topo->present;
	/* Views made with more TPCs than there are must not stay. */
	(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
}

void link_stop(void)
{
	if (!keeper.has_thread)
		return;
	atomic_store_explicit(&link_state.is_on, 0, memory_order_release);
	activity_stop();
	atomic_store(&keeper.is_over, 1);
	futex_wake(&keeper.is_over, 1, FUTEX_WORD_PRIVATE);
	(void)pthread_mutex_lock(&keeper.lock);
	if (keeper.socket >= 0)
		(void)shutdown(keeper.socket, SHUT_RDWR); /* ends a handshake under way */
	(void)pthread_mutex_unlock(&keeper.lock);
	(void)pthread_join(keeper.thread, NULL);
	keeper.has_thread = 0;
	keeper_close();
}

void link_after_fork(void)
{
	(void)pthread_mutex_init(&keeper.lock, NULL);
	keeper.has_thread = 0;
	keeper.is_tried = 0;
	keeper.is_attached = 0;
	atomic_store(&keeper.is_over, 0);
	keeper_close();
	detached_forget();
	atomic_store_explicit(&link_state.is_on, 0, memory_order_release);
	(void)atomic_fetch_add_explicit(&link_state.generation, 1, memory_order_release);
	activity_reset();
	hold_reset();
	view_reset();
	regions_forget();
}
