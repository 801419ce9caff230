/* SPDX-License-Identifier: Apache-2.0 */
/* Masks on the simulated device: the same SMs vanish as on hardware, and empty masks hang. */
#include "sim_rig.h"

#include <stdio.h>

/* Which SMs a full-chip grid misses when one bit is disabled. */
static uint32_t missing_sms(uint32_t bit, uint32_t ret_missing[4])
{
	struct tpcset allowed = tpcset_full();
	struct qmd_spec spec = rig_spec(132 * 8);
	uint32_t qmd[96];
	uint8_t seen[CHIP_MAX_SMS] = {0};
	uint32_t n = 0;
	struct rig *rig = malloc(sizeof(*rig));

	rig_open(rig, "h200");
	qmd_build(&spec, &rig->chip.limits, qmd);
	if (bit < TPCSET_BITS)
		tpcset_remove(&allowed, bit);
	rig_allow(qmd, &allowed);
	rig_submit(rig, device_queue_new(rig->device, 0), qmd, 1000, NULL);
	(void)device_advance(rig->device, 1000000);
	assert_int_equal(rig->nr_blocks, 132 * 8);
	for (uint32_t i = 0; i < rig->nr_blocks; i++)
		seen[rig->smid[i]] = 1;
	for (uint32_t sm = 0; sm < rig->chip.nr_sms; sm++) {
		if (!seen[sm] && n < 4)
			ret_missing[n++] = sm;
	}
	assert_int_equal(device_check(rig->device), 0);
	device_free(rig->device);
	free(rig);
	return n;
}

static void test_bits_are_those_of_hardware(void **state)
{
	FILE *file = fopen(TEST_DATA_DIR "/topology_probe_h200.txt", "re");
	static char line[8192];
	uint32_t nr_bits = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, " bit 0 ", 7) == 0)
			break;
	}
	(void)fclose(file);
	for (char *at = strstr(line, " bit "); at; at = strstr(at + 1, " bit ")) {
		uint32_t bit, n, sm[2] = {0}, missing[4] = {0};
		int fields = sscanf(at, " bit %u missing %u: %u %u", &bit, &n, &sm[0], &sm[1]);

		if (fields < 2 || bit >= TPCSET_BITS)
			continue;
		assert_int_equal(missing_sms(bit, missing), n);
		assert_int_equal(missing[0], sm[0]);
		assert_int_equal(missing[1], sm[1]);
		nr_bits++;
	}
	assert_int_equal(nr_bits, 66);
}

static void test_a_hole_disables_nothing(void **state)
{
	uint32_t missing[4];

	(void)state;
	assert_int_equal(missing_sms(4, missing), 0);
	assert_int_equal(missing_sms(127, missing), 0);
}

static void test_only_holes_hang(void **state)
{
	struct tpcset holes = {{0, 0, 0, 0}};
	struct qmd_spec spec = rig_spec(1);
	uint32_t qmd[96];
	struct rig *rig = malloc(sizeof(*rig));

	(void)state;
	rig_open(rig, "small");
	tpcset_add(&holes, 4);
	tpcset_add(&holes, 90);
	qmd_build(&spec, &rig->chip.limits, qmd);
	rig_allow(qmd, &holes);
	rig_submit(rig, device_queue_new(rig->device, 0), qmd, 10, NULL);
	(void)device_advance(rig->device, 1000000000);
	assert_int_equal(rig->nr_hung, 1);
	assert_string_equal(rig->reason, "no-tpc");
	assert_int_equal(rig->nr_blocks, 0);
	assert_true(device_next_event_ns(rig->device) == SIM_NEVER);
	device_free(rig->device);
	free(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits_are_those_of_hardware),
		cmocka_unit_test(test_a_hole_disables_nothing),
		cmocka_unit_test(test_only_holes_hang),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
