/* SPDX-License-Identifier: Apache-2.0 */
/* Guessing which verb was meant. Pure. */
#ifndef LITHOS_CLI_VERB_NAME_H
#define LITHOS_CLI_VERB_NAME_H

#include <stddef.h>

/* The name at most two typing mistakes away from `text`, or NULL. */
const char *verb_nearest(const char *text, const char *const *names, size_t nr_names);

#endif
