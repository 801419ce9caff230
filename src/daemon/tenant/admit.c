/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: a wish becomes a tenant, or a sentence that says who is in the way.
 *
 * "node full" helps nobody; a refusal names the tenants that hold the TPCs of the GPU that came
 * closest, largest first, as far as the text goes:
 *
 *   33 of 66 TPCs wanted, 12 are free; held by: bert (40, uid 1000), llama (14, uid 1001)
 *
 * The state file is written before the answer is sent, because the token in it is all that lets the
 * tenant come back.
 *
 * A program that starts while MPS does runs without it for its whole life, so a wish that comes in
 * that time is answered when MPS serves or is known not to come, ten seconds after it went away at
 * the latest. Those who wait are answered in the order in which they came.
 *
 * Tested by tests/integration/daemon_admit.c and daemon_mps.bats.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include <lithos/proto.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/uuid.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"

#define MAX_PRIORITY 1000u
#define UUID_DIGITS  32
#define MPS_WAIT_NS  10000000000u

/* --- refusing --------------------------------------------------------------------------------- */

/* The owner with the most TPCs among those with fewer than `below` (ties: by place after it). */
static const struct tenant *next_holder(const struct daemon *daemon, uint32_t gpu,
					const struct tenant *after)
{
	const struct tenant *best = NULL;
	uint32_t best_n = 0;

	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		uint32_t n = tpcset_count(&t->grant.tpcs);
		uint32_t after_n = after ? tpcset_count(&after->grant.tpcs) : UINT32_MAX;

		if (t->grant.gpu != gpu || t->grant.place == SHM_NO_OWNER || n > after_n)
			continue;
		if (after && n == after_n && t->grant.place <= after->grant.place)
			continue;
		if (!best || n > best_n || (n == best_n && t->grant.place < best->grant.place)) {
			best = t;
			best_n = n;
		}
	}
	return best;
}

static size_t append(char *text, size_t size, size_t used, const char *part)
{
	size_t length = strlen(part);

	if (used + length >= size)
		return used;
	memcpy(text + used, part, length + 1);
	return used + length;
}

static void list_holders(const struct daemon *daemon, uint32_t gpu, char *text, size_t size)
{
	const struct tenant *t = NULL;
	size_t used = 0;
	char part[PROTO_NAME_BYTES + 64];

	text[0] = '\0';
	while ((t = next_holder(daemon, gpu, t)) != NULL) {
		if (used + sizeof(part) >= size) {
			(void)append(text, size, used, ", and others");
			return;
		}
		(void)snprintf(part, sizeof(part), "%s%s (%u, uid %u)", used ? ", " : "", t->name,
			       tpcset_count(&t->grant.tpcs), (unsigned int)t->uid);
		used = append(text, size, used, part);
	}
}

static void refuse_full(struct connection *c, const struct ledger_refusal *why)
{
	char holders[700];
	char uuid[UUID_TEXT_BYTES];
	const struct ledger_gpu *gpu = &c->daemon->ledger.gpu[why->gpu];

	if (why->wanted > why->nr_all) {
		connection_refuse(c, "%u TPCs wanted, but the GPU has %u", why->wanted,
				  why->nr_all);
		return;
	}
	list_holders(c->daemon, why->gpu, holders, sizeof(holders));
	connection_refuse(c, "%u of %u TPCs wanted, %u are free on %s%s; held by: %s", why->wanted,
			  why->nr_all, why->nr_free, uuid_text(gpu->topo.uuid, uuid),
			  c->daemon->ledger.nr_gpus > 1 ? " (the GPU that comes closest)" : "",
			  holders[0] ? holders : "nobody");
}

/* --- what is asked for ------------------------------------------------------------------------ */

static uint32_t tenants_of(const struct daemon *daemon, uid_t uid)
{
	uint32_t nr = 0;

	for (const struct tenant *t = daemon->tenants; t; t = t->next)
		nr += t->uid == uid;
	return nr;
}

