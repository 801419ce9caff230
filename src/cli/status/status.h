/* SPDX-License-Identifier: Apache-2.0 */
/* What lithosd says of itself, its GPUs and its tenants. */
#ifndef LITHOS_CLI_STATUS_STATUS_H
#define LITHOS_CLI_STATUS_STATUS_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

/* Asks over a connection; the JSON document, owned by the caller. 0, or -errno (client.h). */
int status_ask(int fd, json_t **ret_report);

/*
 * The document in a descriptor: `bytes` of text. -EPROTO when it is not sealed against changes, is
 * smaller than that, or is no JSON object.
 */
int status_read(int fd, uint64_t bytes, json_t **ret_report);

/* For people: a block a GPU, a line a tenant. Keys that are missing are shown as "-". 0 or -errno.
 */
int status_print(const json_t *report, FILE *file);

#endif
