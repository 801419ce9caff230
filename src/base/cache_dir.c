/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache folder: one for the machine where that can be written (root, or an installed package),
 * the user's own otherwise. Only the last component is made, so that a wrong configuration does not
 * grow trees. Tested by tests/unit/cache_dir_choice.c.
 */
#include "base/cache_dir.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/options.h"

static int is_usable(const char *path)
{
	(void)mkdir(path, 0755);
	return access(path, W_OK | X_OK) == 0;
}

/* `<folder><below>`, when folder is set and the result is usable. */
static int try_below(const char *folder, const char *below, char *ret_path, size_t size)
{
	int n;

	if (!folder || !folder[0])
		return -ENOENT;
	n = snprintf(ret_path, size, "%s%s", folder, below);
	if (n < 0 || (size_t)n >= size)
		return -ENAMETOOLONG;
	return is_usable(ret_path) ? 0 : -ENOENT;
}

int cache_dir_choose(const char *configured, char *ret_path, size_t size)
{
	const char *home = options_environment("HOME");

	if (configured && configured[0])
		return try_below(configured, "", ret_path, size);
	if (!try_below("/var/cache/lithos", "", ret_path, size))
		return 0;
	if (!try_below(options_environment("XDG_CACHE_HOME"), "/lithos", ret_path, size))
		return 0;
	(void)try_below(home, "/.cache", ret_path, size);
	return try_below(home, "/.cache/lithos", ret_path, size);
}
