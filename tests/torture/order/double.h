/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of the test's own, without a device: it executes late, in a random one of the orders
 * that CUDA allows, and can be made wrong in one rule at a time.
 *
 * Glossary
 *   node     one operation; it may execute when the nodes it depends on have
 *   defect   the rule that is broken
 */
#ifndef LITHOS_TESTS_ORDER_DOUBLE_H
#define LITHOS_TESTS_ORDER_DOUBLE_H

#include <stdint.h>

enum double_defect {
#define DEFECT(name, sentence) DEFECT_##name,
#include "defects.def"
#undef DEFECT
	NR_DEFECTS
};

/* Fills `api`. The defect holds from now on. */
void double_install(enum double_defect which, uint64_t seed);

#endif
