/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of GPUs.
 *
 * An index in CUDA_VISIBLE_DEVICES means a GPU only together with CUDA_DEVICE_ORDER and what other
 * devices the process may open, so it cannot be handed to a daemon that runs elsewhere; a UUID
 * can. So the list is only sorted into "UUIDs" and "something else", and what else it might be is
 * left to CUDA. Abbreviated UUIDs (GPU-8932f9), which CUDA accepts, are passed on as they are.
 *
 * Tested by tests/unit/cli_gpus.c.
 */
#include "cli/run/gpus.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int is_uuid(const char *name, size_t length)
{
	if (length <= 4 || strncmp(name, "GPU-", 4) != 0)
		return 0;
	return strspn(name + 4, "0123456789abcdefABCDEF-") >= length - 4;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

static int append(char *list, size_t size, const char *name, size_t length)
{
	size_t used = strlen(list);
	int wrote = snprintf(list + used, size - used, "%s%.*s", used > 0 ? "," : "", (int)length,
			     name);

	return wrote >= 0 && (size_t)wrote < size - used ? 0 : -E2BIG;
}

int gpus_parse(const char *text, char *ret_list, size_t size, enum gpus_named *ret_named)
{
	int r = 0;

	ret_list[0] = '\0';
	*ret_named = GPUS_ANY;
	if (text == NULL || *skip_blanks(text) == '\0')
		return 0;
	*ret_named = GPUS_UUIDS;
	for (const char *name = skip_blanks(text); *name != '\0' && r == 0;) {
		size_t length = strcspn(name, ", \t");

		if (!is_uuid(name, length)) {
			ret_list[0] = '\0';
			*ret_named = GPUS_OTHER;
			return 0;
		}
		r = append(ret_list, size, name, length);
		name = skip_blanks(name + length);
		name = skip_blanks(name + (*name == ','));
	}
	return r;
}
