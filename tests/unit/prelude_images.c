/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committed prelude images, read instruction by instruction: what the generator promises is in
 * the bytes that will be loaded. Encodings as in tools/prelude/generate.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <elf.h>
#include <string.h>

#include "hw/prelude/prelude.h"

#define OP_CALL_REL 0x344u
#define OP_CALL_ABS 0x343u
#define OP_RET      0x950u
#define OP_EXIT     0x94du

struct seen {
	int nr_entries, nr_jumps, nr_calls, nr_exits;
	int nr_bank0, nr_bank6, nr_other_banks;
	int nr_readers;
};

static int is_constant_form(uint64_t lo)
{
	unsigned int form = (lo >> 9) & 7;

	return form == 3 || form == 5;
}

static void look_at(uint64_t lo, struct seen *seen)
{
	unsigned int op = lo & 0xfff;

	seen->nr_calls += op == OP_CALL_REL || op == OP_CALL_ABS;
	seen->nr_jumps += op == OP_RET;
	seen->nr_exits += op == OP_EXIT;
	if (is_constant_form(lo)) {
		unsigned int bank = (lo >> 54) & 31;

		seen->nr_bank0 += bank == 0;
		seen->nr_bank6 += bank == PRELUDE_BANK;
		seen->nr_other_banks += bank != 0 && bank != PRELUDE_BANK;
	}
}

static void look_at_section(const uint8_t *elf, const Elf64_Shdr *section, struct seen *seen)
{
	assert_int_equal(section->sh_size % 16, 0);
	for (uint64_t at = 0; at < section->sh_size; at += 16) {
		uint64_t lo;

		memcpy(&lo, elf + section->sh_offset + at, sizeof(lo));
		look_at(lo, seen);
	}
}

/* A prelude's name, and no other. */
static int is_prelude(const char *name)
{
	for (int kind = 0; kind < PRELUDE_NR; kind++) {
		if (!strcmp(name, prelude_name((enum prelude_kind)kind)))
			return 1;
	}
	return 0;
}

static void look_at_entry(const char *name, const uint8_t *elf, const Elf64_Shdr *section,
			  struct seen *seen)
{
	struct seen reader = {0};

	if (is_prelude(name)) {
		seen->nr_entries++;
		look_at_section(elf, section, seen);
		return;
	}
	assert_string_equal(name, "lithos_reader");
	look_at_section(elf, section, &reader);
	seen->nr_readers++;
	/* An ordinary kernel. */
	assert_int_equal(reader.nr_bank6 + reader.nr_jumps + reader.nr_calls, 0);
}

static void look_at_image(const void *image, size_t bytes, struct seen *seen)
{
	const uint8_t *elf = image;
	Elf64_Ehdr header;
	Elf64_Shdr section, names;

	assert_true(bytes > sizeof(header));
	memcpy(&header, elf, sizeof(header));
	assert_memory_equal(header.e_ident, ELFMAG, SELFMAG);
	assert_true(header.e_shoff + (uint64_t)header.e_shnum * sizeof(section) <= bytes);
	memcpy(&names, elf + header.e_shoff + header.e_shstrndx * sizeof(names), sizeof(names));
	for (int i = 0; i < header.e_shnum; i++) {
		memcpy(&section, elf + header.e_shoff + (size_t)i * sizeof(section),
		       sizeof(section));
		const char *name = (const char *)elf + names.sh_offset + section.sh_name;
		if (strncmp(name, ".text.lithos_", 13) == 0)
			look_at_entry(name + 6, elf, &section, seen);
	}
}

static const int capabilities[][2] = {{7, 0}, {7, 5}, {8, 0},  {8, 6},
				      {8, 9}, {9, 0}, {10, 0}, {12, 0}};

static void test_machine_code(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		struct seen seen = {0};
		/* Clusters came with 9.0. */
		int nr_preludes = capabilities[i][0] >= 9 ? PRELUDE_NR : PRELUDE_GATE_CLUSTER;
		size_t bytes = 0;
		const void *image = prelude_image(capabilities[i][0], capabilities[i][1], &bytes);

		assert_non_null(image);
		look_at_image(image, bytes, &seen);
		assert_int_equal(seen.nr_entries, nr_preludes);
		assert_int_equal(seen.nr_readers, 1);
		/* One way into the kernel each, no call that would need a stack. */
		assert_int_equal(seen.nr_jumps, nr_preludes);
		assert_int_equal(seen.nr_calls, 0);
		assert_true(seen.nr_exits >= nr_preludes);
		/* The other banks are the kernel's; compilers keep constants in bank 2. */
		assert_int_equal(seen.nr_other_banks, 0);
		assert_true(seen.nr_bank0 >= nr_preludes);
		assert_true(seen.nr_bank6 >= 5 * nr_preludes);
	}
}

static void test_choice(void **state)
{
	size_t exact = 0, other = 0;

	(void)state;
	assert_ptr_equal(prelude_image(8, 7, &other), prelude_image(8, 6, &exact));
	assert_int_equal(other, exact);
	assert_ptr_not_equal(prelude_image(9, 0, &other), prelude_image(8, 9, &exact));
	assert_null(prelude_image(6, 1, &other));
	assert_null(prelude_image(11, 0, &other));
	assert_null(prelude_image(99, 0, &other));
	assert_string_equal(prelude_name(PRELUDE_GATE), "lithos_gate");
	assert_string_equal(prelude_name(PRELUDE_CLAIM), "lithos_claim");
	assert_string_equal(prelude_name(PRELUDE_GATE_CLUSTER), "lithos_gate_cluster");
	assert_string_equal(prelude_name(PRELUDE_CLAIM_CLUSTER), "lithos_claim_cluster");
	assert_string_equal(prelude_name(PRELUDE_NR), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_machine_code),
		cmocka_unit_test(test_choice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
