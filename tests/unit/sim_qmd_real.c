/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Built descriptors against recorded ones: the launch is read from the recorded descriptor, built
 * anew, and every field lithos knows of must come out the same, those of the driver's own affairs
 * excepted.
 */
#include "sim_rig.h"

#include <inttypes.h>

#include "qmd_dumps.h"

static struct qmd_dump dumps[DUMPS_MAX];
static int nr_dumps;

static struct qmd_spec spec_of(const struct qmd_dump *dump)
{
	struct qmd_spec spec = {.version = QMD_BUILD_VERSION};
	struct qmd_grid grid;

	assert_int_equal(qmd_decode_grid(qmd_layout_by_name("V04_00"), dump->words, &grid), 0);
	for (int i = 0; i < 3; i++) {
		spec.grid[i] = grid.grid[i] * grid.gang[i] * grid.cluster[i];
		spec.cluster[i] = grid.cluster[i];
		spec.block[i] = grid.block[i];
	}
	spec.cooperative = qmd_grid_is_cooperative(&grid);
	spec.overlaps_previous = !strcmp(dump->tag, "pdl");
	spec.in_graph = strstr(dump->tag, "graph") != NULL;
	spec.registers = grid.registers;
	spec.shared_bytes = grid.shared_bytes - 1024;
	spec.entry = grid.entry;
	return spec;
}

/* What the builder does not claim: addresses, and what the driver decides by rules of its own. */
static int is_claimed(enum qmd_field field, unsigned int element, int in_graph)
{
	switch ((int)field) {
	case QMD_CONSTANT_BUFFER_VALID: /* bank 5 differs among the nodes of one graph */
	case QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_LOWER:
	case QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_UPPER:
	case QMD_CONSTANT_BUFFER_SIZE_SHIFTED4:
	case QMD_RELEASE_ADDRESS_LOWER:
	case QMD_RELEASE_PAYLOAD_LOWER:
	case QMD_SHADER_LOCAL_MEMORY_HIGH_SIZE:
	case QMD_TARGET_SM_CONFIG_SHARED_MEM_SIZE:
		return 0;
	case QMD_RELEASE_ENABLE: /* the last node of a graph tells the driver that it is over */
	case QMD_RELEASE_STRUCTURE_SIZE:
		return element > 0 || !in_graph;
	default:
		return 1;
	}
}

static unsigned int compare(const struct qmd_dump *dump, const uint32_t *qmd, enum qmd_field field)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	unsigned int nr_wrong = 0;

	for (unsigned int i = 0; i < layout->field[field].count; i++) {
		uint64_t built = 0, real = 0;

		if (!is_claimed(field, i, strstr(dump->tag, "graph") != NULL))
			continue;
		assert_int_equal(qmd_get(layout, qmd, field, i, &built), 0);
		assert_int_equal(qmd_get(layout, dump->words, field, i, &real), 0);
		if (built == real)
			continue;
		print_error("%s: %s[%u] is %#" PRIx64 ", not %#" PRIx64 "\n", dump->tag,
			    qmd_field_name(field), i, built, real);
		nr_wrong++;
	}
	return nr_wrong;
}

static void test_claimed_fields_are_those_of_hardware(void **state)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	unsigned int nr_wrong = 0, nr_compared = 0;
	struct sim_chip chip;

	(void)state;
	assert_int_equal(chip_of("h200", &chip), 0);
	for (int i = 0; i < nr_dumps; i++) {
		struct qmd_spec spec = spec_of(&dumps[i]);
		uint32_t qmd[QMD_BUILD_BYTES / 4];
		uint64_t width = 0;

		assert_int_equal(qmd_get(layout, dumps[i].words, QMD_GRID_WIDTH, 0, &width), 0);
		/* No launch, but a task of the driver's own. */
		if (!width)
			continue;
		qmd_build(&spec, &chip.limits, qmd);
		for (int field = 0; field < QMD_NR_FIELDS; field++)
			nr_wrong += compare(&dumps[i], qmd, (enum qmd_field)field);
		nr_compared++;
	}
	assert_int_equal(nr_wrong, 0);
	assert_true(nr_compared >= 32);
}

static void test_what_differs_is_told(void **state)
{
	const struct qmd_dump *dump = dump_of(dumps, nr_dumps, "nullk/100/2048/occ=16");
	struct sim_chip chip;
	struct qmd_spec spec;
	uint32_t qmd[QMD_BUILD_BYTES / 4];

	(void)state;
	assert_int_equal(chip_of("h200", &chip), 0);
	if (!dump) {
		fail_msg("the record is missing");
		return;
	}
	spec = spec_of(dump);
	spec.block[1]++;
	qmd_build(&spec, &chip.limits, qmd);
	assert_int_equal(compare(dump, qmd, QMD_CTA_THREAD_DIMENSION0), 0);
	assert_int_equal(compare(dump, qmd, QMD_CTA_THREAD_DIMENSION1), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claimed_fields_are_those_of_hardware),
		cmocka_unit_test(test_what_differs_is_told),
	};

	nr_dumps = dumps_read(dumps);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
