/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the daemon knows, as one JSON text in a sealed memfd. The fields are listed in lithosd(8).
 *
 * The numbers of a tenant are the sums over its attached processes' lines, plus what its ended
 * processes had reached. A tenant may write any number there, so each is copied once and cut to
 * what JSON readers can hold; they are for people, and decide nothing.
 *
 * A report of 32 tenants takes about 0.2 ms to build; it is built when somebody asks.
 * Tested by tests/integration/daemon_admit.c and daemon_share.c.
 */
#include "daemon/status.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/daemon.h"
#include "daemon/tenant/tenant.h"
#include "daemon/tenant/unattached.h"
#include "daemon/tenant/waiting.h"

#define STATUS_VERSION 1
#define SET_TEXT_BYTES 640

/* A tenant's lines, summed up. */
struct sums {
	struct tenant_totals totals;
	uint64_t nr_queued;
	uint64_t memory_bytes;
	uint32_t last_error;
	int is_stopped;
};

static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* "0-8,27,75": ranges of bits. */
static const char *set_text(const struct tpcset *set, char text[SET_TEXT_BYTES])
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int bit = 0; bit < TPCSET_BITS; bit++) {
		unsigned int last = bit;

		if (!tpcset_has(set, bit))
			continue;
		while (last + 1 < TPCSET_BITS && tpcset_has(set, last + 1))
			last++;
		used += (size_t)snprintf(text + used, SET_TEXT_BYTES - used,
					 last > bit ? "%s%u-%u" : "%s%u", used ? "," : "", bit,
					 last);
		bit = last;
	}
	return text;
}

static json_t *set_json(const struct tpcset *set)
{
	char text[SET_TEXT_BYTES];

	return json_string(set_text(set, text));
}

/* --- tenants ---------------------------------------------------------------------------------- */

static void add_line(struct sums *sums, const struct shm_proc *line)
{
	sums->totals.nr_launches += line->nr_launches;
	sums->totals.nr_deferred += line->nr_deferred;
	sums->totals.nr_reclaims += line->nr_reclaims;
	sums->totals.own_tpc_ns += line->own_tpc_ns;
	sums->totals.borrowed_tpc_ns += line->borrowed_tpc_ns;
	sums->nr_queued += line->nr_queued;
	sums->memory_bytes += line->memory_bytes;
	if (line->last_error)
		sums->last_error = line->last_error;
}

static struct sums sum_up(const struct tenant *t)
{
	const struct shm_activity *activity = t->activity.map;
	struct sums sums = {.totals = t->ended};

	for (uint32_t i = 0; activity && i < SHM_MAX_PROCS; i++) {
		uint64_t start;
		char state = '?';

		if (!t->process[i])
			continue;
		add_line(&sums, &activity->proc[i]);
		if (process_stat(t->process[i]->pid, &start, &state) == 0 &&
		    (state == 'T' || state == 't'))
			sums.is_stopped = 1;
	}
	return sums;
}

static const char *state_name(const struct tenant *t, const struct sums *sums)
{
	if (!t->activity.map)
		return "gone";
	if (sums->is_stopped || t->is_stalled)
		return "stopped";
	if (waiting_is(t))
		return "waiting";
	return t->is_active || t->member.wants ? "active" : "idle";
}

/* Its own TPCs that are others' to use at the moment. */
static uint32_t nr_lent_by(const struct tenant *t)
{
	struct tpcset lent = {{0}};

	if (t->member.is_active || t->member.wants)
		return 0;
	for (const struct tenant *o = t->daemon->tenants; o; o = o->next) {
		if (o->member.wants && o->grant.gpu == t->grant.gpu)
			lent = tpcset_or(lent, o->member.borrow);
	}
	lent = tpcset_and(lent, t->grant.tpcs);
	return tpcset_count(&lent);
}

static json_t *pids_json(const struct tenant *t)
{
	json_t *pids = json_array();

	for (uint32_t i = 0; i < SHM_MAX_PROCS; i++) {
		if (t->process[i])
			(void)json_array_append_new(pids, json_integer(t->process[i]->pid));
	}
	return pids;
}

static json_t *use_json(const struct tenant *t, const struct sums *sums)
{
	double nr_tpcs = t->daemon->ledger.gpu[t->grant.gpu].topo.nr_tpcs;

	return json_pack("{s:o, s:o, s:o, s:o, s:f, s:f, s:o, s:I}", "launches",
			 number(sums->totals.nr_launches), "deferred",
			 number(sums->totals.nr_deferred), "queued", number(sums->nr_queued),
			 "reclaims", number(sums->totals.nr_reclaims), "own_gpu_s",
			 (double)sums->totals.own_tpc_ns / nr_tpcs / 1e9, "borrowed_gpu_s",
			 (double)sums->totals.borrowed_tpc_ns / nr_tpcs / 1e9, "memory_bytes",
			 number(sums->memory_bytes), "last_error", (json_int_t)sums->last_error);
}

