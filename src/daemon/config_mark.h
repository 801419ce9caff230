/* SPDX-License-Identifier: Apache-2.0 */
/* Where the keys of a YAML text are, for error messages. */
#ifndef LITHOS_DAEMON_CONFIG_MARK_H
#define LITHOS_DAEMON_CONFIG_MARK_H

#include <stddef.h>

/* A place in the text, from 1 as editors count; 0 = unknown. */
struct config_mark {
	unsigned int line;
	unsigned int column;
};

/* The text is not one YAML document: where and why. 1 = it is. */
int config_mark_syntax(const char *text, size_t size, struct config_mark *ret_mark,
		       const char **ret_problem);

/* Where the key is, anywhere in the text, after a place. 0 = nowhere. */
int config_mark_key(const char *text, size_t size, const char *key, struct config_mark after,
		    struct config_mark *ret_mark);

/* Where the value of "key" or "mapping.key" is; of an item of a list with index >= 0. 0 =
 * nowhere. */
int config_mark_value(const char *text, size_t size, const char *path, int index,
		      struct config_mark *ret_mark);

#endif
