/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with a context when it is destroyed. */
#ifndef LITHOS_SIM_CONTEXT_H
#define LITHOS_SIM_CONTEXT_H

#include "sim/driver/state.h"

/* module.c: modules of the context, and those that libraries made for it. */
void ctx_modules_free_locked(struct CUctx_st *ctx);
/* memory.c: allocations of the context. */
void ctx_memory_free_locked(struct CUctx_st *ctx);

#endif