/* "borrow" is what it may use of others when those are idle, "borrowed" what it may use now. */
static json_t *tpcs_json(const struct tenant *t)
{
	return json_pack("{s:I, s:o, s:I, s:I, s:I, s:o}", "own",
			 (json_int_t)tpcset_count(&t->grant.tpcs), "own_set",
			 set_json(&t->grant.tpcs), "lent", (json_int_t)nr_lent_by(t), "borrowed",
			 (json_int_t)waiting_nr_borrowed(t), "borrow",
			 (json_int_t)tpcset_count(&t->member.borrow), "borrow_set",
			 set_json(&t->member.borrow));
}

static uint32_t nr_unconfined(const struct tenant *t)
{
	uint32_t nr = 0;

	for (const struct unattached *u = t->daemon->unattached; u; u = u->next)
		nr += u->tenant == t && u->confinement == PROTO_UNCONFINED;
	return nr;
}

static json_t *tenant_json(const struct tenant *t)
{
	struct sums sums = sum_up(t);
	char uuid[UUID_TEXT_BYTES], why[WAITING_BYTES];
	json_t *json = json_pack(
		"{s:I, s:s, s:I, s:s, s:o, s:I, s:I, s:I, s:s, s:b, s:b}", "id", (json_int_t)t->id,
		"name", t->name, "uid", (json_int_t)t->uid, "gpu",
		uuid_text(t->daemon->ledger.gpu[t->grant.gpu].topo.uuid, uuid), "pids",
		pids_json(t), "quota", (json_int_t)tpcset_count(&t->grant.tpcs), "quota_percent",
		(json_int_t)t->quota.percent, "priority", (json_int_t)t->priority, "state",
		state_name(t, &sums), "wants", (int)t->member.wants, "reserved",
		t->reservation != NULL || t->is_awaited);

	(void)json_object_update_new(json, json_pack("{s:I, s:I}", "unattached",
						     (json_int_t)unattached_count(t->daemon, t),
						     "unconfined", (json_int_t)nr_unconfined(t)));
	(void)json_object_update_new(json, tpcs_json(t));
	(void)json_object_set_new(json, "waiting_for",
				  waiting_is(t) ? json_string(waiting_for(t, why)) : json_null());
	(void)json_object_update_new(json, use_json(t, &sums));
	return json;
}

static json_t *tenants_json(const struct daemon *daemon)
{
	json_t *list = json_array();

	/* The newest is first in the daemon's list; people expect it last. */
	for (const struct tenant *t = daemon->tenants; t; t = t->next)
		(void)json_array_insert_new(list, 0, tenant_json(t));
	return list;
}

/* Who runs without being attached: of which tenant (0 and "": of none), how, why. */
static json_t *unattached_json(const struct daemon *daemon)
{
	json_t *list = json_array();

	for (const struct unattached *u = daemon->unattached; u; u = u->next)
		(void)json_array_append_new(
			list, json_pack("{s:I, s:I, s:I, s:s, s:b, s:s}", "pid", (json_int_t)u->pid,
					"uid", (json_int_t)u->uid, "tenant",
					u->tenant ? (json_int_t)u->tenant->id : 0, "name",
					u->tenant ? u->tenant->name : "", "confined",
					u->confinement == PROTO_CONFINED, "reason", u->reason));
	return list;
}

/* --- GPUs and ledger -------------------------------------------------------------------------- */

static struct share_counts count_gpu(const struct daemon *daemon, uint32_t gpu)
{
	static struct share_member *members[LEDGER_MAX_GUESTS + SHM_MAX_OWNERS];
	static struct share_member copies[LEDGER_MAX_GUESTS + SHM_MAX_OWNERS];
	struct share_counts counts;
	uint32_t nr = 0;

	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		if (t->grant.gpu != gpu)
			continue;
		copies[nr] = t->member;
		members[nr] = &copies[nr];
		nr++;
	}
	share_count(&daemon->ledger.gpu[gpu].topo, members, nr, &counts);
	return counts;
}

static json_t *counts_json(const struct share_counts *counts)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "own", (json_int_t)counts->nr_own, "lent",
			 (json_int_t)counts->nr_lent, "free", (json_int_t)counts->nr_free, "all",
			 (json_int_t)counts->nr_all);
}

