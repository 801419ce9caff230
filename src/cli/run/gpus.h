/* SPDX-License-Identifier: Apache-2.0 */
/* Names of GPUs: what CUDA_VISIBLE_DEVICES says. Pure. */
#ifndef LITHOS_CLI_RUN_GPUS_H
#define LITHOS_CLI_RUN_GPUS_H

#include <stddef.h>
#include <stdint.h>

enum gpus_named {
	GPUS_ANY,   /* nothing was said */
	GPUS_UUIDS, /* UUIDs only */
	GPUS_OTHER, /* indices, MIG devices, or both kinds */
};

/*
 * What the variable's text (NULL: unset) names. For UUIDs ret_list is the list without blanks, as
 * struct proto_admit wants it; otherwise it is empty. -E2BIG: the list does not fit.
 */
int gpus_parse(const char *text, char *ret_list, size_t size, enum gpus_named *ret_named);

#endif
