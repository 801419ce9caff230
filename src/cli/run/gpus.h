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

/* Whether the text is one GPU's index or UUID, which may be a short one. */
int gpus_is_one(const char *text);

/* Entry n, without blanks. -ENOENT: there are fewer; -E2BIG. */
int gpus_entry(const char *text, uint32_t n, char *ret_entry, size_t size);

/* The first entry of a list of UUIDs, which may be short ones, that names this one. -ENOENT. */
int gpus_find(const char *list, const char *uuid, char *ret_entry, size_t size);

/* Adds a name to a list with commas between; -E2BIG. */
int gpus_add(char *list, size_t size, const char *name);

#endif
