/* SPDX-License-Identifier: Apache-2.0 */
/* What lies at a code address: kernels, and the preludes that redirected launches run first. */
#ifndef LITHOS_SIM_CODE_H
#define LITHOS_SIM_CODE_H

#include "sim/driver/engine.h"
#include "sim/kernel/module.h"

/* Whether a module image is that of the preludes (hw/prelude/prelude.h) for this GPU. */
int code_is_prelude_image(const void *image);

/* A module of the preludes, as module_new_locked() makes one of PTX. */
CUresult code_prelude_module_locked(struct CUctx_st *ctx, struct CUmod_st **ret_module);

/*
 * What the descriptor's PROGRAM_ADDRESS says the launch of `func` runs. When that is another
 * kernel, the cookie's kernel becomes that one. Needs the cookie's context.
 */
enum sim_program code_of_locked(const struct CUfunc_st *func, const uint32_t *qmd,
				struct launch_cookie *cookie);

/* begin_block of struct sim_device_ops, for grids whose cookie is a struct launch_cookie. */
int code_begin_block(void *user, const struct sim_grid *grid, const uint32_t index[3]);
int code_would_leave(void *user, const struct sim_grid *grid, const uint32_t index[3]);

#endif
