/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every verb understands beside its own options: -h, which argp does not know, as --help. The
 * version comes from argp itself once main() has said what it is.
 *
 * Tested by tests/integration/cli_options.bats.
 */
#include "cli/help.h"

#include <stdio.h>

static const struct argp_option options[] = {{NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0}, {0}};

/* NOLINTNEXTLINE(readability-non-const-parameter): argp's type */
static error_t parse(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	if (key != 'h')
		return ARGP_ERR_UNKNOWN;
	argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
	return 0;
}

static const struct argp help = {.options = options, .parser = parse};

const struct argp_child help_children[] = {{&help, 0, NULL, 0}, {0}};
