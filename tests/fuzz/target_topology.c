/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology cache. A checksum keeps random bytes out, so it is made right for every input but
 * each fourth; what is then believed must be sound, and good for the sums that are done with it.
 */
#include <stdio.h>

#include "fuzz.h"
#include "hw/topo_cache.h"
#include "hw/topology.h"
#include "sched/quota.h"

#define CACHE_MAGIC  0x4f504f54u
#define CACHE_FORMAT 1u

struct file {
	uint32_t magic, format, bytes, reserved;
	uint64_t checksum;
	struct topology topo;
	uint32_t tail;
};

static uint64_t checksum_of(const void *bytes, size_t size)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
	return hash;
}

static void use(const struct topology *topo, struct fuzz_input *input)
{
	struct quota quota = {.tpcs = fuzz_u8(input) % (topo->nr_tpcs + 1)};
	struct tpcset set;
	struct tpcset wide;

	(void)fuzz_take(input, &set, sizeof(set));
	for (int i = 0; i < TPCSET_WORDS; i++)
		set.w[i] &= topo->present.w[i];
	for (uint32_t blocks = 1; blocks <= 16; blocks *= 2) {
		(void)topology_nr_clusters(topo, &set, blocks);
		if (topology_widen_for_cluster(topo, &set, blocks, &wide) == 0 &&
		    topology_max_cluster(topo, &wide) < blocks)
			fuzz_fail("a set that was widened does not hold its cluster");
	}
	if (quota.tpcs && quota_pick(topo, &topo->present, quota.tpcs, &wide) == 0 &&
	    tpcset_count(&wide) != quota.tpcs)
		fuzz_fail("a quota of another size");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input input = {.data = data, .size = size};
	struct topo_cache_key key = {0};
	struct topology topo;
	struct file file;
	char name[64] = "topology-";

	if (fuzz_u8(&input) % 4 == 0) {
		(void)fuzz_take(&input, &file, sizeof(file));
	} else {
		memset(&file, 0, sizeof(file));
		(void)fuzz_take(&input, &file.topo, sizeof(file.topo));
		file.magic = CACHE_MAGIC;
		file.format = CACHE_FORMAT;
		file.bytes = sizeof(file.topo);
		file.checksum = checksum_of(&file.topo, sizeof(file.topo));
	}
	memcpy(key.uuid, file.topo.uuid, sizeof(key.uuid));
	key.driver_version = file.topo.driver_version;
	key.nr_sms = file.topo.nr_sms;
	for (size_t i = 0; i < 16; i++)
		(void)snprintf(name + 9 + 2 * i, 3, "%02x", key.uuid[i]);
	memcpy(name + 9 + 32, ".bin", 5);
	const char *path = fuzz_file(name, &file, sizeof(file));
	if (topo_cache_load(fuzz_folder(), &key, &topo) == 0) {
		if (topology_check(&topo) < 0)
			fuzz_fail("a topology that is not sound was believed");
		use(&topo, &input);
	}
	(void)remove(path);
	return 0;
}
