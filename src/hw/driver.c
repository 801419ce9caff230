/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filling the table of driver calls.
 *
 * All or nothing: a table with a hole would fail at a call, far from its cause. The addresses are
 * copied as bytes because C has no cast from an object pointer to a function pointer. Tested by
 * tests/unit/qmd_driver_ops.c with a lookup that knows all symbols but one, for each of them.
 */
#include "hw/driver.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct op_row {
	size_t offset;
	const char *symbol;
};

/* clang-format off */
static const struct op_row op_rows[] = {
#define DRIVER_OP(name, symbol, ...) {offsetof(struct driver_ops, name), (symbol)},
#include "hw/driver_ops.def"
#undef DRIVER_OP
};
/* clang-format on */

int driver_ops_load(struct driver_ops *ops, driver_lookup_fn lookup, void *cookie,
		    const char **ret_missing)
{
	struct driver_ops loaded;

	memset(&loaded, 0, sizeof(loaded));
	for (size_t i = 0; i < sizeof(op_rows) / sizeof(op_rows[0]); i++) {
		void *address = lookup(cookie, op_rows[i].symbol);

		if (!address) {
			*ret_missing = op_rows[i].symbol;
			return -ENOSYS;
		}
		memcpy((char *)&loaded + op_rows[i].offset, &address, sizeof(address));
	}
	*ops = loaded;
	return 0;
}
