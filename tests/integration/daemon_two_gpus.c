/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two simulated GPUs: owners fill one before the other, best effort goes where there is room, a
 * tenant may say which, and peers are those of the same GPU.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon_client.h"

static struct test_daemon d;

static int is_on_same(const struct proto_admitted *a, const struct proto_admitted *b)
{
	return memcmp(a->gpu_uuid, b->gpu_uuid, sizeof(a->gpu_uuid)) == 0;
}

/* The UUID of the GPU a tenant is on, as the report says it. */
static void gpu_of(const char *name, char *text, size_t size)
{
	json_t *status = client_status(&d);
	const json_t *tenant = status_tenant(status, name);

	(void)snprintf(text, size, "%s", json_string_value(json_object_get(tenant, "gpu")));
	json_decref(status);
}

int main(void)
{
	struct proto_admitted a, b, c, guest, named;
	struct attached process;
	struct received r;
	char uuid[64];
	int fds[5];

	CHECK(setenv("LITHOS_SIM_NR_GPUS", "2", 1) == 0);
	daemon_prepare(&d, "version: v1\n");
	daemon_start(&d);
	CHECK(daemon_number(&d, "ledger.all") == 132);
	fds[0] = tenant_admitted(&d, &(struct wish){.name = "a", .tpcs = 40}, &a);
	fds[1] = tenant_admitted(&d, &(struct wish){.name = "b", .tpcs = 40}, &b);
	fds[2] = tenant_admitted(&d, &(struct wish){.name = "c", .tpcs = 26}, &c);
	CHECK(a.nr_gpus == 2 && !is_on_same(&a, &b) && is_on_same(&a, &c));
	fds[3] = tenant_admitted(&d, &(struct wish){.name = "guest"}, &guest);
	CHECK(is_on_same(&guest, &b));
	gpu_of("a", uuid, sizeof(uuid));
	fds[4] = tenant_admitted(&d, &(struct wish){.name = "named", .gpus = uuid}, &named);
	CHECK(is_on_same(&named, &a));
	CHECK(client_attach(&d, &guest, &process, NULL) == PROTO_ATTACHED);
	client_expect(process.fd, PROTO_PEER, &r);
	received_close(&r);
	CHECK(client_receive(process.fd, &r, 100) == -ETIMEDOUT);
	CHECK(memcmp((const void *)process.topology.uuid, b.gpu_uuid, 16) == 0);
	attached_close(&process);
	for (int i = 0; i < 5; i++)
		(void)close(fds[i]);
	CHECK(daemon_number(&d, "ledger.is_consistent") == 1);
	daemon_remove(&d);
	return 0;
}
