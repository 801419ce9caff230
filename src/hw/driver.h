/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few driver calls that hw/ itself makes, as a table, so that the shim (which holds the real
 * driver's addresses) and the doctor (which opens the driver itself) use the same code.
 *
 * Filled once by driver_ops_load and constant afterwards. The functions may be called from any
 * thread, as the driver's own may.
 */
#ifndef LITHOS_HW_DRIVER_H
#define LITHOS_HW_DRIVER_H

#include <cuda.h>

struct driver_ops {
#define DRIVER_OP(name, symbol, ...) CUresult (*name)(__VA_ARGS__);
#include "driver_ops.def"
#undef DRIVER_OP
};

/* Looks a symbol up; NULL when the driver lacks it. `cookie` is passed through. */
typedef void *(*driver_lookup_fn)(void *cookie, const char *symbol);

/* 0, or -ENOSYS with *ret_missing naming the first symbol the driver lacks. */
int driver_ops_load(struct driver_ops *ops, driver_lookup_fn lookup, void *cookie,
		    const char **ret_missing);

#endif