/* The GPU that a UUID, or its beginning from "GPU-" on, names; -ENOENT when none or several are. */
static int gpu_named(const struct daemon *daemon, const char *name, size_t length)
{
	uint8_t uuid[16];
	char text[UUID_TEXT_BYTES];
	int found = -ENOENT;

	if (config_parse_uuid(name, length, uuid) == 0)
		return gpu_by_uuid(daemon, uuid);
	for (uint32_t i = 0; i < daemon->ledger.nr_gpus; i++) {
		(void)uuid_text(daemon->ledger.gpu[i].topo.uuid, text);
		if (length <= strlen("GPU-") || strncasecmp(name, text, length) != 0)
			continue;
		if (found >= 0)
			return -ENOENT;
		found = (int)i;
	}
	return found;
}

/* Bits of the GPUs named in the list, up to the first that is none of ours, as CUDA reads it. */
static uint32_t gpus_named(const struct daemon *daemon, const char *list)
{
	uint32_t bits = 0;

	while (*list) {
		size_t length = strcspn(list, ",");
		int gpu = gpu_named(daemon, list, length);

		if (gpu < 0)
			return bits;
		bits |= 1u << gpu;
		list += length + (list[length] == ',');
	}
	return bits;
}

static int read_request(struct connection *c, const struct proto_admit *message,
			struct ledger_request *ret_request)
{
	const struct daemon *daemon = c->daemon;
	uint32_t all = (uint32_t)((1ull << daemon->ledger.nr_gpus) - 1);
	uint32_t gpus = message->gpus[0] ? gpus_named(daemon, message->gpus) : all;

	if (message->priority > MAX_PRIORITY || message->quota_percent > 100 ||
	    (message->quota_percent && message->quota_tpcs)) {
		connection_refuse(c,
				  "bad request: priority is 0-1000, quota TPCs or 1-100 percent");
		return -EINVAL;
	}
	if (!gpus) {
		connection_refuse(c, "no such GPU is managed here: %s", message->gpus);
		return -ENODEV;
	}
	if (tenants_of(daemon, c->uid) >= daemon->config.max_tenants) {
		connection_refuse(c, "user %u has %u tenants already, which is the limit",
				  (unsigned int)c->uid, daemon->config.max_tenants);
		return -EDQUOT;
	}
	*ret_request = (struct ledger_request){
		.tenant = daemon->last_tenant_id + 1,
		.quota = {.tpcs = message->quota_tpcs, .percent = message->quota_percent},
		.gpus = gpus};
	return 0;
}

/* For people, logs and JSON: printable ASCII, whatever was sent. */
static void name_tenant(struct tenant *t, const char *name)
{
	size_t n = 0;

	for (; n < sizeof(t->name) - 1 && name[n]; n++)
		t->name[n] = name[n] > 0x20 && name[n] < 0x7f ? name[n] : '_';
	t->name[n] = '\0';
	if (!n)
		(void)snprintf(t->name, sizeof(t->name), "tenant-%u", t->id);
}

/* --- answering -------------------------------------------------------------------------------- */

static void send_admitted(struct connection *c, const struct tenant *t)
{
	struct daemon *daemon = c->daemon;
	const struct topology *topo = &daemon->ledger.gpu[t->grant.gpu].topo;
	struct proto_admitted admitted = {
		.nr_own = tpcset_count(&t->grant.tpcs),
		.nr_tpcs = topo->nr_tpcs,
		.nr_gpus = daemon->ledger.nr_gpus,
		.mps_is_on = (uint32_t)mps_is_serving(&daemon->mps),
		.mps_client_priority = t->grant.place == SHM_NO_OWNER,
		.tpcs = t->grant.place == SHM_NO_OWNER ? daemon->ledger.gpu[t->grant.gpu].free
						       : t->grant.tpcs,
	};

	memcpy(admitted.token, t->token, sizeof(admitted.token));
	memcpy(admitted.gpu_uuid, topo->uuid, sizeof(admitted.gpu_uuid));
	memcpy(admitted.tenant, t->name, sizeof(admitted.tenant));
	(void)snprintf(admitted.mps_pipe_directory, sizeof(admitted.mps_pipe_directory), "%s",
		       mps_pipe_directory(&daemon->mps));
	(void)connection_send(c, &admitted, PROTO_ADMITTED, sizeof(admitted), 0, NULL);
}

static void log_admitted(const struct tenant *t)
{
	char uuid[UUID_TEXT_BYTES];

	log_line(NULL, LOG_INFO, "msg=\"admitted\" tenant=\"%s\" id=%u uid=%u tpcs=%u gpu=%s",
		 t->name, t->id, (unsigned int)t->uid, tpcset_count(&t->grant.tpcs),
		 uuid_text(t->daemon->ledger.gpu[t->grant.gpu].topo.uuid, uuid));
}

