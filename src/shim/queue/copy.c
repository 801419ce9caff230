/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The arguments of a launch that is held: the program may change or free its own once the call has
 * returned.
 *
 * Everything is in one piece of memory: the launch, the array of pointers to parameters or what
 * `extra` points to, the attributes, the parameters themselves. Sizes are those that the driver
 * knows of the function.
 *
 * Tested by tests/unit/queue_launch.c.
 */
#include "shim/queue/copy.h"

#include <string.h>

#include "shim/queue/funcs.h"

#define ALIGN16(bytes) (((bytes) + 15u) & ~15u)

/* What `extra` of a held launch points to, in the place of the pointers to parameters. */
struct packed {
	void *extra[5];
	size_t bytes;
};

/* The packed parameters that `extra` names: 0, or -1 when it is not made as documented. */
static int extra_read(void **extra, const void **ret_buffer, size_t *ret_bytes)
{
	const void *buffer = NULL;
	const size_t *bytes = NULL;

	for (int i = 0; i < 4 && extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			buffer = extra[i + 1];
		else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE)
			bytes = extra[i + 1];
		else
			return -1;
	}
	if (!buffer || !bytes)
		return -1;
	*ret_buffer = buffer;
	*ret_bytes = *bytes;
	return 0;
}

int copy_layout(const struct launch *launch, const struct func_info *info,
		struct copy_layout *ret_layout)
{
	struct copy_layout at = {.params_at = ALIGN16((uint32_t)sizeof(struct launch))};
	size_t data;

	if (launch->extra &&
	    (launch->params || extra_read(launch->extra, &at.extra, &at.extra_bytes)))
		return -1;
	if (!launch->extra && !launch->params && info->nr_params)
		return -1;
	/* The driver refuses a buffer that is too small, and says so at the call. */
	if (at.extra && at.extra_bytes < info->param_bytes)
		return -1;
	data = at.extra ? at.extra_bytes : info->param_bytes;
	if (data > UINT16_MAX || launch->config.numAttrs > UINT8_MAX)
		return -1;
	at.attrs_at =
		ALIGN16(at.params_at + (at.extra ? (uint32_t)sizeof(struct packed)
						 : info->nr_params * (uint32_t)sizeof(void *)));
	at.data_at = ALIGN16(at.attrs_at +
			     launch->config.numAttrs * (uint32_t)sizeof(CUlaunchAttribute));
	at.bytes = at.data_at + (uint32_t)data;
	*ret_layout = at;
	return 0;
}

/* Most are numbers and addresses, for which a call of memcpy() is long. */
static void copy_param(char *to, const void *from, uint32_t size)
{
	if (size == sizeof(uint64_t))
		memcpy(to, from, sizeof(uint64_t));
	else if (size == sizeof(uint32_t))
		memcpy(to, from, sizeof(uint32_t));
	else
		memcpy(to, from, size);
}

static void copy_params(struct launch *copy, const struct func_info *info, char *base,
			const struct copy_layout *at)
{
	void **params = (void **)(void *)(base + at->params_at);

	for (uint32_t i = 0; i < info->nr_params; i++) {
		char *to = base + at->data_at + info->param[i].offset;
		copy_param(to, copy->params[i], info->param[i].size);
		params[i] = to;
	}
	copy->params = params;
}

static void copy_extra(struct launch *copy, char *base, const struct copy_layout *at)
{
	struct packed *packed = (struct packed *)(void *)(base + at->params_at);

	memcpy(base + at->data_at, at->extra, at->extra_bytes);
	packed->bytes = at->extra_bytes;
	packed->extra[0] = CU_LAUNCH_PARAM_BUFFER_POINTER;
	packed->extra[1] = base + at->data_at;
	packed->extra[2] = CU_LAUNCH_PARAM_BUFFER_SIZE;
	packed->extra[3] = &packed->bytes;
	packed->extra[4] = CU_LAUNCH_PARAM_END;
	copy->extra = packed->extra;
}

void copy_launch(void *payload, const struct launch *launch, const struct func_info *info,
		 const struct copy_layout *at)
{
	struct launch *copy = payload;
	char *base = payload;

	*copy = *launch;
	if (at->extra)
		copy_extra(copy, base, at);
	else if (launch->params)
		copy_params(copy, info, base, at);
	if (launch->kind == LAUNCH_EX && launch->config.numAttrs) {
		copy->config.attrs = (CUlaunchAttribute *)(void *)(base + at->attrs_at);
		memcpy(copy->config.attrs, launch->config.attrs,
		       launch->config.numAttrs * sizeof(CUlaunchAttribute));
	}
}
