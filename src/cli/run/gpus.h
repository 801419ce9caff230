/* SPDX-License-Identifier: Apache-2.0 */
/* Names of GPUs: what CUDA_VISIBLE_DEVICES says, and UUIDs as text. Pure. */
#ifndef LITHOS_CLI_RUN_GPUS_H
#define LITHOS_CLI_RUN_GPUS_H

#include <stddef.h>
#include <stdint.h>

#define GPU_UUID_TEXT_BYTES 41 /* GPU-8-4-4-4-12 and a NUL */

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

/* "GPU-01234567-89ab-cdef-0123-456789abcdef", as CUDA and NVML write it. */
void gpu_uuid_text(const uint8_t uuid[16], char ret_text[GPU_UUID_TEXT_BYTES]);

#endif
