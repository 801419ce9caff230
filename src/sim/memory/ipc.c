/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Device memory of one process in another: cuIpcGetMemHandle and its counterparts.
 *
 * Problem: device memory is private memory of the process that allocated it, at addresses its
 * program already uses. Idea: when an allocation is first exported, its pages move into a memory
 * file that is mapped in their place; nobody touches device memory without the driver's lock, so
 * nobody sees the move. The handle names process, descriptor and file; whoever opens it reopens the
 * descriptor through /proc, which the kernel allows within one user, and finds out whether the
 * number still means that file. A file is mapped once in a context, however often it is opened.
 *
 * As on hardware: a handle is for a whole allocation of cuMemAlloc, not of a pool, on the GPU it
 * was made on, and cannot be opened by its own process. What it does badly: an exporter that has
 * freed the memory takes it from nobody who has it open, and its bytes are not counted for those.
 *
 * Tested by tests/unit/sim_shared_ipc.c and tests/programs/preludes.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sim/memory/memory.h"

#define HANDLE_MAGIC 0x6370692d736f6874ull

struct handle {
	uint64_t magic;
	int32_t pid;
	int32_t fd;
	uint64_t device; /* of the file */
	uint64_t inode;
	uint64_t bytes;
	uint32_t gpu;
	uint32_t pad[5];
};

_Static_assert(sizeof(struct handle) == sizeof(CUipcMemHandle), "it is handed out as one");

/* The allocation's pages, in a file from now on. */
static CUresult move_into_file(struct allocation *row)
{
	int fd = memfd_create("lithos-sim", MFD_CLOEXEC);
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (fd < 0)
		return CUDA_ERROR_OPERATING_SYSTEM;
	if (ftruncate(fd, (off_t)row->size) ||
	    pwrite(fd, (const void *)row->base, row->size, 0) != (ssize_t)row->size)
		goto out;
	if (mmap((void *)row->base, row->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		goto out;
	row->shared_fd = fd + 1;
	return CUDA_SUCCESS;
out:
	(void)close(fd);
	return r;
}

static CUresult export_locked(struct allocation *row, struct handle *handle)
{
	struct stat status;
	CUresult r = row->shared_fd ? CUDA_SUCCESS : move_into_file(row);

	if (r)
		return r;
	if (fstat(row->shared_fd - 1, &status))
		return CUDA_ERROR_OPERATING_SYSTEM;
	*handle = (struct handle){
		.magic = HANDLE_MAGIC,
		.pid = getpid(),
		.fd = row->shared_fd - 1,
		.device = status.st_dev,
		.inode = status.st_ino,
		.bytes = row->size,
		.gpu = row->ctx->gpu,
	};
	return CUDA_SUCCESS;
}

CUresult cuIpcGetMemHandle(CUipcMemHandle *pHandle, CUdeviceptr dptr)
{
	struct handle handle;
	struct allocation *row;
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	row = memory_find_locked(dptr);
	if (!pHandle || !row || row->kind != MEMORY_DEVICE || row->pool || row->nr_opens)
		return leave(CUDA_ERROR_INVALID_VALUE);
	r = export_locked(row, &handle);
	if (!r)
		memcpy(pHandle, &handle, sizeof(handle));
	return leave(r);
}

static int is_file(int fd, const struct handle *handle)
{
	struct stat status;

	return !fstat(fd, &status) && status.st_dev == handle->device &&
	       status.st_ino == handle->inode && (uint64_t)status.st_size == handle->bytes;
}

/* The row of a file that this context has open already; NULL when it has not. */
static struct allocation *find_open_locked(const struct CUctx_st *ctx, const struct handle *handle)
{
	struct allocation *row;

	for (size_t i = 0; (row = memory_at_locked(i)) != NULL; i++) {
		if (row->ctx == ctx && row->nr_opens && is_file(row->shared_fd - 1, handle))
			return row;
	}
	return NULL;
}

static CUresult import_locked(struct CUctx_st *ctx, const struct handle *handle,
			      struct allocation **ret_row)
{
	struct allocation row = {
		.size = handle->bytes, .kind = MEMORY_DEVICE, .ctx = ctx, .is_mapped = 1};
	void *base = MAP_FAILED;
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", handle->pid, handle->fd);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return CUDA_ERROR_INVALID_HANDLE;
	if (is_file(fd, handle))
		base = mmap(NULL, row.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		(void)close(fd);
		return CUDA_ERROR_INVALID_HANDLE;
	}
	row.base = (uintptr_t)base;
	row.shared_fd = fd + 1;
	row.nr_opens = 1;
	*ret_row = memory_add_locked(&row);
	if (*ret_row)
		return CUDA_SUCCESS;
	(void)munmap(base, row.size);
	(void)close(fd);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *pdptr, CUipcMemHandle Handle, unsigned int Flags)
{
	struct handle handle;
	struct allocation *row;
	struct CUctx_st *ctx;
	CUresult r = enter_ctx(&ctx);

	if (r)
		return r;
	memcpy(&handle, &Handle, sizeof(handle));
	if (!pdptr || Flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS || handle.magic != HANDLE_MAGIC ||
	    !handle.bytes)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (handle.pid == getpid())
		return leave(CUDA_ERROR_INVALID_CONTEXT);
	if (handle.gpu != ctx->gpu)
		return leave(CUDA_ERROR_INVALID_DEVICE);
	r = ctx_may_wait_locked(ctx);
	if (r)
		return leave(r);
	row = find_open_locked(ctx, &handle);
	if (row)
		row->nr_opens++;
	else
		r = import_locked(ctx, &handle, &row);
	if (!r)
		*pdptr = row->base;
	return leave(r);
}

CUresult cuIpcCloseMemHandle(CUdeviceptr dptr)
{
	struct allocation *row;
	CUresult r = enter();

	if (r)
		return r;
	row = memory_find_locked(dptr);
	if (!row || row->base != dptr || !row->nr_opens)
		return leave(CUDA_ERROR_INVALID_VALUE);
	if (row->nr_opens > 1) {
		row->nr_opens--;
		return leave(CUDA_SUCCESS);
	}
	r = ctx_wait_locked(row->ctx);
	/* Another thread may have been faster while the lock was away. */
	row = memory_find_locked(dptr);
	if (!r && (!row || row->base != dptr || row->nr_opens != 1))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		memory_free_locked(row);
	return leave(r);
}
