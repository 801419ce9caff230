/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LITHOS_TESTS_ASKS_LIBRARY_H
#define LITHOS_TESTS_ASKS_LIBRARY_H

#include <cuda.h>

typedef __typeof__(cuDeviceGetAttribute) get_attribute_function;
typedef __typeof__(cuOccupancyMaxActiveClusters) max_clusters_function;

#define LIBRARY_API __attribute__((visibility("default")))

/* The driver's answers, or minus its error: SMs, and how many clusters at once. */
LIBRARY_API int library_sms(get_attribute_function *get_attribute, CUdevice device);
LIBRARY_API int library_clusters(max_clusters_function *max_clusters, CUfunction function,
				 const CUlaunchConfig *config);

#endif
