/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code addresses, and what a launch does that was redirected to a prelude.
 *
 * Problem: what edits descriptors may send a launch elsewhere, and the device must go there. Idea:
 * every function has an address of its own that no other ever gets, so the descriptor's
 * PROGRAM_ADDRESS names a function of the context, or nothing. The image of the preludes is the one
 * ELF file that is accepted: it is compared byte by byte with the one lithos carries, and stands
 * for functions whose rule is C (sim/device/begin.c), and for the reader, whose body is that of a
 * builtin kernel.
 *
 * A block of such a launch reads the slot, the words and the epochs when it begins; on hardware the
 * slot comes through a cache, so a slot that changes under a running launch is a mistake that shows
 * here at once. A jump to where no kernel of the context lies, and an address that no allocation
 * holds, end the context as a fault of the GPU does: every later call answers the error, and what
 * is queued runs no body. What it does badly: copies that are queued are still done.
 *
 * Tested by tests/unit/sim_driver_preludes.c and tests/programs/preludes.c.
 */
#include "sim/kernel/code.h"

#include <string.h>

#include "hw/prelude/prelude.h"
#include "hw/qmd.h"
#include "sim/memory/memory.h"

#define CC_MAJOR 9
#define CC_MINOR 0

int code_is_prelude_image(const void *image)
{
	const uint8_t *theirs = image;
	const uint8_t *ours;
	size_t n = 0, i = 0;

	ours = prelude_image(CC_MAJOR, CC_MINOR, &n);
	/* Byte by byte: the other image may be shorter, but not than where it first differs. */
	while (i < n && theirs[i] == ours[i])
		i++;
	return ours && i == n;
}

static enum sim_program program_of(const char *name)
{
	static const enum sim_program programs[PRELUDE_NR] = {
		[PRELUDE_GATE] = SIM_PROGRAM_GATE,
		[PRELUDE_CLAIM] = SIM_PROGRAM_CLAIM,
		[PRELUDE_GATE_CLUSTER] = SIM_PROGRAM_GATE_CLUSTER,
		[PRELUDE_CLAIM_CLUSTER] = SIM_PROGRAM_CLAIM_CLUSTER,
	};

	for (int kind = 0; kind < PRELUDE_NR; kind++) {
		if (!strcmp(name, prelude_name((enum prelude_kind)kind)))
			return programs[kind];
	}
	return SIM_PROGRAM_KERNEL;
}

CUresult code_prelude_module_locked(struct CUctx_st *ctx, struct CUmod_st **ret_module)
{
	static const char text[] = ".version 7.0\n.target sm_90\n.address_size 64\n"
				   ".visible .entry lithos_gate()\n{\n\tret;\n}\n"
				   ".visible .entry lithos_claim()\n{\n\tret;\n}\n"
				   ".visible .entry lithos_gate_cluster()\n{\n\tret;\n}\n"
				   ".visible .entry lithos_claim_cluster()\n{\n\tret;\n}\n"
				   ".visible .entry lithos_reader(.param .u64 from, .param .u64 to,"
				   " .param .u32 nr_words)\n{\n\tret;\n}\n";
	CUresult r = module_new_locked(ctx, text, ret_module);

	for (size_t i = 0; !r && i < (*ret_module)->ptx.nr_entries; i++)
		(*ret_module)->funcs[i].program = program_of((*ret_module)->funcs[i].entry->name);
	return r;
}

static const struct CUfunc_st *find_in(const struct CUmod_st *module, uint64_t address)
{
	for (size_t i = 0; i < module->ptx.nr_entries; i++) {
		if (module->funcs[i].address == address)
			return &module->funcs[i];
	}
	return NULL;
}

/* The function of the context that begins at the address; NULL when none does. */
static const struct CUfunc_st *find_locked(const struct CUctx_st *ctx, uint64_t address)
{
	const struct CUfunc_st *func = NULL;

	for (struct CUmod_st *module = module_first_locked(); module && !func;
	     module = module->next) {
		if (module->ctx == ctx)
			func = find_in(module, address);
	}
	return func;
}

