/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirecting a launch: PROGRAM_ADDRESS to a prelude, constant bank 6 to its slot.
 *
 * The kernel's entry point goes into the slot, from where the prelude jumps to it. Versions store
 * addresses in other units (bytes, 16 bytes for code, 64 bytes for banks); each address is written
 * through whichever pair of fields the version has. Everything that can fail is looked at before
 * the first write.
 *
 * Only V04_00 was seen to work on hardware. Tested by tests/unit/prelude_redirect.c on real
 * descriptors.
 */
#include "hw/prelude/prelude.h"

#include <errno.h>

#include "hw/qmd.h"

/* An address in two fields, in units of 1 << shift bytes. */
struct address_fields {
	enum qmd_field lower;
	enum qmd_field upper;
	unsigned int shift;
};

static const struct address_fields program_fields[] = {
	{QMD_PROGRAM_ADDRESS_LOWER, QMD_PROGRAM_ADDRESS_UPPER, 0},
	{QMD_PROGRAM_ADDRESS_SHIFTED4_LOWER, QMD_PROGRAM_ADDRESS_SHIFTED4_UPPER, 4},
};

static const struct address_fields bank_fields[] = {
	{QMD_CONSTANT_BUFFER_ADDRESS_LOWER, QMD_CONSTANT_BUFFER_ADDRESS_UPPER, 0},
	{QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_LOWER, QMD_CONSTANT_BUFFER_ADDRESS_SHIFTED6_UPPER, 6},
};

static int has_fields(const struct qmd_layout *layout, const struct address_fields *fields)
{
	return layout->field[fields->lower].width && layout->field[fields->upper].width;
}

/* The pair this version has; the second one also when it has neither. */
static const struct address_fields *fields_of(const struct qmd_layout *layout,
					      const struct address_fields pair[2])
{
	return has_fields(layout, &pair[0]) ? &pair[0] : &pair[1];
}

static int address_fits(const struct qmd_layout *layout, const struct address_fields *fields,
			uint64_t address)
{
	uint64_t units = address >> fields->shift;

	return units << fields->shift == address &&
	       !(units >> 32 >> layout->field[fields->upper].width);
}

static void address_write(const struct qmd_layout *layout, void *qmd,
			  const struct address_fields *fields, unsigned int index, uint64_t address)
{
	uint64_t units = address >> fields->shift;

	(void)qmd_set(layout, qmd, fields->lower, index, (uint32_t)units);
	(void)qmd_set(layout, qmd, fields->upper, index, units >> 32);
}

int prelude_bank_is_taken(const struct qmd_layout *layout, const void *qmd)
{
	uint64_t is_valid = 1;

	return qmd_get(layout, qmd, QMD_CONSTANT_BUFFER_VALID, PRELUDE_BANK, &is_valid) || is_valid;
}

static int redirect_check(const struct qmd_layout *layout, const void *qmd, uint64_t prelude_entry,
			  uint64_t slot_address)
{
	const struct address_fields *program = fields_of(layout, program_fields);
	const struct address_fields *bank = fields_of(layout, bank_fields);

	if (!has_fields(layout, program) || !has_fields(layout, bank) ||
	    !layout->field[QMD_CONSTANT_BUFFER_SIZE_SHIFTED4].width ||
	    !layout->field[QMD_REGISTER_COUNT].width)
		return -ENOTSUP;
	if (slot_address % PRELUDE_SLOT_BYTES)
		return -EINVAL;
	if (prelude_bank_is_taken(layout, qmd))
		return -EBUSY;
	if (!address_fits(layout, program, prelude_entry) ||
	    !address_fits(layout, bank, slot_address))
		return -ERANGE;
	return 0;
}

int prelude_redirect(const struct qmd_layout *layout, void *qmd, uint64_t prelude_entry,
		     uint64_t slot_address)
{
	int r = redirect_check(layout, qmd, prelude_entry, slot_address);
	uint64_t registers = 0;

	if (r < 0)
		return r;
	address_write(layout, qmd, fields_of(layout, program_fields), 0, prelude_entry);
	address_write(layout, qmd, fields_of(layout, bank_fields), PRELUDE_BANK, slot_address);
	(void)qmd_set(layout, qmd, QMD_CONSTANT_BUFFER_SIZE_SHIFTED4, PRELUDE_BANK,
		      PRELUDE_SLOT_BYTES / 16);
	(void)qmd_set(layout, qmd, QMD_CONSTANT_BUFFER_VALID, PRELUDE_BANK, 1);
	/* The slot's place held another launch's slot before. */
	(void)qmd_set(layout, qmd, QMD_CONSTANT_BUFFER_INVALIDATE, PRELUDE_BANK, 1);
	(void)qmd_get(layout, qmd, QMD_REGISTER_COUNT, 0, &registers);
	if (registers < PRELUDE_REGISTERS)
		(void)qmd_set(layout, qmd, QMD_REGISTER_COUNT, 0, PRELUDE_REGISTERS);
	return 0;
}
