/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process' options, read once from the environment (options.def).
 *
 * Owner: whoever calls options_read, normally once at load; constant afterwards and safe to read
 * from any thread. Strings are copies inside the struct, so a later setenv changes nothing.
 */
#ifndef LITHOS_BASE_OPTIONS_H
#define LITHOS_BASE_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define OPTION_STR_MAX 256

#define OPTION_TYPE_str  char
#define OPTION_DIM_str   [OPTION_STR_MAX]
#define OPTION_TYPE_bool uint32_t
#define OPTION_DIM_bool
#define OPTION_TYPE_u32 uint32_t
#define OPTION_DIM_u32

struct options {
#define OPTION(member, env, type, dflt, range, when, sentence)                                     \
	OPTION_TYPE_##type member OPTION_DIM_##type;
#include "options.def"
#undef OPTION
};

/* Row of the table, for `lithos options`. */
struct option_row {
	const char *member;
	const char *env;
	const char *type;
	const char *dflt;
	const char *range;
	const char *when;
	const char *sentence;
};

extern const struct option_row option_rows[];
extern const size_t nr_option_rows;

/*
 * Fills from defaults, then the environment. Bad values keep the default and are named in errbuf
 * ("LITHOS_PRIORITY: 'x' is not a number (0-1000)"), the first one wins; returns their number.
 */
int options_read(struct options *options, char *errbuf, size_t errbuf_size);

/*
 * A variable that is not lithos' own (LD_LIBRARY_PATH, HOME, XDG_CACHE_HOME); NULL when unset or
 * empty. The only other way to the environment. Borrowed from the environment, as getenv's answer
 * is.
 */
const char *options_environment(const char *name);

/* Whether it is set at all, be it to nothing. */
int options_has_environment(const char *name);

#endif