static uint64_t program_address(const uint32_t *qmd)
{
	const struct qmd_layout *layout = qmd_layout_by_name("V04_00");
	uint64_t lower = 0, upper = 0;

	(void)qmd_get(layout, qmd, QMD_PROGRAM_ADDRESS_LOWER, 0, &lower);
	(void)qmd_get(layout, qmd, QMD_PROGRAM_ADDRESS_UPPER, 0, &upper);
	return lower | upper << 32;
}

enum sim_program code_of_locked(const struct CUfunc_st *func, const uint32_t *qmd,
				struct launch_cookie *cookie)
{
	uint64_t address = program_address(qmd);
	const struct CUfunc_st *there = func;

	cookie->entry = func->program == SIM_PROGRAM_KERNEL ? func->address : 0;
	if (address != func->address)
		there = find_locked(cookie->ctx, address);
	if (!there)
		return SIM_PROGRAM_NONE;
	if (there != func && there->program == SIM_PROGRAM_KERNEL)
		cookie->kernel = there->kernel;
	return there->program;
}

static int fault(struct launch_cookie *cookie, CUresult error, const char *reason)
{
	cookie->ctx->fault = error;
	cookie->fault = reason;
	sim.nr_faults++;
	return 0;
}

/* The jump behind the rule. 0 when it leads nowhere. */
static int jump(struct launch_cookie *cookie, uint64_t entry)
{
	const struct CUfunc_st *func;

	/* The module may be gone by now; of the launched kernel everything needed was copied. */
	if (entry == cookie->entry && entry)
		return 1;
	func = find_locked(cookie->ctx, entry);
	if (!func || func->program != SIM_PROGRAM_KERNEL)
		return fault(cookie, CUDA_ERROR_INVALID_PC, "bad-entry");
	cookie->kernel = func->kernel;
	cookie->entry = entry;
	return 1;
}

static int is_word(uint64_t address)
{
	return address % 4 == 0 && !memory_check_locked(address, 4);
}

/* The header is looked at although only blocks that leave need it, and the report as well. */
static int can_read_words(const struct prelude_slot *slot, uint32_t block)
{
	return is_word(slot->state + (uint64_t)block * 4) && is_word(slot->state - 4) &&
	       is_word(slot->state - 8) && is_word(slot->flag[0]) && is_word(slot->flag[1]) &&
	       is_word(slot->report);
}

/* 0, or why the launch ends the context here. */
static CUresult slot_read(const struct sim_grid *grid, uint32_t block,
			  struct prelude_slot *ret_slot, const char **ret_reason)
{
	*ret_reason = "bad-entry";
	if (grid->program == SIM_PROGRAM_NONE)
		return CUDA_ERROR_INVALID_PC;
	*ret_reason = "bad-slot";
	if (!grid->slot_address || memory_check_locked(grid->slot_address, sizeof(*ret_slot)))
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	memcpy(ret_slot, (const void *)grid->slot_address, sizeof(*ret_slot));
	*ret_reason = "bad-word";
	if (program_is_claim(grid->program) && !can_read_words(ret_slot, block))
		return CUDA_ERROR_ILLEGAL_ADDRESS;
	return CUDA_SUCCESS;
}

int code_begin_block(void *user, const struct sim_grid *grid, const uint32_t index[3])
{
	struct launch_cookie *cookie = grid->cookie;
	uint32_t block = grid_prelude_block(grid, index);
	struct prelude_slot slot;
	const char *reason;
	CUresult r;

	(void)user;
	if (cookie->ctx->fault)
		return 0;
	r = slot_read(grid, block, &slot, &reason);
	if (r)
		return fault(cookie, r, reason);
	return prelude_runs(grid->program, &slot, block) && jump(cookie, slot.entry);
}

int code_would_leave(void *user, const struct sim_grid *grid, const uint32_t index[3])
{
	const struct launch_cookie *cookie = grid->cookie;
	uint32_t block = grid_prelude_block(grid, index);
	struct prelude_slot slot;
	const char *reason;

	(void)user;
	if (cookie->ctx->fault)
		return 1;
	return !slot_read(grid, block, &slot, &reason) &&
	       prelude_would_leave(grid->program, &slot, block);
}