static json_t *gpu_json(const struct daemon *daemon, uint32_t gpu, struct share_counts *sum)
{
	const struct ledger_gpu *l = &daemon->ledger.gpu[gpu];
	struct share_counts counts = count_gpu(daemon, gpu);
	char uuid[UUID_TEXT_BYTES];
	json_t *json;

	sum->nr_own += counts.nr_own;
	sum->nr_lent += counts.nr_lent;
	sum->nr_free += counts.nr_free;
	sum->nr_all += counts.nr_all;
	json = json_pack("{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "index",
			 (json_int_t)gpu, "uuid", uuid_text(l->topo.uuid, uuid), "name",
			 daemon->gpu[gpu].name, "nr_tpcs", (json_int_t)l->topo.nr_tpcs, "nr_sms",
			 (json_int_t)l->topo.nr_sms, "nr_gpcs", (json_int_t)l->topo.nr_gpcs,
			 "owned", (json_int_t)(l->topo.nr_tpcs - l->nr_free), "nr_owners",
			 (json_int_t)l->nr_owners, "nr_best_effort", (json_int_t)l->nr_guests,
			 "mps", mps_state_name(mps_state(&daemon->mps)));
	(void)json_object_update_new(json, counts_json(&counts));
	return json;
}

static uint64_t all_reclaims(const struct daemon *daemon)
{
	uint64_t nr = daemon->nr_reclaims;

	for (const struct tenant *t = daemon->tenants; t; t = t->next) {
		const struct shm_activity *activity = t->activity.map;

		nr += t->ended.nr_reclaims;
		for (uint32_t i = 0; activity && i < SHM_MAX_PROCS; i++)
			nr += t->process[i] ? activity->proc[i].nr_reclaims : 0;
	}
	return nr;
}

static json_t *mps_json(const struct daemon *daemon)
{
	return json_pack("{s:s, s:b, s:s, s:I, s:I}", "state",
			 mps_state_name(mps_state(&daemon->mps)), "serving",
			 mps_is_serving(&daemon->mps), "pipe_directory",
			 mps_pipe_directory(&daemon->mps), "control_pid",
			 (json_int_t)mps_control_pid(&daemon->mps), "server_pid",
			 (json_int_t)mps_server_pid(&daemon->mps));
}

static json_t *daemon_json(const struct daemon *daemon)
{
	return json_pack(
		"{s:I, s:f, s:b, s:I, s:o, s:o, s:o, s:o, s:o}", "pid", (json_int_t)getpid(),
		"uptime_s", (double)(clock_now_ns() - daemon->start_ns) / 1e9, "private",
		daemon->config.is_private, "nr_connections",
		(json_int_t)daemon->server.nr_connections, "nr_malformed",
		number(daemon->server.nr_malformed), "nr_divisions",
		number(daemon->watch.nr_divisions), "nr_state_writes",
		number(daemon->state.nr_writes), "nr_state_failed", number(daemon->state.nr_failed),
		"nr_unattached_lost", number(daemon->nr_unattached_lost));
}

static json_t *status_json(const struct daemon *daemon)
{
	struct share_counts sum = {0};
	json_t *gpus = json_array();
	json_t *ledger;

	for (uint32_t gpu = 0; gpu < daemon->ledger.nr_gpus; gpu++)
		(void)json_array_append_new(gpus, gpu_json(daemon, gpu, &sum));
	ledger = counts_json(&sum);
	(void)json_object_set_new(ledger, "nr_reclaims", number(all_reclaims(daemon)));
	(void)json_object_set_new(ledger, "is_consistent",
				  json_boolean(ledger_check(&daemon->ledger) == 0));
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "version",
			 (json_int_t)STATUS_VERSION, "daemon", daemon_json(daemon), "ledger",
			 ledger, "gpus", gpus, "tenants", tenants_json(daemon), "unattached",
			 unattached_json(daemon), "mps", mps_json(daemon));
}

/* --- the answer ------------------------------------------------------------------------------- */

/* The text in memory that neither side can change any more; -1 when there is none. */
static int sealed_text(const char *text, size_t bytes)
{
	int fd = memfd_create("lithos-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -1;
	if (write(fd, text, bytes) != (ssize_t)bytes ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

void status_send(struct connection *c)
{
	json_t *json = status_json(c->daemon);
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct proto_report report = {.text_bytes = text ? strlen(text) : 0};
	int fd = text ? sealed_text(text, report.text_bytes) : -1;

	if (fd >= 0)
		(void)connection_report(c, &report, fd);
	else
		connection_drop(c);
	if (fd >= 0)
		(void)close(fd);
	free(text);
	json_decref(json);
}
