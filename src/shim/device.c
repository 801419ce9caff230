/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting a GPU up for a tenant.
 *
 * The topology comes from a file per GPU (by UUID and driver version), or is probed in the tenant's
 * own context, once, and then stored. Either way two launches prove, in every process, that masks
 * are obeyed and records written (a few ms beside the driver's own start). A GPU on which that
 * fails is left alone for the life of the process: plain forwarding, one line of log.
 *
 * What the program is told: before the first context exists nobody knows yet whether masks will
 * work, and frameworks ask for the SM count before that. They are told the quota then, and the full
 * count only once masking turned out to be impossible: fewer SMs than there are is safe, more is
 * not.
 *
 * Tested by tests/integration with the simulator's faults.
 */
#include "shim/device.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cache_dir.h"
#include "base/clock.h"
#include "base/log.h"
#include "hw/quirks.h"
#include "hw/selftest.h"
#include "hw/topo_cache.h"
#include "hw/topo_probe.h"
#include "sched/known.h"
#include "sched/quota.h"
#include "shim/link/connect.h"
#include "shim/link/link.h"
#include "shim/link/share.h"
#include "shim/link/unconfined.h"
#include "shim/tenant.h"

#define MAX_DEVICES   32u
#define MIN_TOLD_TPCS 8u /* fewer unowned TPCs than that: best effort is told of all */
#define SMS_PER_TPC   2u /* every chip lithos has tables for; checked against the topology */

static struct {
	struct device device[MAX_DEVICES]; /* by CUdevice, which the driver numbers from 0 */
	struct quota quota;
	int has_quota;
} devices;

/* The device's place, whatever its state; NULL for a handle beyond the table. */
static struct device *device_slot(CUdevice handle)
{
	return handle >= 0 && (uint32_t)handle < MAX_DEVICES ? &devices.device[handle] : NULL;
}

int device_read_quota(const char *text)
{
	if (!text[0])
		return 0;
	if (quota_parse(text, &devices.quota)) {
		log_line(NULL, LOG_ERROR,
			 "msg=\"bad quota, running without\" LITHOS_TPC_QUOTA=\"%s\"", text);
		return -EINVAL;
	}
	devices.has_quota = 1;
	return 1;
}

static int device_key(CUdevice handle, struct topo_cache_key *ret_key)
{
	int version = 0, sms = 0;
	CUuuid uuid;

	if (tenant.ops.device_uuid(&uuid, handle) || tenant.ops.driver_version(&version) ||
	    tenant.ops.device_attribute(&sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, handle))
		return -EIO;
	memcpy(ret_key->uuid, uuid.bytes, sizeof(ret_key->uuid));
	ret_key->driver_version = (uint32_t)version;
	ret_key->nr_sms = (uint32_t)sms;
	return 0;
}

/* A build nobody verified may be used when the self-test passed; the user should be able to see
 * it. */
static void probe_report(const struct topology *topo, const struct hw_selftest_report *report,
			 uint64_t ns)
{
	int verified = quirk_is_verified(topo->driver_version, report->qmd_version);

	log_line(NULL, LOG_INFO, "msg=\"topology probed\" tpcs=%u gpcs=%u us=%llu driver=%s",
		 topo->nr_tpcs, topo->nr_gpcs, (unsigned long long)(ns / 1000),
		 verified ? "verified" : "unverified");
}

static int device_measure(CUdevice handle, struct topology *topo)
{
	struct hw_selftest_report report;
	uint64_t start = clock_now_ns();
	int err = topo_probe(&tenant.ops, handle, topo);

	if (!err)
		err = hw_selftest(&tenant.ops, handle, topo, &report);
	if (!err)
		probe_report(topo, &report, clock_now_ns() - start);
	return err;
}

/* A topology of another day is believed only if masks and records still work here, now. */
static int device_recall(CUdevice handle, const char *folder, struct topology *topo)
{
	struct hw_selftest_report report;
	struct topo_cache_key key;
	int err = device_key(handle, &key);

	if (!err)
		err = topo_cache_load(folder, &key, topo);
	if (!err)
		err = topology_check(topo);
	return err ? err : hw_selftest(&tenant.ops, handle, topo, &report);
}

/* What the daemon must agree on. */
static int device_for_link(CUdevice handle, struct link_device *ret_device)
{
	struct topo_cache_key key;
	int err = device_key(handle, &key);

	if (err)
		return err;
	memcpy(ret_device->uuid, key.uuid, sizeof(ret_device->uuid));
	ret_device->driver_version = key.driver_version;
	ret_device->nr_sms = key.nr_sms;
	return 0;
}

void device_link(CUdevice handle)
{
	struct device *device = device_slot(handle);
	struct link_device link;

	if (!tenant.wants_share || !device || device_for_link(handle, &link) || link_attach(&link))
		return;
	device->is_shared = 1;
	tenant.wants_records = 1;
}

/* 0 when the daemon knows the GPU and has proved masks and records there. */
static int device_topology_of_link(CUdevice handle, struct topology *topo)
{
	const struct topology *known;
	struct link_device link;

	if (!share_is_on() || device_for_link(handle, &link))
		return -ENOENT;
	known = link_verified_topology(&link);
	if (!known)
		return -ENOENT;
	*topo = *known;
	return 0;
}

static int device_topology(CUdevice handle, struct topology *topo)
{
	char folder[OPTION_STR_MAX];

	if (!device_topology_of_link(handle, topo))
		return 0;
	int has_folder = !cache_dir_choose(tenant.options.cache_dir, folder, sizeof(folder));
	int err;

	if (has_folder && !device_recall(handle, folder, topo))
		return 0;
	err = device_measure(handle, topo);
	if (!err && has_folder)
		(void)topo_cache_store(folder, topo);
	return err;
}

static const char *reason_of(int err)
{
	switch (err) {
	case -ENOTSUP:
		return "unknown launch descriptor version";
	case -ENOSYS:
		return "the launch hook was not called";
	case -EUCLEAN:
		return "the topology probe or the self-test failed";
	case -ENOENT:
		return "unknown compute capability";
	default:
		return "a driver call failed";
	}
}

/*
 * What the program is told when the daemon decides: an owner its own TPCs; best effort what nobody
 * owned when it came, if that is worth speaking of, else everything that it may ever have.
 * Libraries make grids of one block for each SM they are told of: on fewer SMs such a grid takes
 * twice as long.
 */
static void device_tell(struct device *device)
{
	struct thread_state *t = thread_self();
	struct tpcset own, unowned;

	link_set_present(&device->topo);
	own = share_own(t);
	unowned = share_unowned(t);
	if (!tpcset_is_empty(&own))
		device->allowed = own;
	else if (tpcset_count(&unowned) >= MIN_TOLD_TPCS)
		device->allowed = unowned;
	device->nr_allowed = tpcset_count(&device->allowed);
	device->disable = tpcset_not(device->allowed);
	device->is_masked = 1;
}

/* What a launch may use is decided at the launch, by the daemon's grant or by one in its place. */
static int device_share(struct device *device, uint32_t tpcs)
{
	int err = link_confine(&device->topo, tpcs);

	if (!err)
		device_tell(device);
	return err;
}

/* A daemon refuses it; without one nobody knew how many there are until now. */
static void quota_check(const struct device *device)
{
	if (devices.quota.tpcs > device->topo.nr_tpcs)
		log_line(NULL, LOG_WARN,
			 "msg=\"the quota is more than the GPU has: all of it\" "
			 "LITHOS_TPC_QUOTA=%u tpcs=%u device=%d",
			 devices.quota.tpcs, device->topo.nr_tpcs, device->handle);
}

static int device_restrict(struct device *device)
{
	uint32_t tpcs = devices.has_quota ? quota_tpcs(&devices.quota, device->topo.nr_tpcs) : 0;
	struct known known;
	int err;

	device->allowed = device->topo.present;
	device->nr_allowed = device->topo.nr_tpcs;
	if (device->is_shared)
		return device_share(device, tpcs);
	quota_check(device);
	if (!devices.has_quota) {
		/* Best effort has one GPU; what is launched on others is nobody's to divide. */
		if (tenant.wants_share)
			(void)unconfined_say("it uses a GPU beside the tenant's own");
		return 0;
	}
	err = known_choose(&device->topo, link_told(), tpcs, &known);
	if (err)
		return err;
	device->allowed = known.own;
	device->nr_allowed = tpcs;
	device->disable = tpcset_not(device->allowed);
	device->is_masked = 1;
	return 0;
}

static int device_set_up(struct device *device, CUdevice handle)
{
	int major = 0, minor = 0;
	int err = device_topology(handle, &device->topo);

	device->handle = handle;
	if (err)
		return err;
	(void)tenant.ops.device_attribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
					  handle);
	(void)tenant.ops.device_attribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
					  handle);
	device->cc_major = major;
	err = sm_limits_of(major, minor, &device->limits);
	return err ? err : device_restrict(device);
}

