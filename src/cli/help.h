/* SPDX-License-Identifier: Apache-2.0 */
/* -h, for every verb. */
#ifndef LITHOS_CLI_HELP_H
#define LITHOS_CLI_HELP_H

#include <argp.h>

/* The children of a verb's argp. */
extern const struct argp_child help_children[];

#endif
