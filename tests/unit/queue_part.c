/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts of a kernel may begin early: the attributes of their launches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shim/queue/part.h"
#include "shim/split/edit.h"

#define PERMISSION CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION

static const struct split_edit first = {.lets_next = 1};
static const struct split_edit middle = {.is_part = 1, .overlaps = 1, .lets_next = 1};

/* What the launch says: -1 nothing. */
static int permission_of(const CUlaunchConfig *config)
{
	for (unsigned int i = 0; i < config->numAttrs; i++) {
		if (config->attrs[i].id == PERMISSION)
			return config->attrs[i].value.programmaticStreamSerializationAllowed;
	}
	return -1;
}

static void test_plain(void **state)
{
	CUlaunchAttribute room[PART_MAX_ATTRS];
	CUlaunchConfig config = {.gridDimX = 7};

	(void)state;
	assert_int_equal(part_permit(&config, &first, room), 0);
	assert_int_equal(config.numAttrs, 0);
	assert_int_equal(part_permit(&config, &middle, room), 1);
	assert_int_equal(config.numAttrs, 1);
	assert_int_equal(permission_of(&config), 1);
	assert_int_equal(config.gridDimX, 7);
}

/* The program's is about what is in front of the whole kernel. */
static void test_programs_own(void **state)
{
	CUlaunchAttribute room[PART_MAX_ATTRS];
	CUlaunchAttribute own = {.id = PERMISSION};
	CUlaunchConfig config = {.attrs = &own, .numAttrs = 1};

	(void)state;
	own.value.programmaticStreamSerializationAllowed = 1;
	assert_int_equal(part_permit(&config, &first, room), 1);
	assert_int_equal(permission_of(&config), 0);
	assert_int_equal(part_permit(&config, &middle, room), 1);
	assert_int_equal(permission_of(&config), 1);
	assert_int_equal(config.numAttrs, 1);
}

static void test_others_stay(void **state)
{
	CUlaunchAttribute room[PART_MAX_ATTRS], own[PART_MAX_ATTRS];
	CUlaunchConfig config = {.attrs = own, .numAttrs = PART_MAX_ATTRS - 1};

	(void)state;
	memset(own, 0, sizeof(own));
	for (unsigned int i = 0; i < PART_MAX_ATTRS; i++) {
		own[i].id = CU_LAUNCH_ATTRIBUTE_PRIORITY;
		own[i].value.priority = (int)i;
	}
	assert_int_equal(part_permit(&config, &middle, room), 1);
	assert_int_equal(config.numAttrs, PART_MAX_ATTRS);
	assert_int_equal(permission_of(&config), 1);
	assert_memory_equal(config.attrs, own, (PART_MAX_ATTRS - 1) * sizeof(own[0]));
	/* No room: it waits for the part in front of it. */
	config = (CUlaunchConfig){.attrs = own, .numAttrs = PART_MAX_ATTRS};
	assert_int_equal(part_permit(&config, &middle, room), 1);
	assert_int_equal(config.numAttrs, PART_MAX_ATTRS);
	assert_int_equal(permission_of(&config), -1);
}

/* The last test: it is for good. */
static void test_refused(void **state)
{
	CUlaunchAttribute room[PART_MAX_ATTRS];
	CUlaunchConfig config = {.numAttrs = 0};
	struct split_edit edit = middle;

	(void)state;
	assert_int_equal(part_permit(&config, &edit, room), 1);
	assert_int_equal(part_forbid(&config, &edit, CUDA_SUCCESS), 0);
	assert_int_equal(part_forbid(&config, &edit, CUDA_ERROR_LAUNCH_FAILED), 0);
	/* The descriptor was edited: a second launch would be another part. */
	edit.result = EDIT_APPLIED;
	assert_int_equal(part_forbid(&config, &edit, CUDA_ERROR_NOT_SUPPORTED), 0);
	edit.result = EDIT_UNSEEN;
	assert_int_equal(part_forbid(&config, &first, CUDA_ERROR_NOT_SUPPORTED), 0);
	assert_int_equal(permission_of(&config), 1);
	assert_int_equal(part_forbid(&config, &edit, CUDA_ERROR_NOT_SUPPORTED), 1);
	assert_int_equal(permission_of(&config), 0);
	config = (CUlaunchConfig){.numAttrs = 0};
	assert_int_equal(part_permit(&config, &edit, room), 0);
	assert_int_equal(part_forbid(&config, &edit, CUDA_ERROR_NOT_SUPPORTED), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_programs_own),
		cmocka_unit_test(test_others_stay),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