static struct tenant *make_tenant(struct connection *c, const struct proto_admit *message,
				  const struct ledger_request *request,
				  const struct ledger_grant *grant)
{
	struct tenant like = {.id = request->tenant,
			      .uid = c->uid,
			      .priority = message->priority,
			      .quota = request->quota,
			      .grant = *grant,
			      .admitted_ns = clock_now_ns(),
			      .reservation = c};

	name_tenant(&like, message->tenant);
	if (getrandom(like.token, sizeof(like.token), 0) != (ssize_t)sizeof(like.token))
		return NULL;
	return tenant_new(c->daemon, &like);
}

/* A process that is known from its pid alone (no /proc) is waited for after a restart, as ever. */
static void take_launcher(struct tenant *t, struct connection *c)
{
	char state;

	c->reserves = t;
	t->launcher_pid = process_stat(c->pid, &t->launcher_start, &state) == 0 ? c->pid : 0;
}

/* Admits, or refuses. */
static void answer(struct connection *c, const struct proto_admit *message)
{
	struct daemon *daemon = c->daemon;
	struct ledger_refusal why = {0};
	struct ledger_request request;
	struct ledger_grant grant;
	struct tenant *t;
	int r;

	if (read_request(c, message, &request) < 0)
		return;
	r = ledger_admit(&daemon->ledger, &request, &grant, &why);
	if (r == -ENOSPC)
		refuse_full(c, &why);
	else if (r < 0)
		connection_refuse(c, "too many tenants on the GPU");
	if (r < 0)
		return;
	daemon->last_tenant_id = request.tenant;
	t = make_tenant(c, message, &request, &grant);
	if (!t) {
		(void)ledger_release(&daemon->ledger, request.tenant);
		connection_refuse(c, "the daemon is out of memory or descriptors");
		return;
	}
	take_launcher(t, c);
	state_touch(t);
	state_flush(daemon);
	log_admitted(t);
	send_admitted(c, t);
}

/* --- waiting for MPS -------------------------------------------------------------------------- */

static int must_wait(const struct daemon *daemon)
{
	return daemon->mps_away_ns && clock_now_ns() - daemon->mps_away_ns < MPS_WAIT_NS;
}

static struct connection *first_asking(const struct daemon *daemon)
{
	struct connection *first = NULL;

	for (struct connection *c = daemon->server.connections; c; c = c->next) {
		if (c->asking && (!first || c->asking < first->asking))
			first = c;
	}
	return first;
}

void admit_waiting(struct daemon *daemon)
{
	struct connection *c;

	while ((daemon->is_ending || !must_wait(daemon)) && (c = first_asking(daemon)) != NULL) {
		c->asking = 0;
		if (daemon->is_ending)
			connection_drop(c);
		else
			answer(c, &c->asked);
	}
}

int admit_request(struct connection *c, const struct proto_admit *message)
{
	struct server *server = &c->daemon->server;

	if (c->reserves || c->process || c->is_waiting || c->asking)
		return -EPROTO;
	if (c->daemon->is_ending) {
		/* It finds, or starts, the next daemon. */
		connection_drop(c);
	} else if (must_wait(c->daemon)) {
		c->asking = ++server->last_asking;
		c->asked = *message;
		log_line(NULL, LOG_DEBUG, "msg=\"waits for MPS\" pid=%d", (int)c->pid);
	} else {
		answer(c, message);
	}
	return 0;
}

int admit_return(struct connection *c, const struct proto_attach *message)
{
	struct tenant *t = tenant_by_token(c->daemon, message->token);

	if (c->reserves || c->process || c->is_waiting || c->asking)
		return -EPROTO;
	if (!t || (c->uid != t->uid && c->uid != 0)) {
		connection_refuse(c, "no such tenant: it has ended");
		return 0;
	}
	/* Whoever holds the token may take the reservation over from a connection that is stuck. */
	if (t->reservation) {
		t->reservation->reserves = NULL;
		connection_drop(t->reservation);
	}
	t->reservation = c;
	t->is_awaited = 0;
	take_launcher(t, c);
	state_touch(t);
	send_admitted(c, t);
	return 0;
}
