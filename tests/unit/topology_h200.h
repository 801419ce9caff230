/* SPDX-License-Identifier: Apache-2.0 */
/* The topology of an H200, for tests that reason about one; h200_setup() is for their group. */
#ifndef LITHOS_TESTS_TOPOLOGY_H200_H
#define LITHOS_TESTS_TOPOLOGY_H200_H

#include "topology_data.h"

static struct topology h200;

static inline int h200_setup(void **state)
{
	(void)state;
	return topology_h200(&h200);
}

#endif
