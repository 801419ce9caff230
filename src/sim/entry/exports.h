/* SPDX-License-Identifier: Apache-2.0 */
/* The table behind cuGetProcAddress. Constant; any thread. */
#ifndef LITHOS_SIM_EXPORTS_H
#define LITHOS_SIM_EXPORTS_H

enum export_status {
	EXPORT_FOUND,
	EXPORT_UNKNOWN,
	EXPORT_TOO_NEW
};

/* The address dlsym gives for the best row; NULL and why otherwise. */
void *exports_find(const char *base, int cuda_version, int per_thread_stream,
		   enum export_status *ret_status);

#endif
