/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's tools hook: a callback for every launch descriptor before it is uploaded.
 *
 * Source: measured on driver 580.159.04 (docs/hardware.md). cuGetExportTable with UUID
 * 2c8e0ad8-0710-ab4e-90dd-54719fe5f74b gives a table whose first word is its size in bytes (96); entry
 * 3 subscribes, 4 unsubscribes, 6 enables one callback. Domain 0xb, id 1 is "QMD pre-upload", called in
 * the launching thread, and for CUDA graphs in the thread that uploads or first launches the graph.
 * Only one subscriber per process is allowed: with CUPTI attached, subscribing answers 210
 * (CUDA_ERROR_ALREADY_ACQUIRED), and while subscribed CUPTI cannot attach.
 */
#ifndef LITHOS_HW_TOOLS_HOOK_H
#define LITHOS_HW_TOOLS_HOOK_H

#include <stdint.h>

#include <cuda.h>

/* What one call says, borrowed for the duration of the call. */
struct qmd_event {
	CUcontext ctx;
	CUfunction func; /* the kernel, also inside graphs; driver-internal kernels have one too */
	uint32_t *qmd;   /* writable, not uploaded yet */
	uint32_t launch_id;
};

typedef void (*qmd_event_fn)(const struct qmd_event *event);

typedef CUresult (*export_table_fn)(const void **table, const CUuuid *uuid);

/*
 * Subscribes `fn` for the whole process. One subscription at a time. Errors: -ENOSYS the driver has no
 * such table or one of another size, -EBUSY another tool holds it, -EIO enabling failed.
 * Not thread-safe against itself; the caller serialises.
 */
int tools_hook_subscribe(export_table_fn export_table, qmd_event_fn fn);

/* Ends the subscription; the callback is not called any more. Does nothing when there is none. */
void tools_hook_unsubscribe(void);

int tools_hook_is_subscribed(void);

#endif