/* Sets a device up once and for all; what fails is said once. */
static void device_first_sight(struct device *device, CUdevice handle)
{
	int err = device_set_up(device, handle);

	if (err && !unconfined_say(reason_of(err)))
		log_line(NULL, LOG_WARN,
			 "msg=\"launches are left alone: no quota, no statistics\" device=%d "
			 "reason=\"%s\"",
			 handle, reason_of(err));
	/* pairs with the acquire in device_ready() */
	atomic_store_explicit(&device->state, err ? DEVICE_OFF : DEVICE_READY,
			      memory_order_release);
}

struct device *device_attach(CUdevice handle)
{
	struct device *device = device_slot(handle);

	if (device && atomic_load_explicit(&device->state, memory_order_relaxed) == DEVICE_UNKNOWN)
		device_first_sight(device, handle);
	return device_ready(handle);
}

void device_leave_alone(CUdevice handle)
{
	struct device *device = device_slot(handle);

	if (device)
		atomic_store_explicit(&device->state, DEVICE_OFF, memory_order_release);
}

struct device *device_ready(CUdevice handle)
{
	struct device *device = device_slot(handle);

	if (!device || atomic_load_explicit(&device->state, memory_order_acquire) != DEVICE_READY)
		return NULL;
	return device;
}

/* Before the first context: what will be allowed is known of a quota alone. */
static uint32_t usable_sms(uint32_t nr_sms)
{
	if (!devices.has_quota)
		return nr_sms;
	return quota_tpcs(&devices.quota, nr_sms / SMS_PER_TPC) * SMS_PER_TPC;
}

uint32_t device_told_sms(CUdevice handle, uint32_t nr_sms)
{
	const struct device *device = device_slot(handle);

	if (!device || (!devices.has_quota && !tenant.wants_share))
		return nr_sms;
	switch (atomic_load_explicit(&device->state, memory_order_acquire)) {
	case DEVICE_READY:
		return device->nr_allowed * device->topo.sms_per_tpc;
	case DEVICE_OFF:
		return nr_sms;
	default:
		return usable_sms(nr_sms);
	}
}
