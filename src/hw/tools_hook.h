/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's tools hook: a callback for every launch descriptor before it is uploaded.
 *
 * Source: measured on driver 580.159.04 (docs/hardware.md). cuGetExportTable with UUID
 * 2c8e0ad8-0710-ab4e-90dd-54719fe5f74b gives a table whose first word is its size in bytes (96);
 * entries 3 and 11 subscribe, 4 unsubscribes, 6 enables one callback, 9 a domain. Domain 0xb, id 1
 * is "QMD pre-upload", called in the launching thread, and for CUDA graphs in the thread that
 * uploads or first launches the graph. The driver has one subscriber a process: a second one gets
 * 210 (CUDA_ERROR_ALREADY_ACQUIRED). With tools_hook_share() a profiler becomes the guest of our
 * subscription.
 *
 * All functions are thread-safe. The driver's table is changed in memory for the life of the
 * process.
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
 * Makes room for a profiler beside us, whoever subscribes first from now on; before it, a profiler
 * and this hook exclude each other. 0, -ENOSYS no such table, -EACCES it cannot be written, -EAGAIN
 * the driver gives tables only after cuInit.
 */
int tools_hook_share(export_table_fn export_table);

/*
 * Subscribes `fn` for the whole process; one function at a time. Errors: -ENOSYS the driver has no
 * such table or one of another size, -EBUSY another tool holds it, -EIO enabling failed.
 */
int tools_hook_subscribe(export_table_fn export_table, qmd_event_fn fn);

/* Ends the subscription; the callback is not called any more. Does nothing when there is none. */
void tools_hook_unsubscribe(void);

int tools_hook_is_subscribed(void);

#endif
