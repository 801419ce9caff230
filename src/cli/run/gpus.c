/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of GPUs.
 *
 * An index in CUDA_VISIBLE_DEVICES means a GPU only together with CUDA_DEVICE_ORDER and what other
 * devices the process may open, so it cannot be handed to a daemon that runs elsewhere; a UUID
 * can. So the list is only sorted into kinds, and what else it might be is left to CUDA
 * (run/devices.h). Abbreviated UUIDs (GPU-8932f9), which CUDA accepts, are passed on as they are.
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

int gpus_is_one(const char *text)
{
	size_t nr_digits = strspn(text, "0123456789");

	return (nr_digits > 0 && nr_digits < 4 && text[nr_digits] == '\0') ||
	       is_uuid(text, strlen(text));
}

/* CUDA ends the list at the first entry that is none, so entry n is device n. */
int gpus_entry(const char *text, uint32_t n, char *ret_entry, size_t size)
{
	const char *entry = skip_blanks(text);

	for (; n > 0; n--) {
		entry += strcspn(entry, ",");
		if (*entry == '\0')
			return -ENOENT;
		entry = skip_blanks(entry + 1);
	}
	ret_entry[0] = '\0';
	return append(ret_entry, size, entry, strcspn(entry, ", \t"));
}

int gpus_find(const char *list, const char *uuid, char *ret_entry, size_t size)
{
	for (uint32_t n = 0;; n++) {
		int r = gpus_entry(list, n, ret_entry, size);

		if (r < 0)
			return r;
		if (ret_entry[0] != '\0' && strncasecmp(uuid, ret_entry, strlen(ret_entry)) == 0)
			return 0;
	}
}

int gpus_add(char *list, size_t size, const char *name)
{
	return append(list, size, name, strlen(name));
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
