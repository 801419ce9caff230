/* SPDX-License-Identifier: Apache-2.0 */
/* What the queue itself asks of the driver. Constant once the queue has started. */
#ifndef LITHOS_SHIM_QUEUE_DRIVER_H
#define LITHOS_SHIM_QUEUE_DRIVER_H

#include "shim/cuda_api.h"

struct queue_driver {
	CUresult (*ctx_current)(CUcontext *ctx);
	CUresult (*ctx_set_current)(CUcontext ctx);
	CUresult (*exchange_capture_mode)(CUstreamCaptureMode *mode);
	CUresult (*stream_create)(CUstream *stream, unsigned int flags);
	CUresult (*stream_create_with_priority)(CUstream *stream, unsigned int flags, int priority);
	CUresult (*stream_flags)(CUstream stream, unsigned int *flags);
	CUresult (*stream_priority)(CUstream stream, int *priority);
	CUresult (*stream_context)(CUstream stream, CUcontext *ctx);
	CUresult (*stream_capturing)(CUstream stream, CUstreamCaptureStatus *status);
	CUresult (*pointer_attribute)(void *value, CUpointer_attribute attribute, CUdeviceptr ptr);
	CUresult (*func_attribute)(int *value, CUfunction_attribute attribute, CUfunction func);
	CUresult (*func_param)(CUfunction func, size_t i, size_t *offset, size_t *size);
	CUresult (*kernel_param)(CUkernel kernel, size_t i, size_t *offset, size_t *size);
	CUresult (*kernel_function)(CUfunction *func, CUkernel kernel);
};

extern struct queue_driver queue_driver;

#endif
